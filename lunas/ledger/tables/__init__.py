"""The tables. Rows are read and written by the modules named for their registers; nobody else needs these."""

from lunas.ledger.tables.base import Base
from lunas.ledger.tables.edges import ApiKeyRow, FindingRow, IdempotencyRow, OfferRow, PlacementRow
from lunas.ledger.tables.money import (
    AllocationRow,
    ChargeRow,
    CreditNoteRow,
    DiscountRow,
    PayerRow,
    ProviderEventRow,
    ProviderReadingRow,
    ReceiptRow,
    RefundRow,
    RemittanceRow,
    ReversalPartRow,
    ReversalRow,
    ToleranceRow,
    WaiverRow,
)
from lunas.ledger.tables.record import HoldRow, JournalRow, LinkRevocationRow, NudgeRow, SwitchRow
from lunas.ledger.tables.register import ContactRow, CustomerRow, InvoiceLineRow, InvoiceRow, PolicyRow
from lunas.ledger.tables.speech import DecisionRow, NoticeRow
from lunas.ledger.tables.webhooks import DeliveryRow, EndpointRow, EndpointSecretRow, OutgoingEventRow

__all__ = [
    "AllocationRow",
    "ApiKeyRow",
    "Base",
    "ChargeRow",
    "ContactRow",
    "CreditNoteRow",
    "CustomerRow",
    "DecisionRow",
    "DeliveryRow",
    "DiscountRow",
    "EndpointRow",
    "EndpointSecretRow",
    "FindingRow",
    "HoldRow",
    "IdempotencyRow",
    "InvoiceLineRow",
    "InvoiceRow",
    "JournalRow",
    "LinkRevocationRow",
    "NoticeRow",
    "NudgeRow",
    "OfferRow",
    "OutgoingEventRow",
    "PayerRow",
    "PlacementRow",
    "PolicyRow",
    "ProviderEventRow",
    "ProviderReadingRow",
    "ReceiptRow",
    "RefundRow",
    "RemittanceRow",
    "ReversalPartRow",
    "ReversalRow",
    "SwitchRow",
    "ToleranceRow",
    "WaiverRow",
]
