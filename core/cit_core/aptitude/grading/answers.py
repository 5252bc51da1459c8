"""Read the answer in an LLM's free text: what it states, and the option it chose.

A text is read the same way for every kind of question. Markup is removed; a boxed text or one after `####` becomes a
statement like "Answer: ..."; and the last statement counts, because LLMs think first. If nothing is stated, the text
is searched for its conclusion. Two chosen options count as none.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence

from cit_core.aptitude.grading.languages import BEHIND, CJK, STATEMENT
from cit_core.aptitude.grading.markup import readable

__all__ = ["LETTERS", "NEAR", "NEGATION", "OPINION", "chosen_options", "last_line", "normal", "statements"]

LETTERS = string.ascii_uppercase
"""Letters of the options, in order."""

LETTER_WITH_ENDING = re.compile(rf"^([(\[]?[A-Z][)\]]?)(?:\s*(?=[{CJK}])|'[dt][ıiuü]r\b|\s+(?:है|seçene))")
"""A letter as the whole answer, and an ending or the rest of a sentence without spaces: 答えはCです, C'dir."""
LETTER_FIRST = re.compile(rf"(?<![A-Za-z])([A-Z])[)\]]?(?:{'|'.join(BEHIND)})")
LOOK_ALIKE = re.compile(r"(?<!\w)[АВСЕНКΑΒΕ](?!\w|\s+[а-яёα-ω])")
"""A Cyrillic or Greek letter alone, not the word that begins a sentence."""
LATIN = str.maketrans("АВСЕНКΑΒΕ", "ABCEHKABE")
OWN_LETTERS = re.compile(r"(?<!\w)[БГД](?!\w)")
"""Sign of options that are named in Cyrillic order, where В is the third."""
NEGATION = (
    r"(?:n't\b|\b(?:not(?!\s+only)|never|neither|nor|cannot|eliminate|exclude|reject|discard|rule\s+out"
    r"|rather\s+than)\b)"
)
WRONG = r"(?:not|wrong|incorrect|false|invalid|impossible|untrue|inaccurate|eliminated|excluded|ruled\s+out|out)\b"
NEGATIVE = re.compile(rf"{NEGATION}|\b{WRONG}", re.IGNORECASE)
CLAUSE = r"(?:(?!\b(?:is|are|was|but|so|therefore|thus|hence|because|since|while)\b)[^.,;:!?\n]){0,40}?"
"""A part of a clause, which a negation may govern."""
OPINION = r"\s+(?:think|believe|say|mean|agree|sure|certain|convinced|clear|true|the\s+case)\b[^.,;:!?\n]{0,40}?"
"""The same, where the negation governs a clause of its own: "I do not think that the answer is"."""
JOINT = r"\s*(?:,|/|&|或|和|\b(?:or|nor|and|oder|und|ou|et|o|y|e|или|и)\b)\s*"
DENIED = re.compile(rf"{NEGATION}(?:\s+be\s*|{OPINION})$", re.IGNORECASE)
"""Text up to a statement that states what is not so: "The answer can't be"."""
NEAR = 60
"""Characters before a statement or a number that may change it."""
RETRACTED = re.compile(
    r"\b(?:no[,.]?\s+wait|wait[,.]|wait\s+no|scratch\s+that|on\s+second\s+thoughts?|correction\s*:|sorry,|I\s+mean\b"
    r"|no,\s+(?=[(\[]?[A-Z]\b)|actually,?\s+(?=[(\[]?[A-Z]\b))|\?\s+no\b",
    re.IGNORECASE,
)
"""Words with which an answer is taken back."""
INSTEAD = re.compile(
    r"^[…\s,;.:]*(?:(?:but|rather|instead|it|this|that|is|'s|must|be|the|answer)\b\s*)*", re.IGNORECASE
)
"""Beginning of a statement after what it rules out."""
CONCLUSION = r"(?i:(?:so|thus|hence|therefore|then|ergo)\b\W*)"
IT_IS = r"(?i:(?:it|this|that|the\s+answer)(?:'s|\s+is|\s+must\s+be)\W+)"


# -- what is common ---------------------------------------------------------------------------------------------------


def statements(text: str) -> list[str]:
    """Return the text after each "the answer is", "Answer:", box and the like, up to the end of the line.

    What comes after "The answer can't be" and the like is none.
    """
    plain = readable(text)
    found = list(STATEMENT.finditer(plain))
    ends = [*(match.start() for match in found[1:]), len(plain)]
    stated = [
        plain[match.end() : end].partition("\n")[0].strip(" \t\r'")
        for match, end in zip(found, ends, strict=False)
        if not DENIED.search(plain[max(0, match.start() - NEAR) : match.end()])
    ]
    return [LETTER_WITH_ENDING.sub(r"\1. ", part) for part in stated]


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
    text = LETTER_FIRST.sub(r"\nAnswer: \1\n", _latin(readable(text)).strip())
    text = reader.without_ruled_out(text)
    stated = [chosen for statement in statements(text) if (chosen := reader.stated(statement))]
    if stated:
        return stated[-1]
    first, last = text.partition("\n")[0], last_line(text)
    return reader.alone(last) or reader.alone(first) or reader.anywhere(text) or reader.at_end(last)


def _latin(text: str) -> str:
    """Return a text in which the letters of options are Latin ones where others only look like them."""
    if OWN_LETTERS.search(text):
        return text
    return LOOK_ALIKE.sub(lambda match: match[0].translate(LATIN), text)


