"""SMS out: one text message through a gateway's REST interface. What may become of it: see `sms_errors`."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote, urlencode

import httpx2

from activities.sms_errors import About, SmsError, SmsRefused, SmsSilent, SmsTooLate, SmsUnreachable

__all__ = [
    "About",
    "Patience",
    "SmsAccepted",
    "SmsError",
    "SmsGateway",
    "SmsRefused",
    "SmsSilent",
    "SmsTooLate",
    "SmsUnreachable",
    "TemplateGateway",
    "TwilioGateway",
    "gateway_client",
]

# What httpx2 raises before the first byte of a request is written. Every other failure leaves the outcome unknown:
# WriteError and WriteTimeout, because what was written may have been enough, ReadError, ReadTimeout and
# RemoteProtocolError, because the answer is missing and not the question.
_NOTHING_WRITTEN = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)

# httpcore2's names for the moments just before it writes; without its body a request is never carried out.
_ABOUT_TO_WRITE = ("send_request_headers.started", "send_request_body.started")

_Json: TypeAlias = "dict[str, _Json] | list[_Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class SmsAccepted:
    """The gateway took responsibility for the message; `id` is its name for it there."""

    id: str


class SmsGateway(Protocol):
    """Hands text messages over to a network."""

    async def send(self, to: str, text: str, key: str, *, before: float | None = None) -> SmsAccepted:
        """Send `text` to the number `to` (E.164); `key` names the notice, whatever the attempt.

        Nothing is written from the moment `before` of `time.monotonic()` on. Raises SmsError; a cancellation leaves
        the outcome unknown.
        """
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a gateway is waited for, in seconds: to be connected to, and to answer, all in all."""

    connect: float = 2.0
    answer: float = 15.0


def gateway_client() -> httpx2.AsyncClient:
    """A client fit for gateways: a connection that may have been lost while it lay idle is never used again."""
    return httpx2.AsyncClient(limits=httpx2.Limits(max_connections=20, max_keepalive_connections=0))


