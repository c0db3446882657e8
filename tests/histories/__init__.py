"""Histories of whole lives, as running invoices have them: every change of workflow code must replay them."""
