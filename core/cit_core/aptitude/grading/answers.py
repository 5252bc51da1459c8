"""Read the answer in an LLM's free text: the option it chose, the number or the words it gives.

A text is read the same way for every kind of question. Markup is removed; a boxed text or one after `####` becomes a
statement like "Answer: ..."; and the last statement counts, because LLMs think first. If nothing is stated, the text
is searched for its conclusion. Two chosen options count as none.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cit_core.aptitude.grading.characters import plain_characters
from cit_core.aptitude.grading.languages import CJK, STATEMENT

__all__ = ["LETTERS", "Number", "chosen_options", "last_line", "normal", "numbers", "stated_number", "statements"]

LETTERS = string.ascii_uppercase
"""Letters of the options, in order."""

REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2"),
        (r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1"),
        (r"\\boxed\s*\{([^{}]*)\}", r"\nAnswer: \1\n"),
        (r"(?i)<answer>([^<]*)</answer>", r"\nAnswer: \1\n"),
        (r"(?m)(?<!\S)####[ \t]*([^#\s]\S*)[ \t]*$", r"\nAnswer: \1\n"),
        (r"\\(?:times|cdot)\b", "×"),
        (r"\\[()\[\],;!]|\{,\}(?=\d{3})", ""),
        (r"\*{2,}|_{2,}|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|[`$\"“”]", ""),  # emphasis, not a sign of multiplication
        (r"[−–](?=\d)", "-"),
        (r"[‘’]", "'"),
    ]
]
NUMBER = re.compile(
    r"""(?<![A-Za-zÀ-ɏΑ-ωА-я0-9_.,]) (?P<sign>[-+]?) [€£¥]?
        (?:(?P<whole>\d+)\s+(?=\d+\s*/\s*\d))?
        (?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)
        (?:[eE](?P<power>[-+]?\d+) | \s*[×x*]\s*10\s*\^\s*\{?(?P<ten>[-+]?\d+)\}? | \s*/\s*(?P<under>\d+(?:\.\d+)?))?
        (?!\d|[.,]\d) (?P<percent>\s*(?:\\?%|percent\b))?""",
    re.VERBOSE,
)
LETTER_IN_CJK = re.compile(rf"^([(\[]?[A-Z][)\]]?)\s*(?=[{CJK}])")
"""A letter as the whole answer, and the rest of a sentence in a script without spaces: 答えはCです."""
OPERATION = re.compile(r"\s*[A-Za-z]?\s*[-+×*/÷^=]")
RESULT = re.compile(r"(?:[=≈:]|\b(?:is|are|was|equals))\s*$")


# -- what is common ---------------------------------------------------------------------------------------------------


def statements(text: str) -> list[str]:
    """Return the text after each "the answer is", "Answer:", box and the like, up to the end of the line."""
    stated = [part.partition("\n")[0].strip(" \t\r'") for part in STATEMENT.split(_readable(text))[1:]]
    return [LETTER_IN_CJK.sub(r"\1. ", part) for part in stated]


def last_line(text: str) -> str:
    """Return the last line that is not empty; the empty text has an empty one."""
    return text.rstrip().rpartition("\n")[2].strip()


def normal(text: str) -> str:
    """Normalise for comparison: case, runs of spaces, markup, quotes, a full stop and "Answer:" do not matter."""
    plain = re.sub(r"^\W*answer\s*:", "", _readable(text), flags=re.IGNORECASE)
    folded = plain.casefold().replace("i\u0307", "i")  # of the Turkish capital İ
    return " ".join(folded.split()).strip("' ").rstrip(". '") or text


def _readable(text: str) -> str:
    text = plain_characters(text)
    for pattern, replacement in REWRITES:
        text = pattern.sub(replacement, text)
    return text


# -- a choice ---------------------------------------------------------------------------------------------------------


def chosen_options(text: str, options: Sequence[str]) -> set[int]:
    """Return the places of the options that a text chooses.

    Args:
        text: The LLM's text.
        options: Texts of the options, at least one.

    Returns:
        One place if it chose, two or more if it did not decide, none if it names none.
    """
    reader = _OptionReader(options)
    stated = [chosen for statement in statements(text) if (chosen := reader.at_start(statement))]
    if stated:
        return stated[-1]
    text = _readable(text).strip()
    first, last = text.partition("\n")[0], last_line(text)
    return reader.alone(last) or reader.alone(first) or reader.anywhere(text) or reader.at_end(last)


class _OptionReader:
    """Finds options in a text, by letter or by their full text.

    A letter that is a word too ("A dog", "I think") counts only where nothing but an option can be meant.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.texts = [" ".join(_readable(option).split()).rstrip(".") for option in options]
        self.letters = letters = LETTERS[: len(options)]
        either, no_words = letters + letters.lower(), letters.translate({ord("A"): None, ord("I"): None})
        after = r"(?=\s*(?:$|[).:,;!?—–/&\n]|-\s|\b(?:because|since|as|or|and)\b))"
        letter = rf"(?:[(\[]\s*[{either}]\s*[)\]]|[{either}]{after}|[{no_words or letters}](?![\w'+#-]))"
        self.named = re.compile(rf"{letter}(?:[\s)]*(?:,|/|&|\bor\b|\band\b)\s*{letter})*")
        self.sole = re.compile(rf"\W*(?:[Oo]ption\s+)?([{either}])\W*")
        self.marked = re.compile(
            rf"(?<!not\s)[(\[]([{letters}])[)\]]|^[^\w\n]*([{letters}])[).:]"
            rf"|\b(?:option|choose|pick|go with)\s+([{letters}])\b"
            rf"|\b([{letters}])\s+is\s+(?:the\s+)?(?:correct|right|best|answer)\b",
            re.MULTILINE,
        )

    def at_start(self, text: str) -> set[int]:
        """Return the options at the start of a statement: by text if longer than a sign, else letter, else text."""
        spelt = self._spelt("{}", text)
        if any(len(self.texts[place]) > 1 for place in spelt):
            return spelt
        named = self.named.match(text)
        return self._places(re.findall(r"\b[A-Za-z]\b", named[0])) if named else spelt

    def at_end(self, line: str) -> set[int]:
        """Return the option with the text of the last line, or of its end after "is", ":" or the like."""
        return self._spelt(r"(?:|.*(?:\b(?:is|are|was|be)|[=:])\s*)(?:the\s+)?{}\W*$", line)

    def alone(self, line: str) -> set[int]:
        """Return the option of a line that is only a letter."""
        sole = self.sole.fullmatch(line)
        return self._places([sole[1]]) if sole else set()

    def anywhere(self, text: str) -> set[int]:
        """Return the options with letters that are marked as such anywhere in the text."""
        return self._places("".join(groups) for groups in self.marked.findall(text))

    def _places(self, letters: Iterable[str]) -> set[int]:
        return {self.letters.index(letter.upper()) for letter in letters if letter.upper() in self.letters}

    def _spelt(self, where: str, text: str) -> set[int]:
        """Return the options with the longest text at that position: "New York" is not "York"."""
        found = {
            place: len(option)
            for place, option in enumerate(self.texts)
            if option and re.match(where.replace("{}", re.escape(option) + r"(?!\w|[.,]\d)"), text, re.IGNORECASE)
        }
        return {place for place, length in found.items() if length == max(found.values())}


