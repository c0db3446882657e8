"""The importer: what it reads in other systems' files, what it refuses to guess, and what it says about the rest."""

from __future__ import annotations

import asyncio
import contextlib
import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.importing.amounts import AmountError, Decimals, detect_decimals, parse_amount
from api.importing.columns import read_map
from api.importing.contacts import ContactError, customer_code, parse_email, parse_phone, zone_of
from api.importing.dates import DateFormat, detect_format
from api.importing.errors import CannotImport
from api.importing.load import AT_ONCE, Declined, ImportInterrupted, Loaded, Note, Unavailable, load
from api.importing.model import Customer, OpenInvoice, Options, Parsed, Rejection
from api.importing.report import harmless, write_rejected
from api.importing.row import shape
from api.importing.rows import parse
from api.importing.source import LARGEST_FILE_BYTES, Cell
from lunas.receivables.money import Currency, Money
from lunas.receivables.terms import Terms

HEADER = "No. Faktur;Nama Pelanggan;Tanggal Faktur;Jatuh Tempo;Jumlah;Sisa;E-mail;No. HP"
GOOD = "FJ-1;PT Maju;25/01/2026;24/02/2026;1.500.000,00;;ap@maju.example;0812-3456-7890"


def read(*lines: str, options: Options | None = None) -> Parsed:
    return parse("\n".join(lines).encode(), options or Options())


def only_rejection(*lines: str, options: Options | None = None) -> Rejection:
    (rejection,) = read(*lines, options=options).rejections
    return rejection


class TestHeaders:
    def test_indonesian_headers_are_recognised(self) -> None:
        (invoice,) = read(HEADER, GOOD).invoices
        assert (invoice.number, invoice.customer.name) == ("FJ-1", "PT Maju")
        assert (invoice.issued_on, invoice.due_on) == (date(2026, 1, 25), date(2026, 2, 24))
        assert invoice.total == invoice.outstanding == Money(150_000_000, Currency.IDR)
        assert (invoice.customer.email, invoice.customer.phone) == ("ap@maju.example", "+6281234567890")

    def test_english_headers_are_recognised(self) -> None:
        parsed = read(
            "InvoiceNumber,Customer Name,Invoice Date,Due Date,Amount,Balance Due,Currency,PO Number",
            'A-1,"Vine, Ltd",2026-01-05,2026-02-04,"1,500.50",500.50,USD,PO 7',
        )
        (invoice,) = parsed.invoices
        assert invoice.customer.name == "Vine, Ltd"
        assert (invoice.total, invoice.outstanding) == (Money(150_050, Currency.USD), Money(50_050, Currency.USD))
        assert invoice.purchase_order == "PO 7"

    def test_a_reports_title_above_the_header_and_its_totals_below_are_passed_over(self) -> None:
        parsed = read("DAFTAR PIUTANG;;", "per 31 Januari 2026;;", "", HEADER, GOOD, ";TOTAL;;;1.500.000,00;;;")
        assert len(parsed.invoices) == 1
        assert parsed.invoices[0].line == 5
        assert parsed.passed_over == {"a line of totals": 1}

    def test_any_header_can_be_named(self) -> None:
        parsed = read(
            "Kunci,Siapa,Tanggal,Batas,Berapa", "X1,Budi,2026-01-05,2026-02-04,100",
            options=Options(mapping=read_map(["number=Kunci", "customer=Siapa", "due=Batas", "amount=berapa"])),
        )  # fmt: skip
        assert parsed.invoices[0].number == "X1"

    def test_a_stray_column_is_left_out_and_named(self) -> None:
        parsed = read(HEADER + ";Salesman;Gudang", GOOD + ";Budi;Timur")
        assert len(parsed.invoices) == 1
        assert any("Salesman, Gudang" in note for note in parsed.notes)

    @pytest.mark.parametrize(
        ("header", "said"),
        [
            ("Kolom A;Kolom B", "no line names the columns"),
            ("No. Faktur;Nama Pelanggan;Tanggal Faktur;Jumlah Tagihan;Nilai Faktur", "could each be the amount"),
            ("No. Faktur;Nama Pelanggan;Tanggal Faktur;Jatuh Tempo", "amount (or open)"),
            ("Nama Pelanggan;Tanggal Faktur;Jatuh Tempo;Jumlah", "number"),
            ("No. Faktur;Nama Pelanggan;Jatuh Tempo;Jumlah", "invoice date"),
        ],
    )
    def test_unclear_headers_stop_the_import(self, header: str, said: str) -> None:
        with pytest.raises(CannotImport, match=said.replace("(", r"\(").replace(")", r"\)")):
            read(header, "1;2;3;4;5")

    @pytest.mark.parametrize("entry", ["number", "nonsense=A", "number="])
    def test_a_map_that_maps_nothing_is_refused(self, entry: str) -> None:
        with pytest.raises(CannotImport, match="maps nothing"):
            read_map([entry])


