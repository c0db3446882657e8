"""What one page shows of ways to reach people: every address, number and profile, with the signs for and against it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from urllib.parse import parse_qs, unquote

import httpx2
import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberMatcher, PhoneNumberType

from activities import contact_words as words
from activities.contact_words import Sign, registrable
from activities.page_text import SEAM, Content, Json, Link

_SNIPPET = 160  # characters
_LEAST_DIGITS = 6  # in a line that may have a number
_LABEL = 60  # characters before a number or address in which its label is looked for
_MOST_NODES = 2_000  # of a JSON-LD document
_MOST_TO_SEARCH = 30_000  # characters of a page that are searched for numbers: it is slow work


class Kind(StrEnum):
    """What is found. A mobile and a WhatsApp number can be texted; a profile is for a person to look at."""

    EMAIL = "email"
    PHONE = "phone"
    MOBILE = "mobile"
    WHATSAPP = "whatsapp"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a contact was found: the page, and the words around it."""

    url: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A contact as it stands in one place. `fax`: it is said to be a fax line and nothing else."""

    kind: Kind
    value: str
    signs: frozenset[Sign]
    evidence: Evidence
    fax: bool = False

    @property
    def points(self) -> int:
        """What its signs are worth together."""
        return sum(sign.points for sign in self.signs)


def sightings(content: Content, home: str, region: str, *, contact_page: bool) -> list[Sighting]:
    """Every way to reach someone on a page of the website whose registered name is `home`.

    `region` is where numbers without a country code are from; `contact_page` says that people look for contacts there.
    """
    signs = {Sign.CONTACT_PAGE} if contact_page else set()
    if registrable(httpx2.URL(content.url).host) != home:
        signs.add(Sign.ELSEWHERE)
    spot = _Spot(content.url, home, region, frozenset(signs))
    found: list[Sighting] = []
    before, searched = "", 0
    for line in content.lines:
        found += _emails_in(line, before, spot)
        if searched < _MOST_TO_SEARCH and sum(each.isdigit() for each in line) >= _LEAST_DIGITS:
            searched += len(line)
            found += _numbers_in(line.replace(SEAM, " "), before.replace(SEAM, " "), spot)
        before = line
    for link in content.links:
        found += _linked(link, content.lines, spot)
    for document in content.data:
        found += _structured(document, spot)
    return found


@dataclass(frozen=True, slots=True)
class _Spot:
    """Makes sightings on one page; what is no address or no number makes none."""

    url: str
    home: str
    region: str
    signs: frozenset[Sign]

    @property
    def bare_code(self) -> re.Pattern[str]:
        """Where the region's own country code seems to stand without its plus, as in `62-274-512345`."""
        return _bare(phonenumbers.country_code_for_region(self.region))

    def email(self, text: str, how: Sign, snippet: str) -> Iterator[Sighting]:
        try:
            address = validate_email(text, check_deliverability=False).ascii_email
        except EmailNotValidError:
            return
        if address is None:
            return
        local, _, domain = address.lower().rpartition("@")
        if words.NOBODY.search(local) or domain in words.NOT_REAL or domain.rpartition(".")[2] in words.FILE_ENDINGS:
            return
        if registrable(domain) in (self.home, registrable(httpx2.URL(self.url).host)):
            whose = Sign.OWN_DOMAIN
        else:
            whose = Sign.FREE_MAIL if words.FREE_MAIL.search(domain) else Sign.OTHER_DOMAIN
        desk = next((sign for sign, pattern in words.DESKS if pattern.search(local)), None)
        yield self._sighting(Kind.EMAIL, f"{local}@{domain}", (how, whose, *((desk,) if desk else ())), snippet)

    def number(
        self,
        number: PhoneNumber | str,
        signs: Iterable[Sign],
        snippet: str,
        *,
        whatsapp: bool = False,
        fax: bool = False,
    ) -> Iterator[Sighting]:
        parsed = self._parsed(number) if isinstance(number, str) else number
        if parsed is None or not phonenumbers.is_valid_number(parsed):
            return
        sort = phonenumbers.number_type(parsed)
        if sort in (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.PAGER):
            return
        if phonenumbers.region_code_for_number(parsed) != self.region:
            signs = (*signs, Sign.FOREIGN)
        mobile = sort in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
        kind = Kind.WHATSAPP if whatsapp else Kind.MOBILE if mobile else Kind.PHONE
        yield self._sighting(kind, phonenumbers.format_number(parsed, PhoneNumberFormat.E164), signs, snippet, fax=fax)

    def profile(self, url: str, snippet: str) -> Sighting:
        return self._sighting(Kind.PROFILE, url, (Sign.LINK,), snippet)

    def _parsed(self, text: str) -> PhoneNumber | None:
        try:
            return phonenumbers.parse(text, self.region)
        except phonenumbers.NumberParseException:
            return None

    def _sighting(self, kind: Kind, value: str, signs: Iterable[Sign], snippet: str, *, fax: bool = False) -> Sighting:
        beside = (Sign.WEB_MAKER,) if words.WEB_MAKER.search(snippet) else ()
        return Sighting(kind, value, self.signs.union(signs, beside), Evidence(self.url, snippet), fax)


