"""What the ledger refuses. One small tree:

LedgerError
├── NotFound        the ledger knows nothing of that name
├── Conflict        that name is taken by something else
├── Refused         it may not be, as things stand
└── StaleNotice     an attempt at a notice that another one has overtaken
"""

from __future__ import annotations


class LedgerError(Exception):
    """Something that the ledger does not do; the message says what was wrong, what was expected and what to do."""


class NotFound(LedgerError):
    """The ledger knows nothing of that name."""


class Conflict(LedgerError):
    """The name or reference stands for something else already."""


class InvoiceConflict(Conflict):
    """An invoice with this number exists and says something else."""


class ReceiptConflict(Conflict):
    """A receipt, reversal or credit note under this reference exists and says something else."""


class Refused(LedgerError):
    """It may not be, as things stand."""


class StaleNotice(LedgerError):
    """An attempt at a notice reports, and another attempt has taken the notice over."""