# -- a number ---------------------------------------------------------------------------------------------------------


class Number(NamedTuple):
    """A number in a text."""

    value: float
    digits: str | None
    """Sign and digits of a whole number that is written out: these must agree to the last one."""
    percent: bool
    start: int
    end: int
    """Its position in the text without markup."""

    def equals(self, other: Number) -> bool:
        """Compare up to a relative 1e-6; 15 % is 15 where a percentage is asked for, and 0.15 where a share is."""
        if self.digits and other.digits and not self.percent and not other.percent:
            return self.digits == other.digits
        pairs = ((mine, its) for mine in self._readings() for its in other._readings())
        return any(math.isclose(mine, its, rel_tol=1e-6, abs_tol=1e-12) for mine, its in pairs)

    def _readings(self) -> list[float]:
        return [self.value, self.value / 100] if self.percent else [self.value]


def numbers(text: str) -> list[Number]:
    """Return all numbers of a text: 1,234.5, -3, 6.02e23 or 6.02 × 10^23, 3/4, 1 3/4, 15 %."""
    found = []
    for match in NUMBER.finditer(_readable(text)):
        digits, under = match["digits"].replace(",", ""), float(match["under"] or 1)
        if under:
            size = float(match["whole"] or 0) + float(f"{digits}e{match['power'] or match['ten'] or 0}") / under
            value = -size if match["sign"] == "-" else size
            written_out = digits.isdigit() and not any(match[part] for part in ("power", "ten", "under"))
            sign = "-" if value < 0 else ""
            whole = sign + digits.lstrip("0") if written_out else None
            found.append(Number(value, whole, bool(match["percent"]), match.start(), match.end()))
    return found


def stated_number(text: str) -> Number | None:
    """Return the first result in the last statement that has a number; else in the last line that has one.

    A result is what no operation follows (7 in "3 + 4 = 7"); in a line that states nothing, what follows "=" or "is".
    """
    text = _readable(text)
    for statement in reversed(statements(text)):
        if found := numbers(statement):
            return next((number for number in found if not OPERATION.match(statement, number.end)), found[0])
    for line in reversed(text.splitlines()):
        if found := numbers(line):
            return next(
                (number for number in reversed(found) if RESULT.search(line[max(0, number.start - 20) : number.start])),
                found[-1],
            )
    return None
