"""The embedded stack of `lunas up`: Temporal's own dev server and an inbox for mail and SMS, on one machine."""
