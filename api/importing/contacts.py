"""Who is to be written to: emails, phone numbers in E.164, the time zone of an address, and a code for a customer."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

import phonenumbers
from email_validator import EmailNotValidError, validate_email

_NOTHING = frozenset(
    {"", "-", "--", "n/a", "na", "none", "null", "nil", "tidak ada", "tdk ada", "kosong", "0", "x", "."}
)
_MOBILE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
_LEGAL_FORMS = frozenset(
    {"pt", "cv", "ud", "tbk", "persero", "pte", "ltd", "inc", "llc", "gmbh", "co", "pd", "koperasi"}
)

_ZONES = {"wib": "Asia/Jakarta", "wita": "Asia/Makassar", "wit": "Asia/Jayapura"}
_WITA = """
bali, nusa tenggara barat, nusa tenggara timur, ntb, ntt, kalimantan selatan, kalimantan timur, kalimantan
utara, sulawesi utara, sulawesi tengah, sulawesi selatan, sulawesi tenggara, sulawesi barat, gorontalo,
denpasar, badung, gianyar, tabanan, buleleng, singaraja, ubud, kuta, mataram, lombok, sumbawa, bima, kupang,
maumere, ende, labuan bajo, waingapu, banjarmasin, banjarbaru, martapura, balikpapan, samarinda, bontang,
tenggarong, nusantara, tarakan, nunukan, makassar, maros, gowa, parepare, palopo, bone, mamuju, palu, poso,
kendari, baubau, manado, bitung, tomohon, kotamobagu
"""
_WIT = """
maluku, maluku utara, papua, papua barat, papua tengah, papua selatan, papua pegunungan, papua barat daya,
ambon, tual, ternate, tidore, sofifi, jayapura, sentani, merauke, nabire, timika, biak, sorong, manokwari,
fakfak, kaimana, wamena, serui
"""
_PLACES = {name.strip(): "Asia/Makassar" for name in _WITA.split(",")} | {
    name.strip(): "Asia/Jayapura" for name in _WIT.split(",")
}


class ContactError(ValueError):
    """An address or number that cannot be used; the sentence says what is expected, and never repeats it."""


def given(text: str) -> str:
    """The text, or nothing where a cell only says that there is nothing (`-`, `n/a`, `tidak ada`)."""
    bare = text.strip()
    return "" if bare.lower() in _NOTHING else bare


def parse_email(text: str) -> str | None:
    """The first address of the cell, normalised; None where there is none. Raises ContactError for a bad one."""
    parts = [part for part in re.split(r"[;,\s]+", given(text)) if part]
    if not parts:
        return None
    try:
        return validate_email(parts[0].strip("<>"), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise ContactError("not an email address: expected one such as finance@company.example") from None


def parse_phone(text: str, region: str) -> str | None:
    """A number in E.164, the first mobile one where the cell has several; None where there is none.

    `region` (ISO 3166, `ID`) is that of numbers without a country code. Raises ContactError for a bad one.
    """
    parts = [part for part in re.split(r"[;,/]|\batau\b|\bor\b", given(text)) if given(part)]
    numbers = [number for part in parts if (number := _number(part, region)) is not None]
    if not parts:
        return None
    if not numbers:
        raise ContactError("not a telephone number: expected one such as 0812-3456-7890 or +62 21 555 0100")
    best = next((n for n in numbers if phonenumbers.number_type(n) in _MOBILE), numbers[0])
    return phonenumbers.format_number(best, phonenumbers.PhoneNumberFormat.E164)


def parse_zone(text: str, default: str) -> str:
    """`WITA`, or an IANA name as it stands; `default` where nothing is said."""
    bare = given(text)
    return _ZONES.get(bare.lower(), bare) if bare else default


def zone_of(address: Sequence[str], default: str) -> str:
    """The time zone of an Indonesian address by its last town or province that is known; else `default`."""
    for part in reversed([piece for text in address for piece in re.split(r"[,\n;]", text)]):
        place = re.sub(r"\b(kota|kab|kabupaten|provinsi|prov)\b\.?|\d+", " ", part.lower())
        found = _PLACES.get(" ".join(place.replace(".", " ").split()))
        if found:
            return found
    return default


def customer_code(name: str) -> str:
    """A code for a customer that has none: readable, and the same for every spelling of the name's marks and spaces."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    kept = [word for word in words if word not in _LEGAL_FORMS] or words or ["customer"]
    digest = hashlib.sha256(" ".join(words).encode() or name.encode()).hexdigest()[:4]
    return f"{'-'.join(kept)[:24].strip('-')}-{digest}".upper()


def _number(text: str, region: str) -> phonenumbers.PhoneNumber | None:
    bare = re.sub(r"^[^\d+(]+", "", text)
    # Spreadsheets drop the plus of a country code: 62812… is not a local number in Indonesia.
    code = str(phonenumbers.country_code_for_region(region))
    attempts = (bare, f"+{bare}") if bare.startswith(code) and len(bare) > 10 else (bare,)
    for attempt in attempts:
        try:
            number = phonenumbers.parse(attempt, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number
    return None
