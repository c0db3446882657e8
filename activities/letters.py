"""Letters to staff and to business partners: plain mail, which may arrive twice after a crash but is never lost.

A repeated letter has the Message-ID of the first, so that mail programs show it once.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime
from hashlib import sha256

from activities.agencies import Letter
from activities.mail import build_mail, mail_address
from activities.smtp import Relay
from activities.texts import MailText
from lunas.company import Company


class RelayMailer:
    """Sends letters through one relay, in the creditor's name."""

    def __init__(self, relay: Relay, company: Company) -> None:
        self._relay = relay
        self._company = company

    async def send(self, letter: Letter, key: str) -> None:
        """Send it now; raises RelayError, after which it is to be tried again."""
        domain = self._company.mail_address.partition("@")[2]
        paragraphs = html.escape(letter.text.strip()).split("\n\n")
        page = "".join(f"<p>{paragraph.replace(chr(10), '<br>')}</p>" for paragraph in paragraphs)
        message = build_mail(
            MailText(letter.subject, page, letter.text),
            to_address=letter.to_address,
            to_name=letter.to_name,
            sender=self._company,
            message_id=f"<letter.{sha256(key.encode()).hexdigest()[:24]}@{domain}>",
            unsubscribe_url=None,
            attachments=letter.attachments,
            date=datetime.now(UTC),
        )
        recipient = mail_address(letter.to_address)
        async with await self._relay.prepare(mail_address(self._company.mail_address), recipient, message) as prepared:
            await prepared.release()