class TestEncodings:
    def test_latin_1_is_refused_with_the_line_and_what_to_say(self) -> None:
        data = f"{HEADER}\n{GOOD}\nFJ-2;Café Rumah;25/01/2026;24/02/2026;1,00;;;\n".encode("latin-1")
        with pytest.raises(CannotImport, match=r"0xE9 on line 3.*--encoding cp1252"):
            parse(data, Options())
        assert parse(data, Options(encoding="cp1252")).invoices[1].customer.name == "Café Rumah"

    def test_windows_1252_read_as_latin_1_is_noticed(self) -> None:
        data = f"{HEADER}\nFJ-2;PT “Maju”;25/01/2026;24/02/2026;1,00;;;\n".encode("cp1252")
        with pytest.raises(CannotImport, match=r"line 2.*cp1252"):
            parse(data, Options(encoding="latin-1"))

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_unicode_is_read_with_and_without_its_mark(self, encoding: str) -> None:
        data = f"{HEADER}\r\n{GOOD.replace('Maju', 'Majü')}\r\n".encode(encoding)
        assert parse(data, Options()).invoices[0].customer.name == "PT Majü"

    @pytest.mark.parametrize("data", [b"", b"  \n ", b"PK\x03\x04\0\0No. Faktur"])
    def test_what_is_no_text_is_refused(self, data: bytes) -> None:
        with pytest.raises(CannotImport):
            parse(data, Options())

    def test_a_file_too_large_is_refused_before_it_is_read(self) -> None:
        with pytest.raises(CannotImport, match="split it"):
            parse(b"x" * (LARGEST_FILE_BYTES + 1), Options())

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_found(self, delimiter: str) -> None:
        rows = [HEADER.replace(";", delimiter), GOOD.replace("1.500.000,00", "1.500.000").replace(";", delimiter)]
        assert read(*rows, options=Options(decimals=Decimals.COMMA)).invoices[0].total.minor == 150_000_000

    def test_a_spreadsheets_own_line_about_the_delimiter_is_obeyed(self) -> None:
        assert len(read("sep=;", HEADER, GOOD).invoices) == 1


