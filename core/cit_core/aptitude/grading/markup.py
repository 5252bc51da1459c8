r"""Remove the markup of an answer: emphasis, quotes, LaTeX. A box and what follows `####` become a statement.

`\frac{3}{4}`, `\frac34` and `¾` become 3/4, `x^{2}` and `x²` become x^2, `\boxed{...}` becomes a line "Answer: ...".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from cit_core.aptitude.grading.characters import plain_characters

__all__ = ["readable"]

BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\[{}]|[{}]")
"""Beginning of a box, and braces; escaped ones are signs."""
SUPERSCRIPTS = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
PART = r"\s*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(\d)(?!\d{2}))"
"""Numerator or denominator of a fraction: in braces, or one digit."""


def _fraction(match: re.Match[str]) -> str:
    over, under = (_grouped((braces or digit).strip()) for braces, digit in (match.group(1, 2), match.group(3, 4)))
    return f"{' ' if match.start() and match.string[match.start() - 1].isdigit() else ''}{over}/{under}"


def _vulgar(match: re.Match[str]) -> str:
    whole = " " if match.start() and match.string[match.start() - 1].isdigit() else ""
    return whole + unicodedata.normalize("NFKC", match[0]).replace("\u2044", "/")


def _grouped(part: str) -> str:
    """Return a part of a fraction or a power, in parentheses if it is more than a number or a name."""
    return part if re.fullmatch(r"[-+]?[\w.]+", part) else f"({part})"


def _stated(match: re.Match[str]) -> str:
    """Return what a tag holds as a statement, unless it is quoted: code within an answer says something else."""
    before = match.string[: match.start()]
    quoted = before.count("`") % 2 and not before.lstrip().startswith("`")
    return match[0].replace(">", " >", 1) if quoted else f"\nAnswer: {match[2]}\n"  # a text may be read twice


Replacement = str | Callable[[re.Match[str]], str]
_REWRITES: tuple[tuple[str, Replacement], ...] = (
    (r"(?m)^[ \t]*>[ \t]+(?=\S)", ""),  # a quote, no inequality
    (r":-(?=[ \t])", ":"),
    (r"(?m)^[ \t]*[-*+•][ \t]+(?=\S)", ""),  # a list, no sign
    (r"<(b|i|u|em|strong|span|mark)(?:\s[^<>]*)?>([^<>]*)</\1>", r"\2"),
    (r"</?(?:p|div|br)(?:\s[^<>]*)?/?>", "\n"),
    (r"<sup>([^<>]*)</sup>", r"^\1"),
    (r"~~[^~\n]+~~", ""),  # what is struck out
    (r"\\(?:left|right|displaystyle)(?![A-Za-z])", ""),
    (r"[⁺⁻]?[⁰¹²³⁴-⁹]+", lambda match: "^" + match[0].translate(SUPERSCRIPTS)),
    (r"(?<=\d)[ ]?[¼-¾⅐-⅞]|[¼-¾⅐-⅞]", _vulgar),
    (rf"\\[dtc]?frac(?![A-Za-z]){PART}{PART}(?!\d)", _fraction),
    (r"\\(?:text|textbf|mathrm|mathbf|mbox|underline|framebox)\s*\{([^{}]*)\}", r"\1"),
    (r"\\(?:underline|framebox|mathbf|bf|rm|therefore|checkmark|(?:black)?square)(?![A-Za-z])", ""),
    (r"\^\s*\{?\s*\\circ\b\s*\}?", "°"),
    (r"\^\s*\{([^{}]*)\}", lambda match: "^" + _grouped(match[1].strip())),
    (r"(?i)<(?:final_)?answer>([^<]*)</(?:final_)?answer>", r"\nAnswer: \1\n"),
    (r"(?i)<(result|output|solution|final|ans|choice)>\s*(?![^<\n]{3,}[.:;]\s)([^<\n]*?)\s*</\1>", _stated),
    (r"(?i)([\"'])(?:final_)?answer\1\s*:\s*([\"'])([^\n]*?)\2(?=\s*(?:[,}\n]|$))", r"\nAnswer: \3\n"),  # JSON
    (r"(?m)(?<!\S)####[ \t]*([^#\s]\S*)[ \t]*$", r"\nAnswer: \1\n"),
    (r"<([-\d][\d.,]*)>", r"\1"),
    (r"\\(?:times|cdot)\b", "×"),
    (r"\\[()\[\],;:!]|\{,\}(?=\d{3})|\\(?=[$%&#])", ""),
    (r"\\[ ]", " "),
    (r"(?<![A-Za-z])(?:US|HK|NT|NZ|CA|AU|MX|[ACRS])\$(?=\s*[-\d])|\bRs\.?\s*(?=\d)", ""),
    (r"(?<!\w)_(?=\S)([^_\n]*\S)_(?!\w)", r"\1"),
    (r"\*{2,}|_{2,}|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|[`$\"“”]", ""),  # emphasis, not a sign of multiplication
    (r"[−–](?=\d)", "-"),
    (r"[‘’]", "'"),
)
REWRITES = [(re.compile(pattern), replacement) for pattern, replacement in _REWRITES]


def readable(text: str) -> str:
    """Return a text in plain characters and without markup."""
    text = _unboxed(plain_characters(text))
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _unboxed(text: str) -> str:
    """Return a text with every box as a line that states its content; one that is not closed stays as it is."""
    if r"\boxed" not in text and r"\fbox" not in text:
        return text
    opened: list[re.Match[str]] = []
    boxes: list[tuple[int, int, str]] = []
    for mark in BRACES.finditer(text):
        if mark[0][-1] == "{" and mark[0] != r"\{":
            opened.append(mark)
        elif mark[0] == "}" and opened and len((first := opened.pop())[0]) > 1:
            while boxes and boxes[-1][0] > first.start():
                boxes.pop()  # a box within a box is part of it
            boxes.append((first.start(), mark.end(), text[first.end() : mark.start()]))
    pieces, at = [], 0
    for start, end, inner in boxes:
        pieces += [text[at:start], "\nAnswer: ", " ".join(inner.replace(r"\boxed", "").split()), "\n"]
        at = end
    return "".join([*pieces, text[at:]])
