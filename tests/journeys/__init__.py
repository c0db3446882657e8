"""Whole lives of invoices, told as text. `python -m tests.journeys` writes the golden files anew."""
