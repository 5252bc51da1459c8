"""Read the answer in an LLM's free text: what it states, and the option it chose.

A text is read the same way for every kind of question. Markup is removed; a boxed text or one after `####` becomes a
statement like "Answer: ..."; and the last statement counts, because LLMs think first. If nothing is stated, the text
is searched for its conclusion. Two chosen options count as none.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from functools import cached_property

from cit_core.aptitude.grading.languages import BEHIND, CJK, IN_A_CONDITION, STATEMENT
from cit_core.aptitude.grading.markup import readable

__all__ = ["LETTERS", "NEAR", "NEGATION", "OPINION", "chosen_options", "last_line", "normal", "statements"]

LETTERS = string.ascii_uppercase
"""Letters of the options, in order."""

LETTER_WITH_ENDING = re.compile(rf"^([(\[]?[A-Z][)\]]?)(?:\s*(?=[{CJK}])|'[dt][ıiuü]r\b|\s+(?:है|seçene))")
"""A letter as the whole answer, and an ending or the rest of a sentence without spaces: 答えはCです, C'dir."""
LETTER_FIRST = re.compile(
    rf"(?<![A-Za-z])((?:[A-Z]\s*(?:[,/和与與或とや와과])\s*){{0,9}}[A-Z])[)\]]?(?:{'|'.join(BEHIND)})"
)
"""A letter, or several, before words that say that it is right."""
LOOK_ALIKE = re.compile(r"(?<!\w)[АВСЕНКΑΒΕ](?!\w)")
"""A Cyrillic or Greek letter alone: an option, a word that begins a sentence, or an initial."""
LATIN = str.maketrans("АВСЕНКΑΒΕ", "ABCEHKABE")
END_OF_LETTER = re.compile(r"\s*(?:$|[)\],:;!?]|[–—-]\s|\.(?!\s*\w))", re.MULTILINE)
OWN_LETTERS = re.compile(r"(?<!\w)[БГД](?!\w)")
"""Sign of options that are named in Cyrillic order, where В is the third."""
NEGATION = (
    r"(?:n't\b|\b(?:not(?!\s+only)|never|neither|nor|cannot|eliminate|exclude|reject|discard|rule\s+out"
    r"|rather\s+than)\b)"
)
RIGHT = (
    r"(?:correct|right|true|valid|possible|accurate|plausible|it|an?\s+(?:correct|right|valid|good)"
    r"|(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:answer|option|choice|one))\b"
)
WRONG = (
    rf"(?:not\s+{RIGHT}|(?:wrong|incorrect|false|invalid|impossible|untrue|inaccurate)\b"
    r"|(?:eliminated|excluded|ruled\s+out)\b"
    r"|out\b(?!\s+\w))"
)
NEGATIVE = re.compile(rf"{NEGATION}|\b{WRONG}", re.IGNORECASE)
VERDICT = (
    rf"(?:is|are|was|were|seems|looks|must\s+be|would\s+be)\s+(?:\w+ly\s+|also\s+)?{WRONG}"
    r"|(?:is|are|was|were|(?:can|could|would|should|must)(?=\w*'t\s+be|\s*not\s+be))(?:n?'t|\s*not)\s+"
    rf"(?:be\s+)?{RIGHT}"
)
"""Words behind an option which say that it is wrong."""
CLAUSE = r"(?:(?!\b(?:is|are|was|and|but|so|therefore|thus|hence|because|since|while)\b)[^.,;:!?\n]){0,40}?"
"""A part of a clause, which a negation may govern."""
OPINION = r"\s+(?:think|believe|say|mean|agree|sure|certain|convinced|clear|true|the\s+case)\b"
OPINION += r"(?!\s+(?:is|are|was)\b)[^.,;:!?\n]{0,40}?"
"""The same, where the negation governs a clause of its own: "I do not think that the answer is"."""
JOINT = r"\s*(?:,|/|&|[和与與或とや와과]|\b(?:or|nor|and|oder|und|ou|et|o|y|e|или|и)\b)\s*"
BETWEEN = r"[ \t.:)\]–—-]*"
"""What may stand between the letter of an option and its text."""
DENIED = re.compile(
    rf"{NEGATION}(?:\s+be\s*|{OPINION})$|\bunlikely\b[^.,;:!?\n]{{0,40}}$|\bif\s+(?:the|my)\b[^.,;:!?\n]{{0,30}}$"
    r"|(?<!\w)(?:no|non|não|не|không\s+phải)\s+\w+\s*$|不(?:应该|應該|可能|会|會)?[是为為選选]\s*$",
    re.IGNORECASE,
)
"""Text up to a statement that states what is not so: "The answer can't be", "La respuesta no es"."""
DENIED_BEHIND = re.compile(r"[^\s。.,]{1,12}?(?:では(?:あり|な)|じゃな|\s?아[니닙])")
"""Beginning of a statement of what is not so, in languages that say it at the end: 答えはBではありません."""
NEAR = 60
"""Characters before a statement or a number that may change it."""
RETRACTED = re.compile(
    r"\b(?:no[,.]?\s+wait|wait,?\s+no\b|wait[,.]|scratch\s+that|on\s+second\s+thoughts?|correction\s*:|sorry,"
    r"|I\s+mean\b|(?:no,|actually,?)\s+(?:it(?:'s|\s+is)\s+)?(?=[(\[]?(?-i:[A-HJ-Z])\b))|\?\s+no\b",
    re.IGNORECASE,
)
"""Words with which an answer is taken back."""
DOUBT = re.compile(
    r"\b(?:wrong|incorrect|mistaken?)\b|(?:\bnot|n't)\s+(?:sure|certain|right|correct|it|so|true)\b", re.IGNORECASE
)
"""Words after them which leave no answer."""
ENDS = r"(?!\w|[.,]\d|/\w|\s+\d+/\d|\s*[×*+^÷±]\s*[\w(\\]|(?<=\d)\s*[/-]\s*\d)"
"""Condition behind the text of an option: 4 is no option in "4.5", "4 + 4" or "4/3"."""
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
        and not DENIED_BEHIND.match(plain, match.end())
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
    text = LETTER_FIRST.sub(_letter_first, reader.latin(readable(text)).strip())
    left = reader.without_ruled_out(text)
    for part in (text, left):
        stated = [chosen for statement in statements(part) if (chosen := reader.stated(statement))]
        if stated:
            return stated[-1]
    for line in (last_line(text), text.partition("\n")[0], last := last_line(left), left.partition("\n")[0]):
        if alone := reader.alone(line):
            return alone
    return reader.anywhere(left) or reader.at_end(last)