class TestAmounts:
    @pytest.mark.parametrize(
        ("texts", "decimals"),
        [
            (["1.500.000,00"], Decimals.COMMA), (["1,500,000.00"], Decimals.POINT), (["1.500.000"], Decimals.COMMA),
            (["1500,5"], Decimals.COMMA), (["1.500", "2.500,75"], Decimals.COMMA), (["0.500"], Decimals.POINT),
            (["1.500", "1 200", "Rp 2.500,-"], Decimals.COMMA), (["1500", "200"], Decimals.POINT),
        ],
    )  # fmt: skip
    def test_one_clear_amount_settles_all(self, texts: list[str], decimals: Decimals) -> None:
        assert detect_decimals(Cell(line, text) for line, text in enumerate(texts, 2)) is decimals

    def test_nobody_guesses_what_can_be_read_in_two_ways(self) -> None:
        rows = (HEADER, "FJ-1;PT Maju;25/01/2026;24/02/2026;1.500;;;", "FJ-2;PT Maju;25/01/2026;24/02/2026;200;;;")
        with pytest.raises(CannotImport, match=r"line 2.*--decimal comma"):
            read(*rows)
        assert read(*rows, options=Options(decimals=Decimals.COMMA)).invoices[0].total.minor == 150_000
        assert read(*rows, options=Options(decimals=Decimals.POINT)).invoices[0].total.minor == 150

    def test_rows_that_contradict_each_other_stop_the_import_until_one_is_right(self) -> None:
        rows = (HEADER, GOOD, "FJ-2;PT Maju;25/01/2026;24/02/2026;1,500,000.00;;;")
        with pytest.raises(CannotImport, match="line 2 has a decimal comma, line 3 a decimal point"):
            read(*rows)
        parsed = read(*rows, options=Options(decimals=Decimals.COMMA))
        assert [invoice.number for invoice in parsed.invoices] == ["FJ-1"]
        assert (parsed.rejections[0].line, parsed.rejections[0].shape) == (3, "9,999,999.99")

    @pytest.mark.parametrize(
        ("text", "minor"),
        [
            ("Rp 1.500.000,00", 150_000_000), ("Rp. 1 500 000,-", 150_000_000), ("IDR1.500.000", 150_000_000),
            ("1.500,000", 150_000), ("-1.500,00", -150_000), ("1.500,00-", -150_000), ("(1.500,00)", -150_000),
            ("(Rp 5)", -500), ("1.500,50 IDR", 150_050), ("0", 0),
        ],
    )  # fmt: skip
    def test_amounts_as_people_write_them(self, text: str, minor: int) -> None:
        assert parse_amount(text, Decimals.COMMA, Currency.IDR).minor == minor

    @pytest.mark.parametrize(
        "text", ["1.50.000", "1,500.00", "1.5E+06", "abc", "", "1,5,0", "1,001", "=1+1", "99.999.999.999.999.999"]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(AmountError):
            parse_amount(text, Decimals.COMMA, Currency.IDR)

    @given(st.integers(min_value=-(10**14), max_value=10**14), st.sampled_from(Decimals))
    def test_an_amount_written_out_is_read_back_exactly(self, minor: int, decimals: Decimals) -> None:
        text = f"{Money(minor, Currency.IDR).major:,.2f}"
        if decimals is Decimals.COMMA:
            text = text.translate(str.maketrans(",.", ".,"))
        assert parse_amount(text, decimals, Currency.IDR).minor == minor


class TestDates:
    @pytest.mark.parametrize(
        ("texts", "pattern"),
        [
            (["2026-01-05"], "yyyy-mm-dd"), (["05/01/2026", "25/01/2026"], "dd/mm/yyyy"),
            (["05/01/2026", "01/25/2026"], "mm/dd/yyyy"), (["5 Agustus 2026"], "d mmm yyyy"),
            (["05-Agt-2026", "07-Mei-2026"], "d-mmm-yyyy"), (["2026-01-05 00:00:00"], "yyyy-mm-dd"),
            (["25.01.2026"], "dd.mm.yyyy"), (["20260105"], "yyyymmdd"), (["31/02/2026", "25/01/2026"], "dd/mm/yyyy"),
        ],
    )  # fmt: skip
    def test_one_clear_date_settles_all(self, texts: list[str], pattern: str) -> None:
        assert detect_format(Cell(line, text) for line, text in enumerate(texts, 2)).pattern == pattern

    def test_nobody_guesses_whether_the_day_or_the_month_is_first(self) -> None:
        rows = (HEADER, "FJ-1;PT Maju;05/01/2026;04/02/2026;1.500.000;;;")
        with pytest.raises(CannotImport, match="dd/mm/yyyy or mm/dd/yyyy"):
            read(*rows)
        (invoice,) = read(*rows, options=Options(dates=DateFormat("dd/mm/yyyy"))).invoices
        assert invoice.issued_on == date(2026, 1, 5)

    def test_two_ways_in_one_file_stop_the_import(self) -> None:
        with pytest.raises(CannotImport, match=r"line 2 fits dd/mm/yyyy, line 3 fits yyyy-mm-dd"):
            read(HEADER, GOOD, "FJ-2;PT Maju;2026-01-05;2026-02-04;1.500.000;;;")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("31/02/2026", "no such day"),
            ("45678", "a spreadsheet's number"),
            ("soon", "not a date"),
            ("01/01/0126", "year"),
        ],
    )
    def test_a_bad_date_rejects_its_row_alone(self, text: str, said: str) -> None:
        parsed = read(HEADER, GOOD, f"FJ-2;PT Maju;25/01/2026;{text};1.500.000;;;")
        assert len(parsed.invoices) == 1
        (rejection,) = parsed.rejections
        assert (rejection.line, rejection.column) == (3, "Jatuh Tempo")
        assert said in rejection.reason

    @pytest.mark.parametrize("pattern", ["dd/mm", "dd/dd/yyyy", "%d/%m/%Y", "", "ddmmyyyy!"])
    def test_a_format_that_is_none_is_refused(self, pattern: str) -> None:
        with pytest.raises(CannotImport, match="not a date format"):
            DateFormat(pattern)

    def test_terms_give_the_dates_that_a_file_lacks(self) -> None:
        header, row = "No. Faktur;Nama Pelanggan;Jatuh Tempo;Jumlah", "FJ-1;PT Maju;24/02/2026;1.500.000"
        (invoice,) = read(header, row, options=Options(terms=Terms(30))).invoices
        assert (invoice.issued_on, invoice.due_on) == (date(2026, 1, 25), date(2026, 2, 24))
        header, row = "No. Faktur;Nama Pelanggan;Tanggal;Termin;Jumlah", "FJ-1;PT Maju;25/01/2026;30 hari;1.500.000"
        (invoice,) = read(header, row).invoices
        assert (invoice.due_on, invoice.terms) == (None, Terms(30))