class TwilioGateway:
    """Twilio's Messages resource.

    It knows no idempotency key: what came of a silent attempt is learnt from its status callbacks, which go to
    `status_callback` with the notice's key as the parameter `key`. `sender` is a number, a name or a messaging
    service (`MG…`). A message that has not reached a carrier after `valid_for` seconds is dropped: by default Twilio
    would deliver it ten hours later, out of the sending window.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        account: str,
        secret: str,
        sender: str,
        status_callback: str | None = None,
        valid_for: int = 1800,
        base_url: str = "https://api.twilio.com",
        patience: Patience | None = None,
    ) -> None:
        for what, value in (("account", account), ("secret", secret), ("sender", sender)):
            if not value.strip():
                raise ValueError(f"Twilio needs the {what}: set LUNAS_SMS_{what.upper()}")
        self._client = client
        self._url = f"{base_url.rstrip('/')}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json"
        self._auth = httpx2.BasicAuth(account, secret)
        self._fixed = {
            "MessagingServiceSid" if sender.startswith("MG") else "From": sender,
            "ValidityPeriod": str(valid_for),
        }
        self._status_callback = status_callback
        self._patience = patience or Patience()

    async def send(self, to: str, text: str, key: str, *, before: float | None = None) -> SmsAccepted:
        """Send it; see SmsGateway."""
        form = {"To": to, "Body": text} | self._fixed
        if self._status_callback is not None:
            joint = "&" if "?" in self._status_callback else "?"
            form["StatusCallback"] = f"{self._status_callback}{joint}{urlencode({'key': key})}"
        request = self._client.build_request("POST", self._url, data=form)
        answer = await _ask(self._client, request, self._patience, before, self._auth)
        said = _object(answer)
        if answer.is_success:
            if not isinstance(sid := said.get("sid"), str):
                raise SmsSilent(f"the gateway answered {answer.status_code} without naming the message")
            return SmsAccepted(sid)
        code = said.get("code")
        if isinstance(code, int) and not isinstance(code, bool):
            words = said.get("message")
            raise _refused_by_twilio(answer.status_code, code, words if isinstance(words, str) else "")
        raise _refused_by_status(answer)


class TemplateGateway:
    """Any gateway that takes a JSON document at one address.

    `template` is that document; `{to}`, `{to_digits}` (without the plus), `{text}` and `{id}` inside its strings are
    filled in. `secret` is sent as a bearer token. Many such gateways answer 200 to everything: `accepted_if`, such as
    `status=1` or `result.code=0`, is what the answer has to say, where it says more than `"status": false`; `id_field`
    is where it names the message (where it does not, our key is its id).
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        url: str,
        template: str,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        accepted_if: str = "",
        id_field: str = "id",
        patience: Patience | None = None,
    ) -> None:
        parsed = httpx2.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("the gateway's address has to begin with https:// or http://: set LUNAS_SMS_URL")
        if accepted_if and "=" not in accepted_if:
            raise ValueError(f"{accepted_if!r} compares nothing: write field=value, such as status=1")
        self._client = client
        self._url = parsed
        self._template = _read_template(template)
        self._headers = dict(headers or {})
        if secret:
            self._headers["Authorization"] = f"Bearer {secret}"
        for name, value in self._headers.items():
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"the header {name} has characters that no header may have: printable ASCII only")
        self._accepted_if = accepted_if
        self._id_field = id_field
        self._patience = patience or Patience()

    async def send(self, to: str, text: str, key: str, *, before: float | None = None) -> SmsAccepted:
        """Send it; see SmsGateway."""
        document = _filled(self._template, {"to": to, "to_digits": to.lstrip("+"), "text": text, "id": key})
        request = self._client.build_request("POST", self._url, json=document, headers=self._headers)
        answer = await _ask(self._client, request, self._patience, before, None)
        if not answer.is_success:
            raise _refused_by_status(answer)
        said = _object(answer)
        if not self._accepts(said):
            raise SmsRefused(answer.status_code, answer.text, permanent=True)
        return SmsAccepted(_word(_at(said, self._id_field)) or key)

    def _accepts(self, said: Mapping[str, _Json]) -> bool:
        if self._accepted_if:
            field, _, value = self._accepted_if.partition("=")
            return _word(_at(said, field.strip())) == value.strip()
        return all(said.get(field) is not False for field in ("status", "success", "ok"))


async def _ask(
    client: httpx2.AsyncClient,
    request: httpx2.Request,
    patience: Patience,
    before: float | None,
    auth: httpx2.Auth | None,
) -> httpx2.Response:
    """The gateway's answer, whatever it says. Raises SmsUnreachable or SmsSilent."""

    def look_at_the_clock() -> None:
        if before is not None and time.monotonic() >= before:
            raise SmsTooLate("the time for this message has passed, it was not written: claim anew")

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event.endswith(_ABOUT_TO_WRITE):
            look_at_the_clock()

    look_at_the_clock()
    timeout = httpx2.Timeout(patience.answer, connect=patience.connect, pool=patience.connect)
    request.extensions |= {"trace": trace, "timeout": timeout.as_dict()}
    try:
        async with asyncio.timeout(patience.answer):
            return await client.send(request, auth=auth, follow_redirects=False)
    except _NOTHING_WRITTEN as failure:
        raise SmsUnreachable(f"no connection to the gateway: {type(failure).__name__}") from None
    except (httpx2.HTTPError, TimeoutError) as failure:
        raise SmsSilent(f"the gateway's answer was lost ({type(failure).__name__}): its own log knows") from None