@cache
def _bare(code: int) -> re.Pattern[str]:
    return re.compile(rf"(?<![\d+])(?<!\d[ ./-]){code}(?=[ .-]?\(?\d)")


def _snippet(line: str, start: int, end: int) -> str:
    """The words around `line[start:end]`."""
    room = max(0, _SNIPPET - (end - start)) // 2
    cut = line[max(0, start - room) : end + room].replace(SEAM, " ")
    return " ".join(cut.split())[:_SNIPPET]


def _label(line: str, end: int, start: int, before: str) -> str:
    """The words that label what begins at `start`, where the last thing ended at `end`; `before` is the line above."""
    label = line[end:start]
    if not re.search(r"[^\W_]", label) and end == 0 and len(before) <= _LABEL:
        label = before
    return re.split(r"[,;|•·\d]", label)[-1][-_LABEL:]


# --- addresses in text ----------------------------------------------------------------------------------------------

_MAIL = re.compile(
    r"(?<![\w.@+%-])[a-z0-9](?:[\w.%+'-]{0,62}[a-z0-9_])?@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}[a-z]{2,24}(?![\w@-])",
    re.ASCII | re.IGNORECASE,
)
_AT = re.compile(rf"[\s{SEAM}]*[\[({{<][\s{SEAM}]*(?:at|et|@)[\s{SEAM}]*[\])}}>][\s{SEAM}]*", re.IGNORECASE)
_DOT = re.compile(rf"[\s{SEAM}]*[\[({{<][\s{SEAM}]*(?:dot|titik|\.)[\s{SEAM}]*[\])}}>][\s{SEAM}]*", re.IGNORECASE)
_SPELT_DOT = re.compile(r"\s+dot\s+", re.IGNORECASE)
_SPELT = re.compile(r"([\w.+-]{1,64})\s+at\s+([\w-]{1,63}(?:\s+dot\s+[\w-]{1,63}){1,4})\b", re.ASCII | re.IGNORECASE)


def _emails_in(line: str, before: str, spot: _Spot) -> Iterator[Sighting]:
    plain = line.replace(SEAM, " ")
    shown, end = set[str](), 0
    for match in _MAIL.finditer(plain):
        shown.add(match[0].lower())
        labelled = words.MAIL_LABEL.search(_label(plain, end, match.start(), before))
        how = Sign.LABELLED if labelled else Sign.WRITTEN
        yield from spot.email(match[0], how, _snippet(plain, match.start(), match.end()))
        end = match.end()
    revealed = _revealed(line)
    for match in _MAIL.finditer(revealed):
        if match[0].lower() not in shown:
            yield from spot.email(match[0], Sign.DISGUISED, _snippet(plain, 0, min(len(plain), _SNIPPET)))


def _revealed(line: str) -> str:
    """The line with addresses as people read them: `sales [at] sinar (dot) co.id`."""
    line = _DOT.sub(".", _AT.sub("@", line))
    line = re.sub(f"{SEAM}@{SEAM}|{SEAM}@|@{SEAM}", "@", line)
    line = re.sub(rf"{SEAM}\.{SEAM}", ".", line).replace(SEAM, " ")
    if words.MAIL_LABEL.search(line):
        line = re.sub(r" ?@ ?", "@", line)
    return _SPELT.sub(lambda match: f"{match[1]}@{_SPELT_DOT.sub('.', match[2])}", line)


# --- numbers in text ------------------------------------------------------------------------------------------------

_AFTER = re.compile(r"\s*[(\[][^\d)\]]{1,30}[)\]]")


def _numbers_in(line: str, before: str, spot: _Spot) -> Iterator[Sighting]:
    matches = list(PhoneNumberMatcher(line, spot.region))
    if not matches and (line := spot.bare_code.sub(r"+\g<0>", line)):
        matches = list(PhoneNumberMatcher(line, spot.region))
    label, end = "", 0
    for match in matches:
        own = _label(line, end, match.start, before)
        after = _AFTER.match(line, match.end)
        end = after.end() if after else match.end
        if re.search(r"[^\W_]", own):
            label = own  # else it shares the label of the number before it
        said = f"{label} {after[0] if after else ''}"
        yield from _labelled(match.number, said, _snippet(line, match.start, match.end), spot)