class TestRows:
    @pytest.mark.parametrize(
        ("row", "column", "said"),
        [
            (";PT Maju;25/01/2026;24/02/2026;1,00;;;", "No. Faktur", "missing"),
            ("FJ-2;;25/01/2026;24/02/2026;1,00;;;", "Nama Pelanggan", "no customer"),
            ("FJ-2;PT Maju;25/01/2026;24/02/2026;;;;", "Jumlah", "no amount"),
            ("FJ-2;PT Maju;25/01/2026;24/02/2026;-1,00;;;", "Jumlah", "negative"),
            ("FJ-2;PT Maju;25/01/2026;24/02/2026;1,00;2,00;;", "Sisa", "more is open"),
            ("FJ-2;PT Maju;25/01/2026;24/01/2026;1,00;;;", "Jatuh Tempo", "before it was issued"),
            ("FJ-2;PT Maju;25/01/2026;24/02/2026;1,00;;not-an-email;", "E-mail", "not an email"),
            ("FJ-2;PT Maju;25/01/2026;24/02/2026;1,00;;;12", "No. HP", "not a telephone"),
            ("FJ-2;PT Maju;25/01/2026;24/02/2026;1,00;;;;;extra", "", "10 cells where the header has 8"),
            ("FJ-2;PT Maju;25/01/2026", "", "cut short"),
            (f"{'9' * 65};PT Maju;25/01/2026;24/02/2026;1,00;;;", "No. Faktur", "65 characters"),
        ],
    )
    def test_a_bad_row_is_rejected_and_the_rest_goes_on(self, row: str, column: str, said: str) -> None:
        parsed = read(HEADER, row, GOOD)
        assert [invoice.number for invoice in parsed.invoices] == ["FJ-1"]
        (rejection,) = parsed.rejections
        assert (rejection.line, rejection.column) == (2, column)
        assert said in rejection.reason

    def test_a_customer_without_any_contact_is_taken(self) -> None:
        (invoice,) = read(HEADER, "FJ-1;CV Sumber;25/01/2026;24/02/2026;1.500.000;;-;tidak ada").invoices
        assert not invoice.customer.has_contact

    def test_an_unusable_contact_can_be_left_out_instead(self) -> None:
        row = "FJ-1;PT Maju;25/01/2026;24/02/2026;1.500.000;;nobody;12"
        (invoice,) = read(HEADER, row, options=Options(lenient=True)).invoices
        assert not invoice.customer.has_contact

    def test_what_is_settled_asks_for_nothing(self) -> None:
        parsed = read(HEADER, "FJ-1;PT Maju;25/01/2026;24/02/2026;1.500.000;0;;")
        assert (parsed.invoices, parsed.rejections, parsed.passed_over) == ((), (), {"nothing is open": 1})

    def test_the_same_number_twice(self) -> None:
        parsed = read(HEADER, GOOD, GOOD, GOOD.replace("1.500.000,00", "1.600.000,00"))
        assert len(parsed.invoices) == 1
        assert parsed.passed_over == {"the same row again": 1}
        assert "line 2 too" in parsed.rejections[0].reason

    def test_rows_of_one_customer_complete_each_other(self) -> None:
        parsed = read(
            HEADER, "FJ-1;PT Maju;25/01/2026;24/02/2026;1,00;;;",
            "FJ-2;PT Maju;25/01/2026;24/02/2026;1,00;;ap@maju.example;",
            "FJ-3;PT Maju;25/01/2026;24/02/2026;1,00;;other@maju.example;",
        )  # fmt: skip
        (customer,) = parsed.customers
        assert customer.email == "ap@maju.example"
        assert all(invoice.customer == customer for invoice in parsed.invoices)
        assert any("disagree" in note and customer.code in note for note in parsed.notes)

    def test_an_open_quote_costs_its_own_row_only(self) -> None:
        parsed = read(HEADER, 'FJ-0;"PT Maju;25/01/2026;24/02/2026;1,00;;;', GOOD, GOOD.replace("FJ-1", "FJ-2"))
        assert [invoice.number for invoice in parsed.invoices] == ["FJ-1", "FJ-2"]
        assert parsed.rejections[0].line == 2
        assert "quotation mark" in parsed.rejections[0].reason

    def test_quoted_delimiters_and_lines_are_text(self) -> None:
        parsed = read(
            HEADER + ";Alamat", 'FJ-1;"PT; ""Maju""";25/01/2026;24/02/2026;1,00;;;;"Jl. Melati 8\nDenpasar"', GOOD
        )
        customer = parsed.invoices[0].customer
        assert (customer.name, customer.address) == ('PT; "Maju"', "Jl. Melati 8\nDenpasar")
        assert customer.time_zone == "Asia/Makassar"
        assert parsed.rejections[0].line == 4

    def test_invisible_characters_do_not_get_in(self) -> None:
        (invoice,) = read(HEADER, GOOD.replace("PT Maju", "PT\u200b Ma\u202eju\u00a0 Jaya")).invoices
        assert invoice.customer.name == "PT Maju Jaya"

    @given(st.binary(max_size=400))
    def test_no_bytes_crash_it(self, data: bytes) -> None:
        with contextlib.suppress(CannotImport):
            parse(f"{HEADER}\n{GOOD}\n".encode() + data, Options())

    @given(st.lists(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=12), min_size=8, max_size=9))
    def test_every_row_is_taken_rejected_or_passed_over(self, cells: list[str]) -> None:
        quoted = ";".join('"' + cell.replace('"', '""').replace("\0", "") + '"' for cell in cells)
        try:
            parsed = read(
                HEADER, GOOD, quoted, options=Options(dates=DateFormat("dd/mm/yyyy"), decimals=Decimals.COMMA)
            )
        except CannotImport:
            return  # a control character that no export has
        taken = len(parsed.invoices) + len(parsed.rejections) + sum(parsed.passed_over.values())
        assert taken >= 2 or not any(cell.strip() for cell in cells)


