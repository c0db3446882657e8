"""The words that contact research goes by, in Indonesian and English, and what each sign is worth."""

from __future__ import annotations

import re
from enum import Enum


class Sign(Enum):
    """What speaks for or against a finding: points of a hundred, and how a person reads it."""

    points: int
    words: str

    def __init__(self, points: int, words: str) -> None:
        self.points = points
        self.words = words

    # how it is given
    CONTACT_POINT = 70, "named as a contact point in the page's structured data"
    ORGANISATION = 60, "named for the organisation in the page's structured data"
    LINK = 60, "linked for writing or calling"
    LABELLED = 55, "written behind a label"
    WRITTEN = 45, "written on the page"
    DISGUISED = 40, "written so that only people read it"
    # where
    CONTACT_PAGE = 10, "on a contact page"
    REPEATED = 5, "on more than one page"
    WEB_MAKER = -40, "beside the name of whoever made the website"
    ELSEWHERE = -20, "on another website, which this one leads to"
    # whose
    OWN_DOMAIN = 15, "at the website's own domain"
    FREE_MAIL = -5, "at a free mail provider"
    OTHER_DOMAIN = -25, "at another domain"
    FOREIGN = -15, "a number of another country"
    # what for
    FINANCE = 10, "a desk for bills"
    RECEPTION = 5, "a general desk"
    OTHER_DESK = -20, "a desk that has nothing to do with bills"
    FAX_TOO = -10, "said to be a fax line as well"


# --- links to contact pages -----------------------------------------------------------------------------------------

_NOT_A_CONTACT = re.compile(r"lens|lensa|kacamata|sport|person|form\s?factor|center\s?stage", re.IGNORECASE)

#: The words of a link, best first, with what they are worth.
LINK_WORDS: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (worth, re.compile(pattern, re.IGNORECASE))
    for worth, pattern in (
        (100, r"^\W*(contact( us)?|kontak( kami)?|hubungi( kami)?|get in touch|reach us)\W*$"),
        (80, r"\b(contact|kontak|hubungi|get in touch)\b"),
        (60, r"\b(imprint|impressum|legal notice)\b"),
        (50, r"\b(customer (service|care)|layanan pelanggan|alamat|kantor|lokasi|locations?|our offices?)\b"),
        (40, r"\b(about( us)?|tentang( kami)?|profil( perusahaan)?|company profile)\b"),
    )
)

#: A segment of a link's path, likewise.
LINK_PATHS: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (worth, re.compile(pattern, re.IGNORECASE))
    for worth, pattern in (
        (90, r"^(contact|contacts|contact[-_]?us|kontak|kontak[-_]?kami|hubungi|hubungi[-_]?kami)(\.\w{2,5})?$"),
        (60, r"^(imprint|impressum)(\.\w{2,5})?$"),
        (35, r"^(about|about[-_]?us|tentang|tentang[-_]?kami|profil|profile|company)(\.\w{2,5})?$"),
    )
)

#: From this worth on a link leads to a contact page proper, not to a page that may have one's contacts.
CONTACT_PAGE_WORTH = 60

#: Where a contact page is looked for when no link leads to one.
LIKELY_PATHS = ("/kontak", "/contact", "/hubungi-kami", "/contact-us")

_FILES = re.compile(r"\.(pdf|docx?|xlsx?|pptx?|zip|jpe?g|png|gif|webp|svg|mp[34]|vcf)$", re.IGNORECASE)


def worth_of_link(words: str, path: str) -> int:
    """How likely a link leads to a page with contacts; 0 for not at all."""
    if _FILES.search(path) or _NOT_A_CONTACT.search(words):
        return 0
    segment = path.rstrip("/").rpartition("/")[2]
    by_words = next((worth for worth, pattern in LINK_WORDS if len(words) <= 60 and pattern.search(words)), 0)
    by_path = next((worth for worth, pattern in LINK_PATHS if pattern.search(segment)), 0)
    return max(by_words, by_path)


# --- labels ---------------------------------------------------------------------------------------------------------

