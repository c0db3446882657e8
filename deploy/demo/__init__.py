"""The demo of `lunas up --demo`: fictional invoices, and months of their lives in about a minute."""