class TestContacts:
    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("0812-3456-7890", "+6281234567890"), ("+62 812 3456 7890", "+6281234567890"),
            ("6281234567890", "+6281234567890"),
            ("(021) 555-0100 ext. 3", "+62215550100"), ("021-5550100 / 0812-3456-7890", "+6281234567890"),
            ("WA: 0812 3456 7890", "+6281234567890"), ("-", None), ("", None), ("+65 8123 4567", "+6581234567"),
        ],
    )  # fmt: skip
    def test_phones_become_e164(self, text: str, number: str | None) -> None:
        assert parse_phone(text, "ID") == number

    def test_emails(self) -> None:
        assert parse_email("Finance@Maju.EXAMPLE; other@maju.example") == "Finance@maju.example"
        assert parse_email("n/a") is None
        with pytest.raises(ContactError):
            parse_email("a@b@c")

    @pytest.mark.parametrize(
        ("address", "zone"),
        [
            ("Jl. Melati 8, Denpasar 80113", "Asia/Makassar"), ("Jl. Bali 5, Surabaya", "Asia/Jakarta"),
            ("Jl. Pantai, Kota Jayapura, Papua", "Asia/Jayapura"), ("Makassar, Sulawesi Selatan", "Asia/Makassar"),
        ],
    )  # fmt: skip
    def test_the_zone_follows_the_town(self, address: str, zone: str) -> None:
        assert zone_of([address], "Asia/Jakarta") == zone

    def test_codes_are_stable_and_tell_namesakes_apart(self) -> None:
        assert customer_code("PT. Maju  Jaya") == customer_code("pt maju jaya")
        assert customer_code("PT Maju Jaya") != customer_code("CV Maju Jaya")
        assert customer_code("株式会社") != customer_code("有限会社")
        assert len(customer_code("x" * 300)) <= 64


