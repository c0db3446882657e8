"""Notices by email: wording, the PDF of the invoice with the first mail, and the split send."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from activities.delivery import MARGIN, Accepted, Refused, Silent, Unreachable
from activities.mail import Attachment, MailError, build_mail, mail_address
from activities.smtp import PreparedMail, Relay, RelayRefused, RelaySilent, RelayUnreachable, ReleaseTooLate
from activities.texts import Texts
from lunas.briefs import NoticeBrief
from lunas.company import Company
from lunas.links import Links, Purpose, unsubscribe_subject
from lunas.providers.qris import qr_png
from lunas.receivables.ladder import Channel
from templates.typeset import invoice_pdf, pdf_name

_NO_SUCH_MAILBOX = frozenset({550, 551, 553})


class EmailCarrier:
    """Sends notices as mail through one relay."""

    channel = Channel.EMAIL

    def __init__(self, texts: Texts, relay: Relay, company: Company, links: Links) -> None:
        self._texts = texts
        self._relay = relay
        self._company = company
        self._links = links

    def template_digest(self, brief: NoticeBrief) -> str:
        """Names the wording, for the decision record."""
        return self._texts.digest(brief.kind, Channel.EMAIL, brief.to.language)

    async def prepare(self, brief: NoticeBrief) -> _PreparedNotice:
        """Write the mail and give the relay all of it but the final dot."""
        try:
            recipient = mail_address(brief.to.address)
        except MailError as error:
            raise Refused(0, str(error), permanent=True, bad_address=True) from None
        message = await self._message(brief)
        try:
            prepared = await self._relay.prepare(mail_address(self._company.mail_address), recipient, message)
        except RelayRefused as refused:
            raise _translated(refused) from None
        except RelayUnreachable as error:
            raise Unreachable(str(error)) from None
        return _PreparedNotice(prepared)

    async def _message(self, brief: NoticeBrief) -> bytes:
        pay = self._links.url(Purpose.PAY, brief.pay_subject, brief.today)
        subject = unsubscribe_subject(brief.to.customer_code, Channel.EMAIL, brief.to.address)
        leave = self._links.url(Purpose.UNSUBSCRIBE, subject, brief.today)
        attachments = []
        if brief.first_mail:
            document = await asyncio.to_thread(invoice_pdf, brief.lead, brief.to, self._company)
            attachments.append(Attachment(pdf_name(brief.lead.number), document))
        # A file, and no picture in the text: payers open it in the app that they pay with.
        codes = [way.qr for way in brief.ways if way.qr]
        for place, code in enumerate(codes, start=1):
            name = "QRIS.png" if len(codes) == 1 else f"QRIS-{place}.png"
            attachments.append(Attachment(name, qr_png(code), "image/png"))
        return build_mail(
            self._texts.mail(brief, pay, leave),
            to_address=brief.to.address,
            to_name=brief.to.contact_name or brief.to.customer_name,
            sender=self._company,
            message_id=brief.message_id,
            unsubscribe_url=leave,
            attachments=attachments,
            date=datetime.now(UTC),
        )


class _PreparedNotice:
    """A mail of which the relay has everything but the dot."""

    def __init__(self, prepared: PreparedMail) -> None:
        self._prepared = prepared

    async def release(self, before: float) -> Accepted:
        # A relay that has not answered by the commit's deadline is cut off: what it took until then is unknown, and
        # what was still on its way can no longer arrive after a payment was acknowledged.
        within = max(before + MARGIN - time.monotonic(), 0.0)
        try:
            accepted = await self._prepared.release(before=before, within=within)
        except RelayRefused as refused:
            raise _translated(refused) from None
        except RelaySilent as silent:
            raise Silent(str(silent)) from None
        except (RelayUnreachable, ReleaseTooLate) as error:
            raise Unreachable(str(error)) from None
        return Accepted(accepted.code, accepted.text)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._prepared.abort()


def _translated(refused: RelayRefused) -> Refused:
    """What the relay's no means for the customer.

    At MAIL it speaks of us: whatever its code, the customer is not to blame and another attempt may pass. Only at RCPT
    does it speak of the address, and then only where it says that nobody is there: a full mailbox, or a policy
    against us, is no wrong address.
    """
    enhanced = refused.enhanced
    nobody = enhanced.startswith("5.1.") if enhanced else refused.code in _NO_SUCH_MAILBOX
    return Refused(
        refused.code,
        refused.text,
        permanent=refused.permanent and refused.at != "MAIL",
        bad_address=refused.permanent and refused.at == "RCPT" and nobody,
    )
