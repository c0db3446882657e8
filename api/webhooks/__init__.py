"""Webhooks of payment providers: verified, kept, booked, and only then acknowledged. They are no part of `/v1`."""