class TestReport:
    def test_rejected_rows_can_be_put_right_and_read_again(self, tmp_path: Path) -> None:
        source = tmp_path / "invoices.csv"
        parsed = read(HEADER, GOOD, '=cmd|calc;PT Maju;25/01/2026;24/02/2026;-5,00;;;"+62 812"')
        path = write_rejected(source, parsed.columns.headers, parsed.rejections)
        assert path == tmp_path / "invoices.rejected.csv"
        assert path.stat().st_mode & 0o077 == 0
        with path.open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["line"], row["column"], row["looks like"]) == ("3", "Jumlah", "-9,99")
        assert row["No. Faktur"] == "'=cmd|calc"
        assert row["Jumlah"] == "-5,00"
        fixed = (
            path.read_text("utf-8-sig").replace("-5,00", "5,00").replace("'=cmd|calc", "FJ-9").replace("'+62 812", "")
        )
        (invoice,) = parse(fixed.encode(), Options()).invoices
        assert (invoice.number, invoice.total.minor) == ("FJ-9", 500)

    def test_an_old_report_goes_when_all_is_well(self, tmp_path: Path) -> None:
        source = tmp_path / "invoices.csv"
        (tmp_path / "invoices.rejected.csv").write_text("old")
        assert write_rejected(source, ["a"], []) is None
        assert not (tmp_path / "invoices.rejected.csv").exists()

    @pytest.mark.parametrize("cell", ["=1+1", "+cmd", "@SUM(A1)", "-2+3", "\t=1", "  =1", "-"])
    def test_formulas_become_text(self, cell: str) -> None:
        assert harmless(cell).startswith("'")

    @pytest.mark.parametrize("cell", ["-1.500,00", "+62812", "PT Maju", ""])
    def test_all_else_stays_as_it_is(self, cell: str) -> None:
        assert harmless(cell) == cell

    def test_a_shape_tells_nothing(self) -> None:
        assert shape("Ibu Ratna 0812") == "Aaa Aaaaa 9999"
        assert shape("é\n日") == "a a"