_LABEL = r"(?<![^\W_]){}(?![^\W_])"
MAIL_LABEL = re.compile(_LABEL.format(r"(e-?mail|surel|surat elektronik)"), re.IGNORECASE)
PHONE_LABEL = re.compile(
    _LABEL.format(
        r"(telp|tlp|telf|telepon|telephone|tel|phone|ph|hp|handphone|mobile|ponsel|call( us)?|hubungi|hotline|kantor"
        r"|office|customer (service|care)|[tpmh](?=\s*[:.)]))"
    ),
    re.IGNORECASE,
)
FAX_LABEL = re.compile(_LABEL.format(r"(fax|faks|faksimil[ei]?|facsimile|f(?=\s*[:.)]))"), re.IGNORECASE)
WHATSAPP_LABEL = re.compile(_LABEL.format(r"(wa|whats\s?app)"), re.IGNORECASE)
#: What such a number is, when it is not one to call.
OTHER_NUMBER = re.compile(
    _LABEL.format(
        r"(npwp|nik|nib|siup|tdp|nomor induk|rek|rekening|no\.? rek|account( no| number)?|a/c|acc|virtual account|va"
        r"|isbn|invoice|faktur|po box|kode pos|tax id|vat|swift)"
    ),
    re.IGNORECASE,
)
WEB_MAKER = re.compile(
    r"\b((web\s?site|web\s?design|situs|site|designed|developed|powered|created|built|dibuat|dikembangkan)\b"
    r"[^.]{0,20}\b(by|oleh)|jasa (pembuatan )?(web\s?site|web))\b",
    re.IGNORECASE,
)

# --- addresses ------------------------------------------------------------------------------------------------------

FINANCE_DESK = re.compile(
    r"(finance|keuangan|billing|invoic|tagihan|payable|accounting|akuntansi|accounts?\b|\bap\b|\bar\b|pembayaran|payment)"
)
RECEPTION_DESK = re.compile(
    r"^(info|contact|kontak|hello|halo|hallo|hi|office|kantor|admin|cs|sales|marketing|customer\W?(service|care)|mail)\b"
)
OTHER_DESK = re.compile(
    r"(^|[._-])(hr|hrd|career|careers|karir|job|jobs|recruitment|rekrutmen|lowongan|lamaran|press|media|investor|ir"
    r"|privacy|dpo|legal|abuse|webmaster|hostmaster|postmaster|dmca|security|whistleblow\w*|newsletter|support)([._-]|$)"
)
#: Whose address a local part is; the first that fits.
DESKS = ((Sign.FINANCE, FINANCE_DESK), (Sign.OTHER_DESK, OTHER_DESK), (Sign.RECEPTION, RECEPTION_DESK))
NOBODY = re.compile(r"^(no-?reply|do-?not-?reply|noreply\w*|mailer-daemon|bounce\w*)$")

_FREE = "gmail googlemail yahoo ymail rocketmail hotmail outlook live msn icloud me aol proton protonmail gmx"
FREE_MAIL = re.compile(rf"^({'|'.join(_FREE.split())})\.(com|co\.id|co\.uk|id|net|me|ch)$")

#: What a form or a template has where an address should be, and what belongs to the tools a website is made of.
_NOT_REAL_NAMES = """
    example.com example.org example.net domain.com yourdomain.com namadomain.com domainanda.com email.com mail.com
    company.com yourcompany.com perusahaan.com website.com yoursite.com mysite.com test.com contoh.com
    sentry.io wixpress.com wordpress.com wordpress.org godaddy.com schema.org
"""
NOT_REAL = frozenset(_NOT_REAL_NAMES.split())

#: What looks like the end of an address and is the end of a file's name.
_FILE_ENDINGS = "png jpg jpeg gif svg webp avif ico css js json woff pdf mp4 php html"
FILE_ENDINGS = frozenset(_FILE_ENDINGS.split())

_SECOND_LEVEL = frozenset(
    ["co", "or", "ac", "go", "sch", "web", "my", "biz", "net", "com", "org", "desa", "gov", "edu"]
)


def registrable(host: str) -> str:
    """The part of a host name that someone registered: `sinar.co.id` of `www.sinar.co.id`.

    Reckoned from the shape of the name, not from the public suffix list: right for what businesses here have.
    """
    labels = host.lower().rstrip(".").split(".")
    if len(labels) >= 3 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL:
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])
