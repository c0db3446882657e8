"""The tables. Rows are read and written by the modules named for their registers; nobody else needs these."""

from lunas.ledger.tables.base import Base
from lunas.ledger.tables.edges import ApiKeyRow, FindingRow, IdempotencyRow, OfferRow, PlacementRow
from lunas.ledger.tables.money import (
    AllocationRow,
    ChargeRow,
    CreditNoteRow,
    DiscountRow,
    ProviderEventRow,
    ReceiptRow,
    ReversalPartRow,
    ReversalRow,
)
from lunas.ledger.tables.record import HoldRow, JournalRow, NudgeRow, SwitchRow
from lunas.ledger.tables.register import ContactRow, CustomerRow, InvoiceLineRow, InvoiceRow, PolicyRow
from lunas.ledger.tables.speech import DecisionRow, NoticeRow

__all__ = [
    "AllocationRow",
    "ApiKeyRow",
    "Base",
    "ChargeRow",
    "ContactRow",
    "CreditNoteRow",
    "CustomerRow",
    "DecisionRow",
    "DiscountRow",
    "FindingRow",
    "HoldRow",
    "IdempotencyRow",
    "InvoiceLineRow",
    "InvoiceRow",
    "JournalRow",
    "NoticeRow",
    "NudgeRow",
    "OfferRow",
    "PlacementRow",
    "PolicyRow",
    "ProviderEventRow",
    "ReceiptRow",
    "ReversalPartRow",
    "ReversalRow",
    "SwitchRow",
]
