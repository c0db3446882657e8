"""Why a page of someone's website was not fetched:

    WebsiteError
    ├── AddressForbidden   the address, or one that it leads to, is not a public website's: no packet went there
    ├── VisitForbidden     the website does not want to be read by us (robots.txt)
    └── PageUnavailable    no page came: an outage, an error, a file of another kind or size

No error names the website: its address is the customer's.
"""

from __future__ import annotations


class WebsiteError(Exception):
    """A page was not fetched; the message says why, without naming the website."""


class AddressForbidden(WebsiteError):
    """The address, or one that it leads to, is not a public website's. No packet went there."""


class VisitForbidden(WebsiteError):
    """The website's robots.txt asks programs like ours to stay away."""


class PageUnavailable(WebsiteError):
    """No page came. `status` is the HTTP status, where the website answered with one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)
