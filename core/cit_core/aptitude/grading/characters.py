"""Characters that mean the same: accents, full-width letters, digits of any script, thin spaces, groups of digits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

__all__ = ["plain_characters"]

FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width forms of ASCII."""
PUNCTUATION = {
    **dict.fromkeys(map(ord, "\u3000\u00a0\u2002\u2003"), " "),
    **dict.fromkeys(map(ord, "。｡"), "."),
    **dict.fromkeys(map(ord, "、､\u066c"), ","),
    **dict.fromkeys(map(ord, "【〔［"), "["),
    **dict.fromkeys(map(ord, "】〕］"), "]"),
    ord("\u066b"): ".",
    ord("\u2212"): "-",
    **dict.fromkeys(map(ord, "「」『』«»„"), '"'),
    **dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff"), None),
}
OTHER_DIGIT = re.compile(r"[^\W\D0-9]|(?![0-9])\d")
Replacement = str | Callable[[re.Match[str]], str]
_GROUPS: tuple[tuple[str, Replacement], ...] = (
    (r"(?<=\d)[\u2009\u202f\u00a0\u2007\u2008\u2006'’](?=\d{3}(?!\d))", ""),  # 1 234 567, 1'234'567
    (r"(?<![\d.,])(\d{1,3})((?:\.\d{3})+),(\d+)(?![\d.,]*\d)", lambda m: f"{m[1]}{m[2].replace('.', '')}.{m[3]}"),
    (r"(?<![\d.,])(\d{1,3})((?:\.\d{3}){2,})(?![\d.,]*\d)", lambda m: m[1] + m[2].replace(".", "")),
    (r"(?<![\d.,])(?<!\((?=\d+,\d+(?:\\right)?\)))(\d+),(\d{1,2})(?![\d.,]*\d)", r"\1.\2"),  # 3,5 but not (3,5)
)
GROUPS = [(re.compile(pattern), replacement) for pattern, replacement in _GROUPS]
"""Ways in which numbers are grouped, and what they are turned into."""


def plain_characters(text: str) -> str:
    """Return a text with the plain form of every character that has one, and numbers written 1234567.5."""
    text = GROUPS[0][0].sub("", text)  # before its spaces become plain ones
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        text = text.translate(FULL_WIDTH).translate(PUNCTUATION)
        text = OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0], match[0])), text)
    for pattern, replacement in GROUPS[1:]:
        text = pattern.sub(replacement, text)
    return text
