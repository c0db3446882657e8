"""An inbox for the demo and the tests: mail and SMS for customers land here, to be read in a browser.

`InboxStore` keeps the messages, `MailSink` takes mail by SMTP, `inbox_app(store)` takes SMS by HTTP and shows both.
"""

from deploy.embedded.inbox.smtp import MailSink
from deploy.embedded.inbox.store import InboxStore, Kind, Message, SmsConflict
from deploy.embedded.inbox.web import inbox_app

__all__ = ["InboxStore", "Kind", "MailSink", "Message", "SmsConflict", "inbox_app"]
