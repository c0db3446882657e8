"""The business of collecting an invoice: pure rules, standard library only.

No clock, no I/O, no randomness: moments and facts come in as arguments, decisions go out as values. Start with
`lifecycle.py`, the table; `invoice.py` says what an invoice's state is; `policy.py` what a credit manager may write.
"""