def _labelled(number: PhoneNumber, label: str, snippet: str, spot: _Spot) -> Iterator[Sighting]:
    phone, fax, chat = (
        bool(pattern.search(label)) for pattern in (words.PHONE_LABEL, words.FAX_LABEL, words.WHATSAPP_LABEL)
    )
    if not (phone or chat) and words.OTHER_NUMBER.search(label):
        return
    how = Sign.LABELLED if phone or chat else Sign.WRITTEN
    if chat:
        yield from spot.number(number, (how,), snippet, whatsapp=True)
    if phone or not chat:
        signs = (how, Sign.FAX_TOO) if fax and phone else (how,)
        yield from spot.number(number, signs, snippet, fax=fax and not phone)


# --- links ----------------------------------------------------------------------------------------------------------


def _linked(link: Link, lines: tuple[str, ...], spot: _Spot) -> Iterator[Sighting]:
    scheme, _, rest = link.target.partition(":")
    line = lines[link.line].replace(SEAM, " ") if link.line < len(lines) else ""
    at = line.find(link.words) if link.words else -1
    snippet = _snippet(line, at, at + len(link.words)) if at >= 0 else link.words or link.target[:_SNIPPET]
    match scheme.lower():
        case "mailto":
            for address in re.split(r"[,;]", unquote(rest.partition("?")[0])):
                yield from spot.email(address.strip(), Sign.LINK, snippet)
        case "tel" | "callto" | "sms":
            yield from spot.number(unquote(rest.partition("?")[0]), (Sign.LINK,), snippet)
        case "whatsapp":
            yield from _chat(parse_qs(rest.partition("?")[2]).get("phone", [""])[0], snippet, spot)
        case "http" | "https":
            url = httpx2.URL(link.target)
            host = url.host.removeprefix("www.")
            if host == "wa.me":
                yield from _chat(url.path.strip("/"), snippet, spot)
            elif host in ("api.whatsapp.com", "web.whatsapp.com"):
                yield from _chat(url.params.get("phone", ""), snippet, spot)
            elif registrable(host) == "linkedin.com" and (name := re.match(r"/company/[\w%.-]{1,100}", url.path)):
                yield spot.profile(f"https://www.linkedin.com{name[0]}", snippet)


def _chat(number: str, snippet: str, spot: _Spot) -> Iterator[Sighting]:
    digits = re.sub(r"[\s()+-]", "", number)
    if digits.isdecimal():
        number = digits if digits.startswith("0") else f"+{digits}"
        yield from spot.number(number, (Sign.LINK,), snippet, whatsapp=True)


# --- structured data ------------------------------------------------------------------------------------------------


def _structured(document: Json, spot: _Spot) -> Iterator[Sighting]:
    """What JSON-LD says of the organisation and its contact points; what it says of people is left out."""
    waiting: list[tuple[Json, bool]] = [(document, False)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        node, is_point = waiting.pop()
        if isinstance(node, list):
            waiting += [(each, is_point) for each in node]
        elif isinstance(node, dict):
            types = " ".join(_texts(node.get("@type")))
            if "Person" not in types:
                yield from _from_node(node, is_point or "ContactPoint" in types, spot)
            waiting += [(each, name.lower().startswith("contactpoint")) for name, each in node.items()]


def _from_node(node: dict[str, Json], is_point: bool, spot: _Spot) -> Iterator[Sighting]:
    how = Sign.CONTACT_POINT if is_point else Sign.ORGANISATION
    name = " ".join(_texts(node.get("contactType")) or _texts(node.get("name")))[:80]
    for text in _texts(node.get("email")):
        for address in re.split(r"[,;\s]+", text.removeprefix("mailto:")):
            yield from spot.email(address, how, f"{name}: {address}"[:_SNIPPET])
    for text in _texts(node.get("telephone")):
        yield from spot.number(text.removeprefix("tel:"), (how,), f"{name}: {text}"[:_SNIPPET])
    for text in _texts(node.get("faxNumber")):
        yield from spot.number(text, (how,), f"{name}: {text}"[:_SNIPPET], fax=True)


def _texts(value: Json) -> list[str]:
    each = value if isinstance(value, list) else [value]
    return [text.strip()[:300] for text in each if isinstance(text, str) and text.strip()]