class _OptionReader:
    """Finds options in a text, by letter or by their full text.

    A letter that is a word too ("A dog", "I think") counts only where nothing but an option can be meant.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.texts = [" ".join(readable(f"= {option}")[2:].split()).rstrip(".") for option in options]
        self.letters = letters = LETTERS[: len(options)]
        either, no_words = letters + letters.lower(), letters.translate({ord("A"): None, ord("I"): None})
        after = r"(?=\s*(?:$|[).:,;!?—–/&\n\]}>]|'(?!\w)|-\s|\b(?:because|since|as|or|and)\b))"
        self.bracketed = rf"[(\[{{<]\s*[{either}]\s*[)\]}}>]"
        letter = rf"(?:{self.bracketed}|[{either}]{after}|[{no_words or letters}](?![\w+#-]|'\w))"
        self.named = re.compile(rf"{letter}(?:[\s)]*{JOINT}{letter})*")
        self.sole = re.compile(rf"\W*{CONCLUSION}?{IT_IS}?(?i:(?:option|choice|letter)\b\W*)?([{either}])\W*")
        self.concluded = re.compile(rf"(?:[.!?…]\s+{CONCLUSION}|…[,;.]?\s*(?:but\s+)?){IT_IS}?([{letters}])\W*$")
        self.marked = re.compile(
            rf"[(\[]([{letters}])[)\]]|^[^\w\n]*([{letters}])[).:]"
            rf"|\b(?i:option|choice|choose|select|pick|go with)\s+([{letters}])\b"
            rf"|\b([{letters}])\s+is\s+(?:the\s+)?(?:correct|right|best|answer)\b",
            re.MULTILINE,
        )

    def without_ruled_out(self, text: str) -> str:
        """Return a text without the options that it says are wrong: "not A", "(B) is incorrect".

        An option that denies something itself, as "not guilty", stays.
        """
        if not NEGATIVE.search(text):
            return text
        return self._ruled_out().sub(lambda found: found["own"] or "…", text)

    def _ruled_out(self) -> re.Pattern[str]:
        """Return the pattern of options that are said to be wrong; it is large, and few texts need it."""
        spelt = sorted((re.escape(option) for option in self.texts if len(option) > 1), key=len, reverse=True)
        texts = rf"(?i:{'|'.join(spelt)})(?!\w)" if spelt else r"(?!)"
        denying = "|".join(option for option in spelt if NEGATIVE.search(option)) or r"(?!)"
        mention, between = rf"(?:{self.bracketed}|(?<![\w'])[{self.letters}](?![\w+#-]|'\w))", r"[\s.:)\]–—-]*"
        option = rf"(?:{mention}|(?<!\w){texts})(?:{between}{texts})?"
        verdict = rf"\s*(?:is|are|was|were|seems|looks|must\s+be|would\s+be)\s+(?:\w+ly\s+|also\s+)?(?i:{WRONG})"
        return re.compile(
            rf"(?P<own>(?:{mention}{between})?(?i:{denying}))"
            rf"|(?i:{NEGATION})(?:{CLAUSE}|{OPINION}){option}(?:{JOINT}(?:n?or\s+)?{option})*"
            rf"|{option}(?:{verdict}|\s*[:–—-]\s*(?i:wrong|incorrect)\b|\s*(?:is|was|does|do|can|could|would|should)n't\b"
            r"|\s+(?:does|do|can|could|would|should|must)\s*not\b)"
        )

    def stated(self, statement: str) -> set[int]:
        """Return the options of a statement; all of them if it takes its answer back and gives no other."""
        *before, last = RETRACTED.split(statement)
        chosen = self.at_start(INSTEAD.sub("", last) if before or last.startswith("…") else last)
        return chosen or (set(range(max(2, len(self.texts)))) if before else chosen)

    def at_start(self, text: str) -> set[int]:
        """Return the options at the start of a statement: by text if longer than a sign, else letter, else text.

        A letter with the text of another option is both of them.
        """
        chosen: set[int] = set()
        spelt = self._spelt("{}", text)
        while length := max((n for place in spelt if (n := len(self.texts[place])) > 1), default=0):
            chosen |= spelt
            joint = re.match(JOINT, text[length:])
            if joint is None or len(chosen) > 1:
                return chosen
            text = text[length + joint.end() :]
            spelt = self._spelt("{}", text)
        named = self.named.match(text)
        if named is None:
            return chosen | spelt
        letters = self._places(re.findall(r"\b[A-Za-z]\b", named[0]))
        other = self._spelt(r"[\s).:\]–—-]+{}\W*$", text[named.end() :])
        return chosen | letters | (set() if letters & other else other)

    def at_end(self, line: str) -> set[int]:
        """Return the option with the text of the last line, or of its end after "is", ":" or the like."""
        return self._spelt(r"(?:|.*(?:\b(?:is|are|was|be)|[=:])\s*)(?:the\s+)?{}\W*$", line)

    def alone(self, line: str) -> set[int]:
        """Return the option of a line that is only a letter, its text too, or ends with "So C."."""
        sole = self.sole.fullmatch(line) or self.concluded.search(line)
        if sole:
            return self._places([sole[1]])
        said = line.casefold()
        return {
            place
            for place, (letter, text) in enumerate(zip(self.letters, self.texts, strict=False))
            if text
            and text.casefold() in said
            and re.fullmatch(rf"\W*{letter}[\s).:\]–—-]+{re.escape(text)}\W*", line, re.IGNORECASE)
        }

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
