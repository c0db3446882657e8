"""Contact research on small websites of many shapes: what it finds, where it looks, and how far it believes it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.contact_pages import Candidate, Evidence, Kind, contact_links, contacts, research
from activities.contact_words import registrable
from activities.websites import (
    AddressForbidden,
    GuardedBackend,
    Page,
    PageUnavailable,
    VisitForbidden,
    WebsiteError,
    WebsiteFetcher,
)

EMAIL, PHONE, MOBILE, WHATSAPP, PROFILE = Kind.EMAIL, Kind.PHONE, Kind.MOBILE, Kind.WHATSAPP, Kind.PROFILE


def found(html: str, url: str = "https://www.sinar.co.id/kontak", region: str = "ID") -> set[tuple[Kind, str]]:
    return {(each.kind, each.value) for each in contacts(Page(url, html), "sinar.co.id", region=region)}


def one(html: str, value: str, url: str = "https://www.sinar.co.id/kontak") -> Candidate:
    [candidate] = [each for each in contacts(Page(url, html), "sinar.co.id") if each.value == value]
    return candidate


def xored(address: str, key: int = 0x4A) -> str:
    return bytes([key, *(each ^ key for each in address.encode())]).hex()


# --- pages as companies have them, and who is to be found on each ---------------------------------------------------

PAGES: dict[str, tuple[str, set[tuple[Kind, str]]]] = {
    "links for writing and calling": (
        """
        <h1>Hubungi Kami</h1>
        <p><a href="mailto:Info@Sinar.co.id?subject=Halo">Kirim email</a></p>
        <p><a href="tel:+62-21-5795-1234">Telepon</a> atau <a href="tel:08123456789">HP</a></p>
        """,
        {(EMAIL, "info@sinar.co.id"), (PHONE, "+622157951234"), (MOBILE, "+628123456789")},
    ),
    "a table of labels": (
        """
        <table>
          <tr><td>Alamat</td><td>Jl. Sudirman Kav. 52-53, Jakarta 12190</td></tr>
          <tr><td>Telp</td><td>(021) 5795 1234</td></tr>
          <tr><td>Fax</td><td>(021) 5795 1235</td></tr>
          <tr><td>Surel</td><td>keuangan@sinar.co.id</td></tr>
          <tr><td>NPWP</td><td>01.234.567.8-901.000</td></tr>
        </table>
        """,
        {(PHONE, "+622157951234"), (EMAIL, "keuangan@sinar.co.id")},
    ),
    "labels above their values": (
        """
        <dl><dt>Telepon</dt><dd>0361 755 123</dd><dt>Faksimile</dt><dd>0361 755 124</dd>
            <dt>WhatsApp</dt><dd>0812-3456-7890</dd></dl>
        <h4>Rekening BCA</h4><p>0812 3456 7891</p>
        """,
        {(PHONE, "+62361755123"), (WHATSAPP, "+6281234567890")},
    ),
    "all in one line of a footer": (
        """
        <footer>PT Sinar Abadi | Telp. 021-57951234 | Fax. 021-57951235 | HP/WA: 0811 234 567 |
        email: info@sinar.co.id | Rek. BCA 123 456 7890 | &copy; 2019-2026</footer>
        """,
        {
            (PHONE, "+622157951234"),
            (MOBILE, "+62811234567"),
            (WHATSAPP, "+62811234567"),
            (EMAIL, "info@sinar.co.id"),
        },
    ),
    "addresses in disguise": (
        """
        <p>Email: sales [at] sinar [dot] co [dot] id</p>
        <p>billing(at)sinar.co.id</p>
        <p>Atau ap at sinar dot co dot id</p>
        <p>Humas: budi<span>@</span>sinar.co.id</p>
        <p>Surel: gudang @ sinar.co.id</p>
        <p>info&#64;sinar&#46;co&#46;id, toko＠sinar.co.id, cs@si\u00adnar.co.id</p>
        <p>Ikuti kami @sinar dan lihat foto di logo@2x.png</p>
        """,
        {(EMAIL, f"{name}@sinar.co.id") for name in ("sales", "billing", "ap", "budi", "gudang", "info", "toko", "cs")},
    ),
    "mail protection that every browser undoes": (
        f"""
        <p>Email: <a href="/cdn-cgi/l/email-protection" class="__cf_email__"
              data-cfemail="{xored("finance@sinar.co.id")}">[email&#160;protected]</a></p>
        <p><a href="/cdn-cgi/l/email-protection#{xored("hr@sinar.co.id", 0x10)}">HR</a></p>
        <span class="__cf_email__" data-cfemail="zz">x</span>
        """,
        {(EMAIL, "finance@sinar.co.id"), (EMAIL, "hr@sinar.co.id")},
    ),
    "chat links of every sort": (
        """
        <a href="https://wa.me/6281234567890?text=Halo"><img src="wa.png" alt="WhatsApp"></a>
        <a href="https://api.whatsapp.com/send?phone=62%20812-3456-7891&text=x">Chat</a>
        <a href="https://web.whatsapp.com/send/?phone=081234567892">Chat</a>
        <a href="whatsapp://send?phone=+6281234567893">Chat</a>
        <a href="https://wa.me/?text=Bagikan">Bagikan</a>
        <a href="https://api.whatsapp.com/send?text=Bagikan">Bagikan</a>
        <a href="https://chat.whatsapp.com/AbCdEf">Grup</a>
        <a href="https://wa.me/message/ABC123">Pesan</a>
        """,
        {(WHATSAPP, f"+628123456789{last}") for last in range(4)},
    ),
    "structured data": (
        """
        <script type="application/ld+json">
        {"@context": "https://schema.org", "@graph": [
          {"@type": "Organization", "name": "PT Sinar Abadi", "telephone": "+62 21 5795 1234",
           "faxNumber": "+62 21 5795 1235", "email": "mailto:info@sinar.co.id",
           "contactPoint": [
             {"@type": "ContactPoint", "contactType": "billing support", "telephone": ["+62 811 234 567"],
              "email": "billing@sinar.co.id"},
             {"@type": "ContactPoint", "contactType": "sales", "telephone": "021 5795 1236"}],
           "founder": {"@type": "Person", "name": "Budi", "email": "budi.pribadi@sinar.co.id"}}]}
        </script>
        <p>Tel (021) 5795 1235</p><script type="application/ld+json">{broken</script>
        """,
        {
            (PHONE, "+622157951234"),
            (PHONE, "+622157951235"),  # the page says that people are called there
            (PHONE, "+622157951236"),
            (MOBILE, "+62811234567"),
            (EMAIL, "info@sinar.co.id"),
            (EMAIL, "billing@sinar.co.id"),
        },
    ),
    "boxes beside each other, without a space between": (
        """
        <div class="flex"><span>Email</span><span>info@sinar.co.id</span><span>Telp</span><span>021 5795 1234</span>
        <b>HP</b><i>0812</i><i>3456</i><i>7890</i></div>
        """,
        {(EMAIL, "info@sinar.co.id"), (PHONE, "+622157951234"), (MOBILE, "+6281234567890")},
    ),
    "things that nobody sees": (
        """
        <style>a::after{content:"style@sinar.co.id"}</style><script>var a = "script@sinar.co.id";</script>
        <p style="display: none">trap@sinar.co.id</p><p hidden>021 5795 9999</p><div style="VISIBILITY:hidden">
        <a href="mailto:trap2@sinar.co.id">x</a></div><!-- comment@sinar.co.id --><template>t@sinar.co.id</template>
        <input value="input@sinar.co.id" placeholder="nama@email.com"><svg><text>svg@sinar.co.id</text></svg>
        <p>seen@sinar.co.id</p>
        """,
        {(EMAIL, "seen@sinar.co.id")},
    ),
    "nobody's addresses and nobody's numbers": (
        """
        <p>noreply@sinar.co.id, do-not-reply@sinar.co.id, you@example.com, nama@domain.com, x@sentry.io, a@b, @sinar,
        foo@bar.png, user@localhost, info@sinar.test, info@-sinar.co.id, info@sinar..co.id</p>
        <p>Jl. Raya No. 12345678, Kode Pos 12190, NIB 9120301234567, 1.234.567.890, 2019-2026,
        12/11/2026 08:00-17:00</p>
        <p>Rekening Mandiri: 0812 3456 7890</p><p>Virtual Account 8808 0812 3456 7890</p>
        """,
        set(),
    ),
    "numbers written in every way": (
        """
        <p>Telp: +62 (0)21 5795 1234, 5795 1235</p>
        <p>T: 031.567.8123 F: 031.567.8124</p>
        <p>0274 – 512 345 (Hotline)</p>
        <p>62-22-420-1234</p><p>6221-57951237</p><p>Kode 1262 21 5795 1239</p>
        <p>Call us: 6281234567890</p>
        <p>Telp/Fax: 0411 872 345</p>
        <p>Singapore: +65 6123 4567</p>
        <p>024 831 2345 (Fax)</p>
        <p>Fax: <a href="tel:+62248312346">(024) 831 2346</a></p>
        """,
        {
            (PHONE, "+622157951234"),
            (PHONE, "+62315678123"),
            (PHONE, "+62274512345"),
            (PHONE, "+62224201234"),
            (PHONE, "+622157951237"),
            (MOBILE, "+6281234567890"),
            (PHONE, "+62411872345"),
            (PHONE, "+6561234567"),
        },
    ),
    "a company profile and its maker": (
        """
        <p><a href="https://id.linkedin.com/company/sinar-abadi/?trk=x">LinkedIn</a>
           <a href="https://www.linkedin.com/in/somebody">Direktur</a>
           <a href="https://www.linkedin.com/shareArticle?url=x">Bagikan</a></p>
        <footer>Website by Kreatif Studio, <a href="mailto:halo@kreatif.id">halo@kreatif.id</a></footer>
        """,
        {(PROFILE, "https://www.linkedin.com/company/sinar-abadi"), (EMAIL, "halo@kreatif.id")},
    ),
    "broken markup": (
        """
        <p><b>Telp<p>021 5795 1234<p><table><tr>Email: info@sinar.co.id<td></table></b></div></div>
        <a href="mailto:sales@sinar.co.id, ap@sinar.co.id;x">Tulis<a href="tel:">x<a href="http://[bad">y<a>z
        """,
        {
            (PHONE, "+622157951234"),
            (EMAIL, "info@sinar.co.id"),
            (EMAIL, "sales@sinar.co.id"),
            (EMAIL, "ap@sinar.co.id"),
        },
    ),
    "an empty page": ("", set()),
}


@pytest.mark.parametrize(("html", "expected"), PAGES.values(), ids=PAGES)
def test_who_is_found_on_a_page(html: str, expected: set[tuple[Kind, str]]) -> None:
    assert found(html) == expected


def test_numbers_without_a_country_code_are_from_the_region() -> None:
    assert found("<p>Tel: 6123 4567</p>", region="SG") == {(PHONE, "+6561234567")}
    assert found("<p>Tel: 6123 4567</p>") == set()


# --- how far it is believed -----------------------------------------------------------------------------------------


def test_a_candidate_says_where_it_was_found_and_why_it_is_believed() -> None:
    html = "<h1>Kontak</h1><p>PT Sinar Abadi, bagian keuangan, email: keuangan@sinar.co.id (jam kerja)</p>"
    candidate = one(html, "keuangan@sinar.co.id")
    assert candidate.evidence == (
        Evidence(
            "https://www.sinar.co.id/kontak",
            "PT Sinar Abadi, bagian keuangan, email: keuangan@sinar.co.id (jam kerja)",
        ),
    )
    assert candidate.confidence == 90
    assert candidate.reasons == (
        "written behind a label",
        "at the website's own domain",
        "on a contact page",
        "a desk for bills",
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("finance@sinar.co.id", "info@sinar.co.id"),
        ("billing.jkt@sinar.co.id", "budi@sinar.co.id"),
        ("accounts@sinar.co.id", "accent@sinar.co.id"),
        ("info@sinar.co.id", "budi@sinar.co.id"),
        ("budi@sinar.co.id", "hrd@sinar.co.id"),
        ("budi@sinar.co.id", "karir.jkt@sinar.co.id"),
        ("ap@sinar.co.id", "support@sinar.co.id"),
        ("budi@mail.sinar.co.id", "budi@gmail.com"),
        ("sinarabadi@gmail.com", "budi@kreatif.id"),
        ("sinarabadi@yahoo.co.id", "budi@sinar.com"),
    ],
)
def test_some_addresses_are_likelier(better: str, worse: str) -> None:
    html = f"<p>{worse}</p><p>{better}</p>"
    assert one(html, better).confidence > one(html, worse).confidence
    assert contacts(Page("https://sinar.co.id/", html), "sinar.co.id")[0].value == better


def test_whoever_made_the_website_is_not_the_company() -> None:
    assert one("<p>Dibuat oleh Studio X, studio@gmail.com</p>", "studio@gmail.com").confidence <= 15
    assert one("<p>Website by X. Telp 021 5795 1234</p>", "+622157951234").confidence <= 30


def test_a_fax_line_that_is_a_phone_as_well_is_believed_less() -> None:
    shared = one("<p>Telp/Fax: 021 5795 1234</p>", "+622157951234")
    assert "said to be a fax line as well" in shared.reasons
    assert shared.confidence < one("<p>Telp: 021 5795 1234</p>", "+622157951234").confidence


def test_a_number_of_another_country_is_believed_less() -> None:
    assert "a number of another country" in one("<p>Tel: +65 6123 4567</p>", "+6561234567").reasons


def test_evidence_is_short_and_not_endless() -> None:
    line = "kata " * 200 + "info@sinar.co.id" + " kata" * 200
    candidate = one(f"<p>{line}</p>" * 10 + "<p>x info@sinar.co.id</p>" * 3, "info@sinar.co.id")
    assert len(candidate.evidence) <= 3
    assert all(len(each.snippet) <= 160 and "info@sinar.co.id" in each.snippet for each in candidate.evidence)
    html = "".join(f"<p>a{each}@sinar.co.id</p>" for each in range(500))
    assert len(contacts(Page("https://sinar.co.id/", html), "sinar.co.id")) == 40


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("www.sinar.co.id", "sinar.co.id"),
        ("sinar.id", "sinar.id"),
        ("a.b.sinar.com", "sinar.com"),
        ("WWW.Sinar.CO.ID.", "sinar.co.id"),
        ("toko.sinar.web.id", "sinar.web.id"),
        ("co.id", "co.id"),
        ("localhost", "localhost"),
    ],
)
def test_what_someone_registered(host: str, name: str) -> None:
    assert registrable(host) == name


# --- where it looks -------------------------------------------------------------------------------------------------


def test_links_to_contact_pages_in_the_order_of_their_promise() -> None:
    html = """
    <nav>
      <a href="/produk">Produk</a> <a href="/lensa">Contact Lenses</a> <a href="/blog/kontak-lensa">Kontak Lensa</a>
      <a href="/tentang">Tentang Kami</a>
      <a href="id/hubungi-kami.html#peta">Hubungi Kami</a>
      <a href="/imprint">Imprint</a>
      <a href="//toko.sinar.co.id/contact"><img src="x.png" alt="Contact"></a>
      <a href="https://facebook.com/contact">Contact us</a>
      <a href="https://www.sinar.co.id/id/hubungi-kami.html/">Kontak</a>
      <a href="/unduh/kontak.pdf">Kontak</a> <a href="mailto:a@sinar.co.id">Contact</a> <a href="#kontak">Kontak</a>
      <a href="javascript:kontak()">Kontak</a> <a href="/p/12" title="Hubungi kami sekarang"></a>
      <a href="/x">Baca bagaimana pelanggan kami dapat menghubungi kantor pusat dan cabang kami di daerah</a>
    </nav>
    """
    assert contact_links(Page("https://www.sinar.co.id/", html)) == (
        "https://www.sinar.co.id/id/hubungi-kami.html",
        "https://toko.sinar.co.id/contact",
        "https://www.sinar.co.id/p/12",
        "https://www.sinar.co.id/imprint",
        "https://www.sinar.co.id/tentang",
    )


def test_links_are_relative_to_the_base_that_a_page_names() -> None:
    html = '<base href="/id/"><a href="kontak">Kontak</a>'
    assert contact_links(Page("https://www.sinar.co.id/", html)) == ("https://www.sinar.co.id/id/kontak",)
    for bad in ("javascript:x", "http://\u2460.\u2460.id/", "data:text/html,"):
        html = f'<base href="{bad}"><a href="kontak">Kontak</a>'
        assert contact_links(Page("https://www.sinar.co.id/", html)) == ("https://www.sinar.co.id/kontak",)


class Shelf:
    """A fetcher of pages that lie ready; what does not, is not there."""

    def __init__(self, pages: dict[str, str | Page | WebsiteError]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    async def get(self, url: str) -> Page:
        self.asked.append(url)
        page = self.pages.get(url, PageUnavailable("it answered 404", 404))
        if isinstance(page, WebsiteError):
            raise page
        return page if isinstance(page, Page) else Page(url, page)


def values(candidates: Iterable[Candidate]) -> list[str]:
    return [each.value for each in candidates]


async def test_research_goes_from_the_first_page_to_the_contact_pages() -> None:
    shelf = Shelf(
        {
            "https://sinar.co.id": Page(
                "https://www.sinar.co.id/",
                '<a href="/tentang">Tentang</a> <a href="/kontak">Kontak</a> <footer>info@sinar.co.id</footer>',
            ),
            "https://www.sinar.co.id/kontak": "<p>info@sinar.co.id</p><p>Telp 021 5795 1234</p>",
            "https://www.sinar.co.id/tentang": "<p>Direktur: budi@gmail.com</p>",
        }
    )
    candidates = await research("sinar.co.id", shelf)
    assert shelf.asked == [
        "https://sinar.co.id",
        "https://www.sinar.co.id/kontak",
        "https://www.sinar.co.id/tentang",
    ]
    assert values(candidates) == ["info@sinar.co.id", "+622157951234", "budi@gmail.com"]
    assert "on more than one page" in candidates[0].reasons
    assert {each.url for each in candidates[0].evidence} == {
        "https://www.sinar.co.id/",
        "https://www.sinar.co.id/kontak",
    }


async def test_research_visits_at_most_four_contact_pages() -> None:
    links = "".join(f'<a href="/kontak-{each}">Kontak</a>' for each in range(20))
    shelf = Shelf({"https://sinar.co.id": Page("https://sinar.co.id/", links)})
    assert await research("https://sinar.co.id", shelf) == ()
    assert shelf.asked == ["https://sinar.co.id", *(f"https://sinar.co.id/kontak-{each}" for each in range(4))]


async def test_research_follows_a_link_that_only_the_second_page_has() -> None:
    shelf = Shelf(
        {
            "https://sinar.co.id": Page("https://sinar.co.id/", '<a href="/profil">Profil</a>'),
            "https://sinar.co.id/profil": '<a href="/">Beranda</a><a href="/kontak">Kontak</a><a href="/profil/">P</a>',
            "https://sinar.co.id/kontak": "<p>info@sinar.co.id</p>",
        }
    )
    assert values(await research("https://sinar.co.id", shelf)) == ["info@sinar.co.id"]
    assert shelf.asked[1:] == ["https://sinar.co.id/profil", "https://sinar.co.id/kontak"]


async def test_research_tries_the_usual_places_when_no_link_says_where() -> None:
    shelf = Shelf(
        {
            "https://sinar.co.id": Page("https://sinar.co.id/", "<p>Selamat datang</p>"),
            "https://sinar.co.id/kontak": Page("https://sinar.co.id/", "<p>once more the first page</p>"),
            "https://sinar.co.id/contact": "<p>Telp 021 5795 1234</p>",
        }
    )
    assert values(await research("sinar.co.id", shelf)) == ["+622157951234"]
    assert len(shelf.asked) == 5


async def test_research_passes_over_contact_pages_that_cannot_be_had() -> None:
    shelf = Shelf(
        {
            "https://sinar.co.id": Page(
                "https://sinar.co.id/",
                '<a href="/kontak">Kontak</a> <a href="/c2">Contact</a> '
                '<a href="/c3">Hubungi</a> <a href="/c4">Kontak</a>',
            ),
            "https://sinar.co.id/kontak": AddressForbidden("it leads inside"),
            "https://sinar.co.id/c2": VisitForbidden("no"),
            "https://sinar.co.id/c3": "<div>" * 30_000,
            "https://sinar.co.id/c4": "<p>info@sinar.co.id</p>",
        }
    )
    assert values(await research("https://sinar.co.id", shelf)) == ["info@sinar.co.id"]


async def test_an_address_without_a_scheme_is_tried_without_encryption_as_well() -> None:
    shelf = Shelf({"http://sinar.co.id": Page("http://sinar.co.id/", "<p>info@sinar.co.id</p>")})
    assert values(await research(" sinar.co.id ", shelf)) == ["info@sinar.co.id"]
    assert shelf.asked[:2] == ["https://sinar.co.id", "http://sinar.co.id"]


@pytest.mark.parametrize("error", [PageUnavailable("down"), VisitForbidden("no"), AddressForbidden("inside")])
async def test_a_website_that_cannot_be_had_is_an_error(error: WebsiteError) -> None:
    shelf = Shelf({"https://sinar.co.id": error, "http://sinar.co.id": error})
    with pytest.raises(type(error)):
        await research("sinar.co.id", shelf)


async def test_a_website_that_leads_elsewhere_is_believed_less() -> None:
    moved = Page("https://grup-besar.com/", "<p>info@grup-besar.com</p><p>ap@sinar.co.id</p>")
    candidates = await research("sinar.co.id", Shelf({"https://sinar.co.id": moved}))
    assert values(candidates) == ["ap@sinar.co.id", "info@grup-besar.com"]
    assert all("on another website, which this one leads to" in each.reasons for each in candidates)


async def test_research_on_a_real_website_of_this_machine() -> None:
    pages = {
        "/": '<a href="/id/kontak">Hubungi kami</a>',
        "/id/kontak": '<p>Telp 021 5795 1234</p><a href="/rahasia">Kontak rahasia</a>',
        "/robots.txt": "User-agent: *\nDisallow: /rahasia",
        "/rahasia": "<p>rahasia@sinar.co.id</p>",
    }
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)[1]
        asked.append(path)
        body = pages[path].encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        backend = GuardedBackend(loopback_port=port)
        async with WebsiteFetcher("LunasTest/1.0", interval=0, backend=backend) as fetcher:
            candidates = await research(f"http://127.0.0.1:{port}", fetcher)
    assert values(candidates) == ["+622157951234"]
    assert asked == ["/robots.txt", "/", "/id/kontak"]


# --- pages that are made to keep us busy ----------------------------------------------------------------------------

BOMBS = {
    "depth": "<div>" * 200_000,
    "lists": "<ul><li>" * 100_000,
    "attributes": "<p " + " ".join(f"a{each}" for each in range(100_000)) + ">",
    "attributes behind a quoted bracket": '<p x=">" ' + "/".join(f"a{each}=1" for each in range(100_000)) + ">",
    "attributes behind a comment": '<!-- <x a=" --><p ' + " ".join(f"a{each}=1" for each in range(100_000)) + ">",
    "depth and closing tags": "<div>" * 9_000 + "</p>" * 11_000,
    "digits": "<p>" + "0812 3456 7890 " * 66_000,
    "almost digits": "<p>" + "0-1 " * 250_000,
    "almost addresses": "<p>" + "a@" * 500_000,
    "long names": "<p>" + "a.b-c_d+" * 125_000 + "@sinar.co.id",
    "spelt out": "<p>" + "a at b dot " * 90_000,
    "brackets": "<p>" + "[ at " * 200_000,
    "spaces": "<p>" + " \x1f" * 500_000,
    "deep data": '<script type="application/ld+json">' + '{"a":[' * 150_000 + "</script>",
    "wide data": '<script type="application/ld+json">[' + '{"email":"a@sinar.co.id"},' * 35_000 + "0]</script>",
    "long number": '<script type="application/ld+json">' + "1" * 900_000 + "</script>",
    "many links": '<a href="/kontak">Kontak</a>' * 9_000,
    "long link": '<a href="/' + "kontak/" * 140_000 + '">Kontak</a>',
}


@pytest.mark.parametrize("html", BOMBS.values(), ids=BOMBS)
def test_no_page_keeps_us_busy(html: str) -> None:
    began = time.process_time()
    try:
        candidates = contacts(Page("https://sinar.co.id/", html[:1_000_000]), "sinar.co.id")
    except PageUnavailable:
        candidates = ()
    assert time.process_time() - began < 20
    assert len(candidates) <= 40


def test_an_ordinary_large_page_is_read() -> None:
    html = "<html><body>" + "<div class='a b' id=x><p>Halo <b>dunia</b></p></div>" * 3_000 + "<p>info@sinar.co.id</p>"
    assert found(html) == {(EMAIL, "info@sinar.co.id")}


_PIECES = [
    *(
        "<a href='",
        "'>",
        "</a>",
        "<p>",
        "</p>",
        "<td>",
        "<base href='",
        "<i>",
        "</i>",
        "<br>",
        "<script type=application/ld+json>",
    ),
    *(
        "</script>",
        "http://",
        "https://wa.me/",
        "//",
        "[",
        "]",
        "%",
        "@",
        ".",
        ":",
        ";",
        ",",
        "/",
        "?phone=",
        "#",
        "\\",
        "xn--",
    ),
    *(
        "mailto:",
        "tel:",
        "whatsapp://send?phone=",
        "/cdn-cgi/l/email-protection#4a",
        "kontak",
        "a",
        "id",
        "0812",
        "+62 21",
    ),
    *(
        "57951234",
        "{",
        "}",
        '"email":',
        '"telephone":',
        '"',
        "[at]",
        " dot ",
        "\u2460",
        "\u0130",
        "\u00df",
        "\u0661",
        "\x00",
        "é",
    ),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_no_page_breaks_the_reading(html: str) -> None:
    page = Page("https://sinar.co.id/", html)
    for url in contact_links(page):
        assert url.startswith("http")
    for candidate in contacts(page, "sinar.co.id"):
        assert 5 <= candidate.confidence <= 95
        assert candidate.reasons
        assert len(candidate.value) <= 254


def test_structured_data_of_odd_shapes_is_no_trouble() -> None:
    odd: list[object] = [None, 1, "x", [], [[[{}]]], {"email": {"a": 1}}, {"contactPoint": "x"}, {"@type": [None, 3]}]
    for document in odd:
        assert found(f'<script type="application/ld+json">{json.dumps(document)}</script>') == set()
