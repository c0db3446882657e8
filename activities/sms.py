"""Notices by SMS through a gateway. One request is the whole send: there is nothing to prepare but the words."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from activities.delivery import Accepted, Refused, Silent, Unreachable
from activities.sms_errors import About, SmsRefused, SmsSilent, SmsUnreachable
from activities.sms_gateways import SmsGateway
from activities.texts import Texts
from lunas.briefs import NoticeBrief
from lunas.links import Links, Purpose
from lunas.receivables.ladder import Channel

_OK = 200


class SmsCarrier:
    """Sends notices as text messages through one gateway; None where the installation has none."""

    channel = Channel.SMS

    def __init__(self, texts: Texts, gateway: SmsGateway | None, links: Links) -> None:
        self._texts = texts
        self._gateway = gateway
        self._links = links

    def template_digest(self, brief: NoticeBrief) -> str:
        """Names the wording, for the decision record."""
        return self._texts.digest(brief.kind, Channel.SMS, brief.to.language)

    async def prepare(self, brief: NoticeBrief) -> _PreparedText:
        """Write the words."""
        if self._gateway is None:
            raise Refused(0, "no SMS gateway is configured: set LUNAS_SMS_GATEWAY", permanent=True)
        pay = self._links.url(Purpose.PAY, brief.pay_subject, brief.today)
        return _PreparedText(self._gateway, brief.to.address, self._texts.sms(brief, pay), brief.message_id)


class _PreparedText:
    """A text message that waits for its moment."""

    def __init__(self, gateway: SmsGateway, to: str, text: str, key: str) -> None:
        self._gateway = gateway
        self._to, self._text, self._key = to, text, key

    async def release(self, before: float) -> Accepted:
        try:
            accepted = await self._gateway.send(self._to, self._text, self._key, before=before)
        except SmsRefused as refused:
            gone = refused.permanent and refused.about in (About.RECIPIENT, About.OPT_OUT)
            raise Refused(refused.code, refused.text, permanent=refused.permanent, bad_address=gone) from None
        except SmsSilent as silent:
            raise Silent(str(silent)) from None
        except SmsUnreachable as error:
            raise Unreachable(str(error)) from None
        return Accepted(_OK, accepted.id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