def _letter_first(match: re.Match[str]) -> str:
    """Return a letter that is said to be right as a statement; as it is behind "if" or "no evidence that"."""
    before = match.string[max(0, match.start() - NEAR) : match.start()]
    return match[0] if IN_A_CONDITION.search(before) else f"\nAnswer: {match[1]}\n"


class _OptionReader:
    """Finds options in a text, by letter or by their full text.

    A letter that is a word too ("A dog", "I think") counts only where nothing but an option can be meant.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self.texts = [" ".join(readable(f"= {option}")[2:].split()).rstrip(".") for option in options]
        self.signs = {place for place, text in enumerate(self.texts) if len(text) < 2 and text in string.ascii_letters}
        self.letters = letters = LETTERS[: len(options)]
        either, no_words = letters + letters.lower(), letters.translate({ord("A"): None, ord("I"): None})
        after = r"(?=\s*(?:$|[).:,;!?—–/&\n\]}>]|'(?!\w)|-\s|\b(?:because|since|as|or|and)\b))"
        self.bracketed = rf"[(\[{{<]\s*[{either}]\s*[)\]}}>]"
        letter = rf"(?:{self.bracketed}|[{either}]{after}|[{no_words or letters}](?![\w+#-]|'\w))"
        self.letter = re.compile(rf"(?<![\w'])(?:{letter})")
        self.named = re.compile(rf"{letter}(?:[\s)]*{JOINT}{letter})*")
        self.sole = re.compile(
            rf"\W*{CONCLUSION}?{IT_IS}?(?i:(?:(?:option|choice|letter)\b|选项|選項|選択肢)\W*)?([{either}])\W*"
        )
        self.concluded = re.compile(rf"(?:[.!?…]\s+{CONCLUSION}|…[,;.]?\s*(?:but\s+)?){IT_IS}?([{letters}])\W*$")
        self.marked = re.compile(
            rf"[(\[]([{letters}])[)\]]|^[^\w\n]*([{letters}])[).:]"
            rf"|\b(?i:option|choice|choose|select|pick|go with)\s+([{letters}])\b"
            rf"|\b([{letters}])\s+is\s+(?:the\s+)?(?:correct|right|best|answer)\b",
            re.MULTILINE,
        )

    def latin(self, text: str) -> str:
        """Return a text in which the letters of options are Latin ones, where others only look like them.

        They stay where they may be words or initials, or where the options have such letters of their own.
        """
        if any(OWN_LETTERS.search(one) or LOOK_ALIKE.search(one) for one in self.texts) or OWN_LETTERS.search(text):
            return text
        return LOOK_ALIKE.sub(self._latin_letter, text)

    def _latin_letter(self, match: re.Match[str]) -> str:
        letter = match[0].translate(LATIN)
        own = re.escape(self.texts[self.letters.index(letter)]) if letter in self.letters else "(?!)"
        behind = match.string[match.end() :]
        return letter if END_OF_LETTER.match(behind) or re.match(BETWEEN + own, behind, re.IGNORECASE) else match[0]

    def without_ruled_out(self, text: str) -> str:
        """Return a text without the options that it says are wrong: "not A", "(B) is incorrect".

        An option that denies something itself, as "not guilty", stays.
        """
        if not NEGATIVE.search(text):
            return text
        return self._ruled_out.sub(lambda found: found["own"] or "…", text)

    @cached_property
    def _options(self) -> str:
        """Return the pattern of an option: its letter, its letter and its own text, or its text."""
        spelt = [rf"(?i:{re.escape(text)})(?!\w)" if len(text) > 1 else r"(?!)" for text in self.texts]
        lettered = (
            rf"(?:[(\[{{<]\s*(?i:{letter})\s*[)\]}}>]|(?<![\w']){letter}(?![\w+#-]|'\w))(?:{BETWEEN}{text})?"
            for letter, text in zip(self.letters, spelt, strict=False)
        )
        texts = "|".join(sorted(spelt, key=len, reverse=True))
        return rf"(?:{'|'.join(lettered)}|(?<!\w)(?:{texts}))"

    @cached_property
    def _ruled_out(self) -> re.Pattern[str]:
        """Return the pattern of options that are said to be wrong; it is large, and few texts need it."""
        denying = "|".join(re.escape(text) for text in self.texts if NEGATIVE.search(text)) or r"(?!)"
        return re.compile(
            rf"(?P<own>(?:{self.letter.pattern}{BETWEEN})?(?i:{denying}))"
            rf"|(?i:{NEGATION})(?:{CLAUSE}|{OPINION}){self._options}(?:{JOINT}(?:n?or\s+)?{self._options})*"
            rf"|{self._options}[ \t]*(?i:{VERDICT}|[:–—-][ \t]*(?:wrong|incorrect)\b(?!\s+(?!because|since|as)\w))"
        )

    def stated(self, statement: str) -> set[int]:
        """Return the options of a statement: those it gives last; all of them if it takes them back for no other."""
        start = re.match(self._options, statement)
        found = list(RETRACTED.finditer(statement, start.end() if start else 0))
        chosen = self._given(statement[: found[0].start()] if found else statement)
        for place, match in enumerate(found):
            rest = statement[match.end() : found[place + 1].start() if place + 1 < len(found) else None]
            instead = self._given(INSTEAD.sub("", rest))
            if instead or DOUBT.search(rest) or self._places(self._letters(rest)) - chosen:
                chosen = instead or set(range(max(2, len(self.texts))))
        return chosen

    def _given(self, statement: str) -> set[int]:
        """Return the options that a statement gives, after those that it rules out: "not A, but B"."""
        out = self._ruled_out.match(statement) if NEGATIVE.search(statement) else None
        if out is None or out["own"]:
            return self.at_start(INSTEAD.sub("", statement) if statement.startswith("…") else statement)
        other = self.at_start(INSTEAD.sub("", statement[out.end() :]))
        return other if NEGATIVE.match(statement) else other or self.at_start(statement)

    def _letters(self, text: str) -> list[str]:
        return re.findall(r"\b[A-Za-z]\b", " ".join(self.letter.findall(text)))

    def at_start(self, text: str) -> set[int]:
        """Return the options at the start of a statement: by text if longer than a sign, else letter, else text.

        A letter with the text of another option is both of them.
        """
        chosen: set[int] = set()
        spelt = self._spelt("{}", text)
        while length := max((len(self.texts[place]) for place in spelt if place not in self.signs), default=0):
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
            if option and re.match(where.replace("{}", re.escape(option) + ENDS), text, re.IGNORECASE)
        }
        return {place for place, length in found.items() if length == max(found.values())}