#: Twilio's error codes that say more than their HTTP status; what is not here is judged by that.
_TWILIO: dict[int, tuple[About, bool]] = {
    21211: (About.RECIPIENT, True),  # not a phone number
    21214: (About.RECIPIENT, True),  # cannot be reached
    21217: (About.RECIPIENT, True),  # does not appear to be valid
    21265: (About.RECIPIENT, True),  # a short code
    21612: (About.RECIPIENT, True),  # no route from our sender
    21614: (About.RECIPIENT, True),  # not a mobile number
    21635: (About.RECIPIENT, True),  # a landline
    21610: (About.OPT_OUT, True),  # answered STOP
    21602: (About.MESSAGE, True),  # no text
    21617: (About.MESSAGE, True),  # too long
    20003: (About.ACCOUNT, False),  # wrong credentials, or no balance
    20404: (About.ACCOUNT, False),  # no such account
    20429: (About.ACCOUNT, False),  # too many requests
    21212: (About.ACCOUNT, False),  # not a sender
    21408: (About.ACCOUNT, False),  # this country is not enabled
    21603: (About.ACCOUNT, False),  # no sender
    21606: (About.ACCOUNT, False),  # a sender that cannot send text messages
    21608: (About.ACCOUNT, False),  # a trial account writes to verified numbers only
    21611: (About.ACCOUNT, False),  # the sender's queue is full
    21659: (About.ACCOUNT, False),  # not our sender
    21660: (About.ACCOUNT, False),  # the sender is another account's
}


def _refused_by_twilio(status: int, code: int, text: str) -> SmsRefused:
    known = _TWILIO.get(code)
    if known is not None:
        about, permanent = known
    elif status in _OUR_ACCOUNT or status >= 500:
        about, permanent = About.ACCOUNT, False
    else:
        about, permanent = About.MESSAGE, True
    return SmsRefused(code, text, permanent, about)


#: Statuses that speak of our account or rate, or of the gateway's own hours; what they refuse was not carried out.
_OUR_ACCOUNT = frozenset({401, 402, 403, 404, 405, 407, 408, 425, 429, 503})


def _refused_by_status(answer: httpx2.Response) -> SmsError:
    """An answer that is neither a yes nor in the gateway's own words.

    A 5xx other than 503 may come from something between us and the gateway that had passed the message on, a 409
    says that this id was there before, and a 303 that the outcome is elsewhere: unknown, all of them.
    """
    status = answer.status_code
    if status in _OUR_ACCOUNT or (300 <= status < 400 and status != 303):
        return SmsRefused(status, answer.text, permanent=False, about=About.ACCOUNT)
    if 400 <= status < 500 and status != 409:
        return SmsRefused(status, answer.text, permanent=True)
    return SmsSilent(f"the gateway answered {status}: neither yes nor no")


_PLACEHOLDER = re.compile(r"\{(to|to_digits|text|id)\}")


def _read_template(template: str) -> _Json:
    try:
        document: _Json = json.loads(template)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the gateway's template is not JSON ({error.msg} at character {error.pos}): "
            'placeholders go inside strings, as in {"to": "{to}", "text": "{text}"}'
        ) from None
    found = {each for text in _strings(document) for each in _PLACEHOLDER.findall(text)}
    if "text" not in found or not found & {"to", "to_digits"}:
        raise ValueError("the gateway's template has to have {text}, and {to} or {to_digits}, inside its strings")
    return document


def _strings(node: _Json) -> list[str]:
    match node:
        case str():
            return [node]
        case dict():
            return [text for each in node.values() for text in _strings(each)]
        case list():
            return [text for each in node for text in _strings(each)]
        case _:
            return []


def _filled(node: _Json, values: Mapping[str, str]) -> _Json:
    """The template with its placeholders replaced, in one pass: values are never read as templates."""
    match node:
        case str():
            return _PLACEHOLDER.sub(lambda match: values[match[1]], node)
        case dict():
            return {name: _filled(each, values) for name, each in node.items()}
        case list():
            return [_filled(each, values) for each in node]
        case _:
            return node


def _object(answer: httpx2.Response) -> dict[str, _Json]:
    """The JSON object that the gateway answered; an empty one where it answered something else."""
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _at(said: Mapping[str, _Json], path: str) -> _Json:
    node: _Json = dict(said)
    for name in path.split("."):
        if isinstance(node, list) and node:
            node = node[0]
        node = node.get(name) if isinstance(node, dict) else None
    return node[0] if isinstance(node, list) and node else node


def _word(value: _Json) -> str:
    """A scalar of an answer as text, booleans as JSON writes them; empty for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else ""
