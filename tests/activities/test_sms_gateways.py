"""Text messages through REST gateways: what is written, and what each way of failing lets us be sure of."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import httpcore2
import httpx2
import pytest

from activities.sms_gateways import (
    About,
    Patience,
    SmsAccepted,
    SmsError,
    SmsGateway,
    SmsRefused,
    SmsSilent,
    SmsTooLate,
    SmsUnreachable,
    TemplateGateway,
    TwilioGateway,
    gateway_client,
)

TO = "+6281234567890"
TEXT = 'Faktur INV/2026/11/0042 "lewat" 3 hari.\nLunas? {to} \\ & é'
BEARER = "tok"
KEY = "INV/2026/11/0042:+3:sms"
TEMPLATE = '{"to": "{to}", "msg": {"body": "Lunas: {text}", "digits": "{to_digits}"}, "ref": ["{id}"], "flash": false}'

Answer = httpx2.Response | Exception


def client_that(answer: Answer, seen: list[httpx2.Request] | None = None) -> httpx2.AsyncClient:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


def twilio(client: httpx2.AsyncClient, **more: Any) -> TwilioGateway:
    return TwilioGateway(client, **({"account": "AC42", "secret": "s3cret", "sender": "+15005550006"} | more))


def template(client: httpx2.AsyncClient, **more: Any) -> TemplateGateway:
    return TemplateGateway(client, **({"url": "https://sms.example/send", "template": TEMPLATE} | more))


BOTH = pytest.mark.parametrize("make", [twilio, template], ids=["twilio", "template"])
Make = Callable[[httpx2.AsyncClient], SmsGateway]


# --- what is written ------------------------------------------------------------------------------------------------


async def test_twilio_gets_a_form_with_basic_credentials() -> None:
    seen: list[httpx2.Request] = []
    gateway = twilio(client_that(httpx2.Response(201, json={"sid": "SM1", "status": "queued"}), seen))
    assert await gateway.send(TO, TEXT, KEY) == SmsAccepted("SM1")
    [request] = seen
    assert (request.method, str(request.url)) == (
        "POST",
        "https://api.twilio.com/2010-04-01/Accounts/AC42/Messages.json",
    )
    assert request.headers["authorization"] == "Basic QUM0MjpzM2NyZXQ="
    assert parse_qs(request.content.decode()) == {
        "To": [TO],
        "From": ["+15005550006"],
        "Body": [TEXT],
        "ValidityPeriod": ["1800"],
    }


async def test_twilio_gets_a_messaging_service_and_a_callback_that_names_the_notice() -> None:
    seen: list[httpx2.Request] = []
    client = client_that(httpx2.Response(201, json={"sid": "SM1"}), seen)
    await twilio(client, sender="MG77", status_callback="https://lunas.example/hooks/twilio").send(TO, TEXT, KEY)
    form = parse_qs(seen[0].content.decode())
    assert form["MessagingServiceSid"] == ["MG77"]
    assert "From" not in form
    assert form["StatusCallback"] == ["https://lunas.example/hooks/twilio?key=INV%2F2026%2F11%2F0042%3A%2B3%3Asms"]


async def test_a_template_is_filled_inside_its_strings() -> None:
    seen: list[httpx2.Request] = []
    client = client_that(httpx2.Response(200, json={"id": 991}), seen)
    accepted = await template(client, secret=BEARER, headers={"X-App": "lunas"}).send(TO, TEXT, KEY)
    assert accepted == SmsAccepted("991")
    [request] = seen
    assert request.headers["authorization"] == "Bearer tok"
    assert request.headers["x-app"] == "lunas"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "to": TO,
        "msg": {"body": f"Lunas: {TEXT}", "digits": "6281234567890"},
        "ref": [KEY],
        "flash": False,
    }


@pytest.mark.parametrize("text", ['", "to": "+62000", "x": "', "\\", '\\"', "{id}", "\u2028\x00\U0001f600", "}{"])
async def test_no_text_escapes_from_its_string(text: str) -> None:
    seen: list[httpx2.Request] = []
    await template(client_that(httpx2.Response(200), seen)).send(TO, text, KEY)
    body = json.loads(seen[0].content)
    assert body["to"] == TO
    assert body["msg"]["body"] == f"Lunas: {text}"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"template": '{"to": {to}, "text": "{text}"}'}, "inside strings"),
        ({"template": '{"to": "{to}"}'}, "{text}"),
        ({"template": '{"text": "{text}"}'}, "{to}"),
        ({"url": "ftp://sms.example"}, "LUNAS_SMS_URL"),
        ({"url": "sms.example/send"}, "LUNAS_SMS_URL"),
        ({"accepted_if": "status"}, "field=value"),
        ({"secret": "a\r\nX-Evil: 1"}, "Authorization"),
    ],
)
def test_a_template_gateway_that_cannot_work_is_refused_at_start(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("{", r"\{").replace("}", r"\}")):
        template(gateway_client(), **more)


@pytest.mark.parametrize("missing", ["account", "secret", "sender"])
def test_twilio_without_credentials_is_refused_at_start(missing: str) -> None:
    with pytest.raises(ValueError, match=f"LUNAS_SMS_{missing.upper()}"):
        twilio(gateway_client(), **{missing: " "})


# --- what is answered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "about", "permanent"),
    [
        (400, 21211, About.RECIPIENT, True),
        (400, 21614, About.RECIPIENT, True),
        (400, 21610, About.OPT_OUT, True),
        (400, 21617, About.MESSAGE, True),
        (400, 29999, About.MESSAGE, True),  # nobody knows: the same again would be refused again
        (401, 20003, About.ACCOUNT, False),
        (400, 21606, About.ACCOUNT, False),
        (429, 20429, About.ACCOUNT, False),
        (500, 20500, About.ACCOUNT, False),
        (503, 20503, About.ACCOUNT, False),
    ],
)
async def test_twilio_refuses_in_its_own_words(status: int, code: int, about: About, permanent: bool) -> None:
    words = f"The number {TO} is not good"
    gateway = twilio(client_that(httpx2.Response(status, json={"code": code, "message": words, "status": status})))
    with pytest.raises(SmsRefused) as refused:
        await gateway.send(TO, TEXT, KEY)
    error = refused.value
    assert (error.code, error.text, error.about, error.permanent) == (code, words, about, permanent)
    assert TO not in str(error)


@BOTH
@pytest.mark.parametrize(
    ("status", "about", "permanent"),
    [
        (400, About.MESSAGE, True),
        (422, About.MESSAGE, True),
        (301, About.ACCOUNT, False),
        (401, About.ACCOUNT, False),
        (403, About.ACCOUNT, False),
        (404, About.ACCOUNT, False),
        (429, About.ACCOUNT, False),
        (503, About.ACCOUNT, False),
    ],
)
async def test_a_bare_status_refuses(make: Make, status: int, about: About, permanent: bool) -> None:
    answer = httpx2.Response(status, text="no", headers={"location": "https://elsewhere.example/"})
    with pytest.raises(SmsRefused) as refused:
        await make(client_that(answer)).send(TO, TEXT, KEY)
    assert (refused.value.code, refused.value.about, refused.value.permanent) == (status, about, permanent)


@BOTH
@pytest.mark.parametrize("status", [303, 409, 500, 502, 504])
async def test_what_something_in_between_says_proves_nothing(make: Make, status: int) -> None:
    with pytest.raises(SmsSilent, match=str(status)):
        await make(client_that(httpx2.Response(status, text="<h1>Bad Gateway</h1>"))).send(TO, TEXT, KEY)


@pytest.mark.parametrize("body", ["", "[]", "null", '{"sid": 7}', "[" * 100_000])
async def test_twilio_that_names_no_message_has_not_said_what_became_of_it(body: str) -> None:
    with pytest.raises(SmsSilent):
        await twilio(client_that(httpx2.Response(201, text=body))).send(TO, TEXT, KEY)


@pytest.mark.parametrize(
    ("body", "more", "id_"),
    [
        ({"status": True, "id": ["88"]}, {}, "88"),
        ({"status": "1", "messageId": 7}, {"accepted_if": "status=1", "id_field": "messageId"}, "7"),
        ({"result": [{"code": 0, "ref": "x"}]}, {"accepted_if": "result.code = 0", "id_field": "result.ref"}, "x"),
        ({"sent": True}, {"accepted_if": "sent=true"}, KEY),
        ({}, {}, KEY),
        (["whatever"], {}, KEY),
    ],
)
async def test_a_template_gateway_accepts(body: object, more: dict[str, str], id_: str) -> None:
    gateway = template(client_that(httpx2.Response(200, json=body)), **more)
    assert await gateway.send(TO, TEXT, KEY) == SmsAccepted(id_)


@pytest.mark.parametrize(
    ("body", "more"),
    [
        ({"status": False, "reason": "invalid number"}, {}),
        ({"success": False}, {}),
        ({"status": "0"}, {"accepted_if": "status=1"}),
        ({}, {"accepted_if": "status=1"}),
        ("ERROR 12", {"accepted_if": "status=1"}),
    ],
)
async def test_a_template_gateway_says_no_with_200(body: object, more: dict[str, str]) -> None:
    with pytest.raises(SmsRefused) as refused:
        await template(client_that(httpx2.Response(200, json=body)), **more).send(TO, TEXT, KEY)
    assert refused.value.permanent
    assert refused.value.about is About.MESSAGE
    assert refused.value.text


# --- what goes wrong ------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("failure", "means"),
    [
        (httpx2.ConnectError("refused"), SmsUnreachable),
        (httpx2.ConnectTimeout("slow"), SmsUnreachable),
        (httpx2.PoolTimeout("full"), SmsUnreachable),
        (httpx2.ProxyError("407"), SmsUnreachable),
        (httpx2.ReadTimeout("slow"), SmsSilent),
        (httpx2.ReadError("reset"), SmsSilent),
        (httpx2.WriteError("broken pipe"), SmsSilent),
        (httpx2.WriteTimeout("slow"), SmsSilent),
        (httpx2.RemoteProtocolError("gone"), SmsSilent),
        (httpx2.LocalProtocolError("odd"), SmsSilent),
        (httpx2.DecodingError("bad gzip"), SmsSilent),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
async def test_every_failure_is_sorted_by_whether_anything_was_written(
    make: Make, failure: Exception, means: type[SmsError]
) -> None:
    with pytest.raises(SmsError) as error:
        await make(client_that(failure)).send(TO, TEXT, KEY)
    assert type(error.value) is means


async def test_a_bug_is_not_taken_for_a_gateways_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        await twilio(client_that(ZeroDivisionError())).send(TO, TEXT, KEY)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_over_a_real_connection() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\n{"sid": "SM1"}')
        await writer.drain()

    async with listening(accept) as url, gateway_client() as client:
        assert await twilio(client, base_url=url).send(TO, TEXT, KEY) == SmsAccepted("SM1")


async def test_a_closed_port_means_that_nothing_was_sent() -> None:
    async with listening(lambda *_: asyncio.sleep(0)) as url:
        pass
    async with gateway_client() as client:
        with pytest.raises(SmsUnreachable):
            await twilio(client, base_url=url).send(TO, TEXT, KEY)


async def test_a_gateway_that_hangs_up_after_the_request_leaves_it_unknown() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with listening(hang_up) as url, gateway_client() as client:
        with pytest.raises(SmsSilent):
            await twilio(client, base_url=url).send(TO, TEXT, KEY)


async def test_a_gateway_that_drips_its_answer_is_not_waited_for_for_ever() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening(drip) as url, gateway_client() as client:
        began = time.monotonic()
        with pytest.raises(SmsSilent):
            await twilio(client, base_url=url, patience=Patience(answer=0.3)).send(TO, TEXT, KEY)
        assert time.monotonic() - began < 2


# --- the last moment ------------------------------------------------------------------------------------------------


async def test_nothing_is_asked_when_the_moment_has_passed() -> None:
    seen: list[httpx2.Request] = []
    with pytest.raises(SmsTooLate):
        await twilio(client_that(httpx2.Response(201), seen)).send(TO, TEXT, KEY, before=time.monotonic())
    assert seen == []


async def test_a_connection_that_took_too_long_is_not_written_to() -> None:
    """The moment passes between the first look at the clock and the first byte."""

    class SlowToConnect(httpcore2.AnyIOBackend):
        async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
            stream = await super().connect_tcp(*args, **kwargs)
            await asyncio.sleep(0.3)
            return stream

    received = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read(1))

    transport = httpx2.AsyncHTTPTransport()
    transport._pool._network_backend = SlowToConnect()
    async with listening(take) as url, httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(SmsTooLate):
            await twilio(client, base_url=url).send(TO, TEXT, KEY, before=time.monotonic() + 0.1)
        assert await received == b""
