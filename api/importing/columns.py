"""Which column means what: headers in Indonesian and English are recognised, any other is named with `--map`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from api.importing.errors import CannotImport
from api.importing.source import Record


class Field(StrEnum):
    """What an open invoice may say; the values are the names for `--map`."""

    NUMBER = "number"
    CUSTOMER = "customer"
    CUSTOMER_CODE = "code"
    AMOUNT = "amount"
    OPEN = "open"
    ISSUED = "issued"
    DUE = "due"
    TERMS = "terms"
    CURRENCY = "currency"
    EMAIL = "email"
    PHONE = "phone"
    CONTACT = "contact"
    ADDRESS = "address"
    CITY = "city"
    ZONE = "zone"
    LANGUAGE = "language"
    WEBSITE = "website"
    POLICY = "policy"
    DESCRIPTION = "description"
    PURCHASE_ORDER = "po"


# Headers by field, lower case, marks and "no."/"nomor" made alike (`_plain`). After the bar: taken only where no better
# column is there.
_HEADERS: Mapping[Field, str] = {
    Field.NUMBER: (
        "no faktur, no invoice, invoice no, invoice number, invoice id, no tagihan, no nota, faktur no, nomor, "
        "inv no, document number, no dokumen, no bukti, no inv | faktur, invoice, number, no transaksi, "
        "reference, no"
    ),
    Field.CUSTOMER: (
        "nama pelanggan, pelanggan, customer name, customer, nama customer, client, client name, nama klien, bill"
        " to, debitur, nama debitur, nama perusahaan, company, company name, account name, buyer, pembeli | nama,"
        " name"
    ),
    Field.CUSTOMER_CODE: (
        "kode pelanggan, kode customer, customer code, customer no, customer id, id pelanggan, no pelanggan, no "
        "customer, account code, account no, cust code, client code, kode klien | kode, code"
    ),
    Field.AMOUNT: (
        "total tagihan, jumlah tagihan, nilai faktur, nilai invoice, total faktur, total invoice, invoice amount,"
        " invoice total, amount, total amount, grand total, jumlah faktur, nilai tagihan, gross amount, original "
        "amount | jumlah, total, nilai, nominal, tagihan"
    ),
    Field.OPEN: (
        "sisa, sisa tagihan, sisa piutang, saldo, saldo piutang, outstanding, outstanding amount, balance, "
        "balance due, amount due, open amount, open balance, amount open, terutang, belum dibayar, kurang bayar, "
        "remaining, unpaid, residual | piutang"
    ),
    Field.ISSUED: (
        "tanggal faktur, tgl faktur, tanggal invoice, tgl invoice, invoice date, issue date, issued on, issued, "
        "date issued, billing date, tanggal terbit, tgl terbit, document date, tanggal dokumen, tanggal tagihan |"
        " tanggal, tgl, date, tanggal transaksi"
    ),
    Field.DUE: (
        "jatuh tempo, tanggal jatuh tempo, tgl jatuh tempo, tgl jt, due date, due on, date due, due, payment due,"
        " net due date, jt | tempo, batas bayar, tanggal bayar"
    ),
    Field.TERMS: (
        "termin, terms, payment terms, syarat pembayaran, termin pembayaran, jangka waktu, top, term, credit terms"
    ),
    Field.CURRENCY: "mata uang, currency, ccy, valuta, curr",
    Field.EMAIL: (
        "email, e mail, email address, alamat email, surel, email pelanggan, customer email, email customer, "
        "billing email, contact email | mail"
    ),
    Field.PHONE: (
        "telepon, no telepon, telp, no telp, phone, phone no, phone number, telephone, mobile, no hp, hp, "
        "handphone, no handphone, whatsapp, wa, no wa, nomor wa, mobile phone, contact phone, tlp"
    ),
    Field.CONTACT: (
        "nama kontak, kontak, contact, contact name, contact person, pic, nama pic, up, attn, attention, cp"
    ),
    Field.ADDRESS: ("alamat, address, alamat pelanggan, billing address, alamat tagihan, customer address, street"),
    Field.CITY: "kota, city, kabupaten, kota kabupaten, town, provinsi, province, state",
    Field.ZONE: "zona waktu, time zone, timezone, zona, tz",
    Field.LANGUAGE: "bahasa, language, lang, locale",
    Field.WEBSITE: "situs web, website, web, situs, url, laman, homepage",
    Field.POLICY: "kebijakan, policy, dunning policy, kebijakan penagihan",
    Field.DESCRIPTION: (
        "keterangan, uraian, deskripsi, description, memo, perihal, subject, notes, catatan, barang, item"
    ),
    Field.PURCHASE_ORDER: ("no po, po no, po, po number, purchase order, no pesanan, customer po, pesanan, no order"),
}

_STRONG: dict[str, Field] = {}
_WEAK: dict[str, Field] = {}
for _field, _names in _HEADERS.items():
    _strong, _, _weak = _names.partition("|")
    _STRONG.update({name.strip(): _field for name in _strong.split(",")})
    _WEAK.update({name.strip(): _field for name in _weak.split(",") if name.strip()})


@dataclass(frozen=True, slots=True)
class Columns:
    """The header's line and width, where each field stands, and the columns that nothing is taken from."""

    line: int
    headers: tuple[str, ...]
    index: Mapping[Field, int]
    unused: tuple[str, ...]

    def name(self, field: Field) -> str:
        """The header of that field's column, as the file writes it; the field's own name where there is none."""
        return self.headers[self.index[field]] if field in self.index else field.value