class FakeRegister:
    """An API that remembers, with the same answers as the real one; `away` requests are refused as unavailable."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.invoices: dict[str, OpenInvoice] = {}
        self.paid: dict[str, int] = {}
        self.calls: list[str] = []
        self.away_after: int | None = None
        self.busy = 0
        self.most_at_once = 0

    async def _asked(self, what: str) -> None:
        self.busy += 1
        self.most_at_once = max(self.most_at_once, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.away_after is not None and len(self.calls) >= self.away_after:
            raise Unavailable("the API does not answer")
        self.calls.append(what)

    async def keep_customer(self, customer: Customer) -> None:
        await self._asked(f"customer {customer.code}")
        if customer.name == "PT Ditolak":
            raise Declined("its name is not allowed")
        self.customers.setdefault(customer.code, customer)

    async def open_balance(self, number: str) -> Money | None:
        await self._asked(f"look {number}")
        if number not in self.invoices:
            return None
        invoice = self.invoices[number]
        return invoice.total - Money(self.paid.get(number, 0), invoice.total.currency)

    async def book_earlier_payment(self, invoice: OpenInvoice) -> None:
        await self._asked(f"pay {invoice.number}")
        assert invoice.number not in self.invoices, "money must be there before the first notice can be"
        self.paid[invoice.number] = (invoice.total - invoice.outstanding).minor

    async def issue(self, invoice: OpenInvoice) -> None:
        await self._asked(f"issue {invoice.number}")
        assert invoice.customer.code in self.customers
        known = self.invoices.setdefault(invoice.number, invoice)
        if replace(known, line=0, outstanding=known.total) != replace(invoice, line=0, outstanding=invoice.total):
            raise Declined("it exists already and says something else")


def export(*amounts: str) -> tuple[str, ...]:
    rows = (f"FJ-{n};PT Maju;25/01/2026;24/02/2026;{amount};;" for n, amount in enumerate(amounts, 1))
    return (HEADER, *(f"{row};" for row in rows))


async def load_file(source: Path, register: FakeRegister, *lines: str) -> tuple[Parsed, Loaded]:
    data = "\n".join(lines).encode()
    parsed = parse(data, Options())
    with Note.beside(source, data) as note:
        return parsed, await load(parsed, register, note, lambda: None)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.importing.load.WAITS", (0.0, 0.0))


class TestLoading:
    async def test_everything_is_issued_several_at_once(self, tmp_path: Path) -> None:
        register = FakeRegister()
        _, loaded = await load_file(tmp_path / "a.csv", register, *export(*["1.500.000,00"] * 30))
        assert (loaded.issued, loaded.unchanged, loaded.rejections) == (30, 0, [])
        assert len(register.invoices) == 30
        assert 1 < register.most_at_once <= AT_ONCE
        assert sum(call.startswith("customer") for call in register.calls) == 1

    async def test_again_changes_nothing(self, tmp_path: Path) -> None:
        register, lines = FakeRegister(), export("1.500.000,00", "2.000.000,00")
        await load_file(tmp_path / "a.csv", register, *lines)
        _, loaded = await load_file(tmp_path / "a.csv", register, *lines)
        assert (loaded.issued, loaded.unchanged, loaded.rejections) == (0, 2, [])
        assert _names(tmp_path) == set(), "an import that has ended leaves no note behind"

    async def test_a_number_that_says_something_else_is_reported_with_its_row(self, tmp_path: Path) -> None:
        register = FakeRegister()
        await load_file(tmp_path / "a.csv", register, *export("1.500.000,00", "2.000.000,00"))
        parsed, loaded = await load_file(tmp_path / "a.csv", register, *export("1.500.000,00", "2.000.001,00"))
        (rejection,) = loaded.rejections
        assert (loaded.unchanged, rejection.line, rejection.column) == (1, 3, "No. Faktur")
        assert "something else" in rejection.reason
        path = write_rejected(tmp_path / "a.csv", parsed.columns.headers, loaded.rejections)
        assert path is not None
        assert "2.000.001,00" in path.read_text("utf-8-sig")

    async def test_what_was_paid_before_is_booked_first_and_once(self, tmp_path: Path) -> None:
        register = FakeRegister()
        lines = (HEADER, "FJ-1;PT Maju;25/01/2026;24/02/2026;1.500.000,00;400.000,00;;")
        await load_file(tmp_path / "a.csv", register, *lines)
        assert register.paid == {"FJ-1": 110_000_000}
        _, loaded = await load_file(tmp_path / "a.csv", register, *lines)
        assert loaded.unchanged == 1
        assert register.calls.count("pay FJ-1") == 1

    async def test_money_that_only_the_file_knows_is_reported(self, tmp_path: Path) -> None:
        register = FakeRegister()
        row = "FJ-1;PT Maju;25/01/2026;24/02/2026;1.500.000,00;{};;"
        await load_file(tmp_path / "a.csv", register, HEADER, row.format("1.500.000,00"))
        _, loaded = await load_file(tmp_path / "a.csv", register, HEADER, row.format("400.000,00"))
        assert "lunas pay" in loaded.rejections[0].reason
        register.paid["FJ-1"] = 150_000_000
        _, loaded = await load_file(tmp_path / "a.csv", register, HEADER, row.format("400.000,00"))
        assert loaded.unchanged == 1, "a file that is older than our own books changes nothing"

    async def test_a_customer_that_is_not_taken_costs_its_own_invoices_only(self, tmp_path: Path) -> None:
        lines = (*export("1.500.000,00"), "FJ-9;PT Ditolak;25/01/2026;24/02/2026;1.500.000,00;;;")
        _, loaded = await load_file(tmp_path / "a.csv", FakeRegister(), *lines)
        assert loaded.issued == 1
        assert "its customer was not taken: its name is not allowed" in loaded.rejections[0].reason

    async def test_an_import_that_was_interrupted_goes_on_where_it_stopped(self, tmp_path: Path) -> None:
        register, lines, source = FakeRegister(), export(*["1.500.000,00"] * 20), tmp_path / "a.csv"
        register.away_after = 25
        with pytest.raises(ImportInterrupted, match="the same command goes on"):
            await load_file(source, register, *lines)
        before = len(register.calls)
        register.away_after = None
        _, loaded = await load_file(source, register, *lines)
        assert loaded.issued + loaded.unchanged == 20
        assert len(register.invoices) == 20
        assert len(register.calls) - before < 40, "what was done is not asked for again"

    async def test_a_note_about_another_file_counts_for_nothing(self, tmp_path: Path) -> None:
        register, source = FakeRegister(), tmp_path / "a.csv"
        register.away_after = 6
        with pytest.raises(ImportInterrupted):
            await load_file(source, register, *export(*["1.500.000,00"] * 20))
        register.away_after = None
        _, loaded = await load_file(source, register, *export(*["1.500.000,00"] * 21))
        assert loaded.issued + loaded.unchanged == 21
        assert len(register.invoices) == 21
