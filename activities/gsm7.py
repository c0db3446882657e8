"""How many segments a text message costs: GSM 03.38 (septets) where every character is in it, UCS-2 elsewhere."""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")  # two septets each

# Typographic characters whose plain twins save a message from UCS-2, which has room for half as much.
_TWINS = str.maketrans(
    {
        "\u00a0": " ",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "\u00b7": "-",
    }
)


def plain(text: str) -> str:
    """The text on one line, its typographic characters replaced by plain ones."""
    return " ".join(text.translate(_TWINS).split())


def segments(text: str) -> int:
    """How many segments the text takes: 160 septets or 70 UTF-16 units in one; 153 or 67 each in several."""
    if _BASIC.issuperset(text) or (_BASIC | _EXTENDED).issuperset(text):
        length, one, several = len(text) + sum(each in _EXTENDED for each in text), 160, 153
    else:
        length, one, several = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= one else -(-length // several)
