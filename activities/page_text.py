"""A page as its reader sees it: lines of visible text, links, and what it says of itself in JSON-LD."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import httpx2
from selectolax.lexbor import LexborHTMLParser, LexborNode

from activities.website_errors import PageUnavailable
from activities.websites import Page

MOST_LINKS = 2_000
LONGEST_WORDS = 200  # characters of a link
LONGEST_LINE = 2_000  # characters; longer ones are broken
MOST_TEXT = 300_000  # characters; no contact comes after so many

#: Stands where two elements of one line meet: nothing to the eye, yet what belongs together may be cut in two there.
SEAM = "\x1f"

# The parser's work grows with the square of a page's depth and of an element's attributes: a page of 500 kB can take
# it a minute. Pages for people have some thousand tags, and some ten attributes in one.
MOST_TAGS = 20_000
_TAG = re.compile(r"</?[a-zA-Z]")
_HEAP_OF_ATTRIBUTES = re.compile(
    r"""<[a-zA-Z][^\t\n\f\r />]*+"""
    r"""(?:[\t\n\f\r /]*+[^\t\n\f\r />][^\t\n\f\r />=]*+"""
    r"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r >"'][^\t\n\f\r >]*+)?+)?+){256}+"""
)

_BLOCK_NAMES = """
    address article aside blockquote body button caption center dd details dialog div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol option p pre section select summary table tbody
    textarea tfoot thead tr ul
"""
_UNSEEN_NAMES = "audio canvas head iframe math object script style svg template title video"
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})
_UNSEEN = frozenset(_UNSEEN_NAMES.split())
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")

_SHIELDED = re.compile(r"/cdn-cgi/l/email-protection#([0-9a-f]+)$")
_SPOKEN = re.compile(r"(?:mailto|tel|callto|sms|whatsapp):", re.IGNORECASE)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Link:
    """A link: where it leads (absolute, or of another scheme), its words, and the number of its line."""

    target: str
    words: str
    line: int


@dataclass(frozen=True, slots=True)
class Content:
    """What a page shows. Lines may have SEAMs in them; `data` are its JSON-LD documents."""

    url: str
    lines: tuple[str, ...]
    links: tuple[Link, ...]
    data: tuple[Json, ...]


def read(page: Page) -> Content:
    """What the page shows, without what it hides. Raises PageUnavailable for one that is made to be hard to read."""
    tags = sum(1 for _ in _TAG.finditer(page.text))
    if tags > MOST_TAGS or _HEAP_OF_ATTRIBUTES.search(page.text):
        raise PageUnavailable("it has more tags, or more in one tag, than a page for people")
    tree = LexborHTMLParser(page.text)
    reader = _Reader(_base_of(tree, page.url))
    if tree.root is not None:
        reader.walk(tree.root)
    return Content(page.url, tuple(reader.lines), tuple(reader.links), tuple(_json_ld(tree)))


class _Reader:
    """Walks the tree without recursion: its depth is the page's choice."""

    def __init__(self, base: httpx2.URL) -> None:
        self.lines: list[str] = []
        self.links: list[Link] = []
        self._base = base
        self._parts: list[str] = []
        self._size = 0
        self._words: list[str] | None = None  # of the link that is open

    def walk(self, root: LexborNode) -> None:
        node: LexborNode | None = root
        while node is not None and self._size < MOST_TEXT:
            child = node.first_child if self._enter(node) else None
            while child is None and node is not None:
                self._leave(node)
                if node.mem_id == root.mem_id:
                    node = None
                else:
                    child, node = node.next, node.parent if node.next is None else node
            node = child
        self._end_line()

    def _enter(self, node: LexborNode) -> bool:
        """Take the node in; whether its children are to be seen."""
        if node.is_text_node:
            self._add(node.text_content or "")
            return False
        if not node.is_element_node:
            return node.is_document_node
        tag, attributes = node.tag or "", node.attributes
        if tag in _UNSEEN or "hidden" in attributes or _HIDDEN.search(attributes.get("style") or ""):
            return False
        self._part(tag)
        code = attributes.get("data-cfemail")
        if tag == "a":
            self._link(attributes, code)
        elif tag == "img" and self._words is not None:
            self._words.append(f" {attributes.get('alt') or ''}")
        if code:
            self._add(_unprotected(code))
        return not code

    def _leave(self, node: LexborNode) -> None:
        if node.is_element_node:
            self._part(node.tag or "")
            if node.tag == "a":
                self._end_link()

    def _part(self, tag: str) -> None:
        """What the edge of an element does to the line that it stands in."""
        if tag in _BLOCKS or tag == "br":
            self._end_line()
        else:
            self._add(" " if tag in _CELLS else SEAM)

    def _add(self, text: str) -> None:
        self._parts.append(text)
        if self._words is not None:
            self._words.append(text)

    def _end_line(self) -> None:
        text = _plain("".join(self._parts))
        self._parts.clear()
        for start in range(0, min(len(text), MOST_TEXT - self._size), LONGEST_LINE):
            self.lines.append(text[start : start + LONGEST_LINE])
        self._size += len(text)

    def _link(self, attributes: dict[str, str | None], code: str | None) -> None:
        self._end_link()
        if len(self.links) == MOST_LINKS:
            return
        target = (attributes.get("href") or "").strip()
        shielded = _SHIELDED.search(target)
        if shielded or code:
            target = f"mailto:{_unprotected(shielded[1] if shielded else code or '')}"
        elif not _SPOKEN.match(target):
            try:
                joined = self._base.join(target)
            except (httpx2.InvalidURL, ValueError):  # a host that IDNA refuses is a ValueError
                return
            if joined.scheme not in ("http", "https"):
                return
            target = str(joined)
        self._words = []
        self.links.append(Link(target, attributes.get("aria-label") or attributes.get("title") or "", len(self.lines)))

    def _end_link(self) -> None:
        if self._words is not None:
            words = "".join(self._words).strip(f" \n\t{SEAM}") or self.links[-1].words
            words = " ".join(_plain(words).replace(SEAM, " ").split())
            self.links[-1] = replace(self.links[-1], words=words[:LONGEST_WORDS])
            self._words = None


def _plain(text: str) -> str:
    """The text on one line, its look-alikes made alike and its invisible characters gone; SEAMs stay."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[:MOST_TEXT]))
    return re.sub(f"{SEAM}+", SEAM, re.sub(r"[^\S\x1f]+", " ", text)).strip(f" {SEAM}")


def _base_of(tree: LexborHTMLParser, url: str) -> httpx2.URL:
    """What relative links are relative to; a base that is no website's is ignored, as browsers do."""
    here, named = httpx2.URL(url), tree.css_first("base[href]")
    try:
        base = here.join(named.attributes.get("href") or "") if named is not None else here
    except (httpx2.InvalidURL, ValueError):
        return here
    return base if base.scheme in ("http", "https") else here


def _json_ld(tree: LexborHTMLParser) -> Iterator[Json]:
    for script in tree.css('script[type="application/ld+json" i]'):
        try:
            yield json.loads(script.text(), strict=False)
        except (ValueError, RecursionError):
            continue  # what is not JSON says nothing


def _unprotected(code: str) -> str:
    """The address behind Cloudflare's mail protection, which every browser shows: XOR with the first byte."""
    try:
        data = bytes.fromhex(code)
    except ValueError:
        return ""
    return bytes(each ^ data[0] for each in data[1:]).decode("utf-8", "replace") if data else ""