def read_map(entries: Sequence[str]) -> dict[Field, str]:
    """What a person states: `number=No. Faktur`. Raises CannotImport for anything else."""
    stated: dict[Field, str] = {}
    for entry in entries:
        name, sign, header = entry.partition("=")
        fields = [field for field in Field if field.value == name.strip().lower()]
        if not (sign and fields and header.strip()):
            raise CannotImport(
                f'{entry!r} maps nothing: write FIELD="HEADER", where FIELD is one of {", ".join(Field)}'
            )
        stated[fields[0]] = header.strip().strip('"')
    return stated


def find_header(candidates: Mapping[str, Sequence[Record]], stated: Mapping[Field, str]) -> tuple[str, Columns]:
    """The delimiter and the columns: of the first records, the one that names most columns is the header.

    A report's title lines above it are passed over. Raises CannotImport where no column can be found for the number,
    the customer, the amount or the due date, or where two columns could be the same field.
    """
    best: tuple[int, int, str, Record] | None = None
    for delimiter, first in candidates.items():
        for place, record in enumerate(first):
            score = _score(record, stated)
            if score and (best is None or (score, -place) > best[:2]):
                best = (score, -place, delimiter, record)
    if best is None:
        raise CannotImport(
            "no line names the columns: the first line should be headers such as No. Faktur, Nama Pelanggan, Jumlah "
            'and Jatuh Tempo; name others with --map number="..." and so on'
        )
    _, _, delimiter, record = best
    return delimiter, _columns(record, stated)


def _score(record: Record, stated: Mapping[Field, str]) -> int:
    wanted = {_plain(header) for header in stated.values()}
    cells = [_plain(cell) for cell in record.cells]
    return len({cell for cell in cells if cell in wanted or cell in _STRONG or cell in _WEAK})


def _columns(record: Record, stated: Mapping[Field, str]) -> Columns:
    headers = tuple(" ".join(cell.split()) for cell in record.cells)
    plain = [_plain(header) for header in headers]
    index: dict[Field, int] = {}
    for field, header in stated.items():
        index[field] = _stated_place(field, header, headers)
    for synonyms in (_STRONG, _WEAK):
        found: dict[Field, list[int]] = {}
        for place, name in enumerate(plain):
            field_of = synonyms.get(name)
            if field_of is not None and field_of not in index and place not in index.values():
                found.setdefault(field_of, []).append(place)
        for field, places in found.items():
            if len(places) > 1:
                both = " and ".join(repr(headers[place]) for place in places)
                raise CannotImport(
                    f"{both} could each be the {field}: say which, as in --map {field}={headers[places[0]]!r}"
                )
            index[field] = places[0]
    _check(index)
    unused = tuple(header for place, header in enumerate(headers) if header and place not in index.values())
    return Columns(record.line, headers, index, unused)


def _stated_place(field: Field, header: str, headers: Sequence[str]) -> int:
    places = [place for place, each in enumerate(headers) if each == header]
    places = places or [place for place, each in enumerate(headers) if _plain(each) == _plain(header)]
    if len(places) != 1:
        found = "no column is" if not places else f"{len(places)} columns are"
        raise CannotImport(
            f"{found} called {header!r}, which --map names as the {field}; the file has {_listed(headers)}"
        )
    return places[0]


def _check(index: Mapping[Field, int]) -> None:
    missing = [str(field) for field in (Field.NUMBER,) if field not in index]
    missing += ["customer (or code)"] if not {Field.CUSTOMER, Field.CUSTOMER_CODE} & index.keys() else []
    missing += ["amount (or open)"] if not {Field.AMOUNT, Field.OPEN} & index.keys() else []
    missing += ["due (or issued)"] if not {Field.DUE, Field.ISSUED} & index.keys() else []
    if missing:
        raise CannotImport(
            f"no column was recognised for: {', '.join(missing)}; name it with --map, as in "
            f'--map {missing[0].split()[0]}="HEADER"'
        )


def _plain(header: str) -> str:
    """Headers made alike: lower case, no marks, `nomor` as `no`."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", header)).lower()
    text = " ".join(re.sub(r"\([^)]*\)|[^\w]|_", " ", text).split())
    return re.sub(r"\b(nomor|nomer|number|num|nr)\b(?=.)", "no", text) if text != "number" else text


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(repr(header) for header in headers if header)
