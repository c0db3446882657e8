"""Why a whole file cannot be imported. A single bad row is never an error, but a rejection (`model.Rejection`)."""

from __future__ import annotations


class CannotImport(ValueError):
    """Nothing of the file was imported; the sentence says what was found, what was expected and what to do."""
