"""Read the answer in an LLM's free text: what it states, and the option it chose.

A text is read the same way for every kind of question. Markup is removed; a boxed text or one after `####` becomes a
statement like "Answer: ..."; and the last statement counts, because LLMs think first. If nothing is stated, the text
is searched for its conclusion. Two chosen options count as none.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence

from cit_core.aptitude.grading.languages import CJK, STATEMENT
from cit_core.aptitude.grading.markup import readable

__all__ = ["LETTERS", "chosen_options", "last_line", "normal", "statements"]

LETTERS = string.ascii_uppercase
"""Letters of the options, in order."""

LETTER_IN_CJK = re.compile(rf"^([(\[]?[A-Z][)\]]?)\s*(?=[{CJK}])")
"""A letter as the whole answer, and the rest of a sentence in a script without spaces: 答えはCです."""


# -- what is common ---------------------------------------------------------------------------------------------------


def statements(text: str) -> list[str]:
    """Return the text after each "the answer is", "Answer:", box and the like, up to the end of the line."""
    stated = [part.partition("\n")[0].strip(" \t\r'") for part in STATEMENT.split(readable(text))[1:]]
    return [LETTER_IN_CJK.sub(r"\1. ", part) for part in stated]


def last_line(text: str) -> str:
    """Return the last line that is not empty; the empty text has an empty one."""
    return text.rstrip().rpartition("\n")[2].strip()


def normal(text: str) -> str:
    """Normalise for comparison: case, runs of spaces, markup, quotes, a full stop and "Answer:" do not matter."""
    plain = re.sub(r"^\W*answer\s*:", "", readable(text), flags=re.IGNORECASE)
    folded = plain.casefold().replace("i\u0307", "i")  # of the Turkish capital İ
    return " ".join(folded.split()).strip("' ").rstrip(". '") or text


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
    text = readable(text).strip()
    first, last = text.partition("\n")[0], last_line(text)
    return reader.alone(last) or reader.alone(first) or reader.anywhere(text) or reader.at_end(last)


class _OptionReader:
    """Finds options in a text, by letter or by their full text.

    A letter that is a word too ("A dog", "I think") counts only where nothing but an option can be meant.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.texts = [" ".join(readable(option).split()).rstrip(".") for option in options]
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
