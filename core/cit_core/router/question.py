"""Find the question in a long prompt, so that a router decides on it and not on the text around it.

A network reads a few hundred tokens. The prompt of a retrieval chain holds thousands, nearly all of them documents: cut
at its end, three unrelated questions over one document look the same. Texts that fit are read as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

__all__ = ["MAX_CHARACTERS", "Reading", "characters_read", "find_question"]

CHARACTERS_PER_TOKEN_READ = 3.5
"""Number of characters of a token, in texts that are dense with word pieces."""
MAX_CHARACTERS = 20_000
"""Characters of a query that a scorer is given at most, so that a megabyte costs no more than a page."""
LABEL = (
    r"(?:(?:the|user|user's|customer|human|current|final|original|follow[- ]?up|standalone|my)\s+)?"
    r"(?:question|query|request|instruction|task|problem|input|prompt|user|human|q|frage|aufgabe|pregunta|consulta|"
    r"pergunta|domanda|demande|вопрос|запрос|问题|問題|提问|質問|질문|سؤال|प्रश्न)"
)
START = re.compile(
    rf"(?:^|\n)[ \t>*#\-\[\(]*{LABEL}[ \t]*(?:\d+[ \t]*)?[\]\)]?[*_]*[ \t]*[:：][*_]*[ \t]*\n?", re.IGNORECASE
)
"""A label at the beginning of a line, Markdown around it allowed."""
TAGS = ("question", "query", "user_query", "user_question", "user_input", "input", "request", "task", "problem")
END = re.compile(
    r"\n[ \t>*#\-\[\(]*(?:(?:helpful|final|your|the|detailed|short)\s+)?(?:answer|response|assistant|ai|contexts?|"
    r"documents?|sources?|passages?|references?|background|history|chat history|output|thought|solution|a|antwort|"
    r"kontext|respuesta|contexto|resposta|risposta|contesto|réponse|contexte|ответ|контекст|答案|回答|上下文|文档|"
    r"コンテキスト|답변|문맥)[ \t]*(?:\d+[ \t]*)?[\]\)]?[*_]*[ \t]*[:：]|\n[ \t]*(?:-{3,}|={3,}|```|<[a-z_]+>)",
    re.IGNORECASE,
)
"""Text that follows a question in a template."""
BREAK = re.compile(r"\n[ \t]*(?:\n|-{3,}[ \t]*\n|={3,}[ \t]*\n)+")
ASKING = re.compile(
    r"^\W*(?:who|what|when|where|which|why|how|is|are|was|were|do|does|did|can|could|should|would|will|may|has|have|"
    r"explain|summari[sz]e|describe|write|list|give|find|compute|calculate|prove|show|compare|translate|classify|"
    r"determine|evaluate|solve|identify|suggest|generate|create|implement|fix|tell|name|decide|choose|select|answer|"
    r"wer|was|wann|wo|warum|wie|welche|qué|quién|cuándo|dónde|cómo|por qué|que|quem|quando|onde|como|qui|quel|quelle|"
    r"pourquoi|comment|chi|cosa|dove|perché)\b",
    re.IGNORECASE,
)
QUESTION_MARK = re.compile(r"[?？؟](?=[\"'”’)\]\s]|$)")
ASKED_LAST = re.compile(r"[?？؟][\"'”’)\]\s]*$")
ORDER = re.compile(
    r"(?:[.!:;。][$)\]\"'”’]*\s+|[\]})$]\s*|,\s+|\band\s+|\bthen\s+)(?:then\s+|please\s+)?(?:find|compute|calculate|determine|evaluate|"
    r"solve|prove|show that|explain|describe|estimate|derive|identify|translate|summari[sz]e|write)\b",
    re.IGNORECASE,
)
"""An order within a paragraph: `..., then find x.`"""
UNFINISHED = re.compile(
    r"(?:\b(?:a|an|the|of|to|is|are|was|were|will|would|by|and|or|in|at|on|with|that|because|for|from|as|be|can|has|have|into|than)|"
    r"_{2,})[ \t]*$",
    re.IGNORECASE,
)
"""The end of a text that is to be continued."""
OPTION = re.compile(r"(?:^|\n)[ \t]*\(?[A-J1-9][.):][ \t]+\S")
FIRST_OPTION = re.compile(r"\n[ \t]*\(?[A1][.):][ \t]+\S")
LONGEST = 200_000
"""Characters that are searched for a question: the beginning and the end of a longer text."""
LONGEST_QUESTION = 3
"""Multiple of what is read up to which a paragraph counts as one question; of a longer one its last sentences count."""
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'“‘(\[$\\])|(?<=[。？！])\s*")
WORD = re.compile(r"[^\W\d_]{4,}|\d{2,}|\$[^$\n]{1,20}\$")
COMMON = frozenset(
    re.findall(
        r"\w+",
        "about after also because been before between both could does each from have into more most only other "
        "over some such than that their them then there these they this those through under were what when where "
        "which while will with would following statement true false correct answer question",
    )
)
REFERRING = re.compile(r"\b(?:this|these|those|such|above|given|same|they|its?)\b", re.IGNORECASE)
"""A question that speaks of what was said before."""


class Reading(NamedTuple):
    """The part of a text that is read."""

    text: str
    cut: bool
    """True if something was left out."""


def find_question(text: str, characters: int) -> Reading:
    """Choose what to read of a text.

    In this order: what a tag or a label such as `Question:` marks, the last of them; a last, first or other paragraph
    that asks; and where nothing tells, the beginning and the end.

    Args:
        text: Text of one query.
        characters: Maximum number of characters to read.

    Returns:
        The text itself where it is short enough; otherwise a part of it, at most `characters` long.
    """
    if len(text) <= characters:
        return Reading(text, cut=False)
    text = _window(text, LONGEST)
    question = _tagged(text) or _labelled(text) or text
    if len(question) > characters:
        question = _asking(question, characters) or question
    return Reading(_window(question, characters), cut=True)


def characters_read(scorer: object) -> int:
    """Return how many characters of a query a scorer is given at most."""
    reads = getattr(scorer, "max_tokens", None)
    return MAX_CHARACTERS if reads is None else min(MAX_CHARACTERS, round(CHARACTERS_PER_TOKEN_READ * reads))


def _tagged(text: str) -> str:
    """Return the last tagged question. No pattern: one with a lazy gap takes quadratic time on many openers."""
    lower = text.lower()
    if len(lower) != len(text):  # a few capitals are longer in lower case
        return ""
    closed = max((lower.rfind(f"</{tag}>"), tag) for tag in TAGS)
    opened = lower.rfind(f"<{closed[1]}>", 0, max(closed[0], 0))
    return text[opened + len(closed[1]) + 2 : closed[0]].strip() if opened >= 0 else ""


def _labelled(text: str) -> str:
    for start in reversed(list(START.finditer(text))):
        rest = text[start.end() :]
        end = END.search("\n" + rest)
        question = rest[: max(0, end.start() - 1)] if end else rest
        if question.strip():
            return question.strip()
    return ""


def _asking(text: str, characters: int) -> str:
    """Return the part that asks most plainly; of equal ones that at the end, at the beginning, or else the last."""
    parts = [part.strip() for part in BREAK.split(text) if part.strip()]
    if len(parts) < 2 and len(text) > LONGEST_QUESTION * characters:
        parts = _lines(text)
    if len(parts) < 2:
        return _last_sentences(text, characters) if len(text) > LONGEST_QUESTION * characters else ""
    asks = [_asks(part, last=place == len(parts) - 1) for place, part in enumerate(parts)]
    order = [len(parts) - 1, 0, *range(len(parts) - 2, 0, -1)]
    found = max(order, key=lambda place: asks[place])  # the first of equal ones
    if not asks[found]:
        return ""
    question = _with_options(parts, found)
    if len(question) > LONGEST_QUESTION * characters:
        return _last_sentences(question, characters)
    return _with_premises(parts, found, question, characters)


def _asks(part: str, *, last: bool) -> int:
    """Return how plainly a part asks: 0 for not at all."""
    if ASKED_LAST.search(part) or OPTION.search(part) or part.endswith("__"):
        return 3
    if ASKING.match(part) or ORDER.search(part) or UNFINISHED.search(part):
        return 2
    return int(bool(QUESTION_MARK.search(part)) or (last and part[-1].isalpha() and part[0].isalpha()))


def _lines(text: str) -> list[str]:
    """Return the lines of a text; options belong to the line before them."""
    lines: list[str] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        if lines and OPTION.match(line):
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return lines


def _last_sentences(text: str, characters: int) -> str:
    """Return the last sentences that ask, with their options and premises; what is said twice counts once."""
    options = max((match.start() for match in FIRST_OPTION.finditer(text)), default=len(text))
    sentences = list(dict.fromkeys(reversed(SENTENCE.split(text[:options].strip()))))[::-1]
    places = range(len(sentences) - 1, -1, -1)
    place = next((at for at in places if _asks(sentences[at], last=False)), len(sentences) - 1)
    return _with_premises(sentences, place, " ".join(sentences[place:]) + text[options:], characters, shared=1)


def _with_premises(parts: list[str], place: int, question: str, characters: int, shared: int = 2) -> str:
    """Return a question with the parts before it that share so many words with it which are rare in the text.

    A part between two that belong together belongs to them; of a question that refers to something one word is enough.
    """
    words = [_words(part) for part in parts]
    number = Counter(word for found in words for word in found)
    rare = {word for word, times in number.items() if times <= max(2, len(parts) // 8)}
    known, first = _words(question) & rare, place
    for before in range(place - 1, max(-1, place - 20), -1):
        enough = 1 if REFERRING.search(parts[first]) else shared
        if first - before > 2 or len("\n".join(parts[before:place])) + len(question) >= characters:
            break
        if len(known & words[before]) >= enough:
            known, first = known.union(*words[before:first]) & rare, before
    return "\n".join([*parts[first:place], question])


def _words(part: str) -> set[str]:
    return set(WORD.findall(part.lower())) - COMMON


def _with_options(paragraphs: list[str], place: int) -> str:
    """Return a question with its options: those after it, or the question before options."""
    if _is_options(paragraphs[place]) and place > 0:
        return paragraphs[place - 1] + "\n" + paragraphs[place]
    if place + 1 < len(paragraphs) and _is_options(paragraphs[place + 1]):
        return paragraphs[place] + "\n" + paragraphs[place + 1]
    return paragraphs[place]


def _is_options(paragraph: str) -> bool:
    return bool(OPTION.match(paragraph)) and not QUESTION_MARK.search(paragraph.split("\n", 1)[0])


def _window(text: str, characters: int) -> str:
    """Return the beginning and the end, half each; the end of a prompt asks more often than its middle."""
    if len(text) <= characters:
        return text
    head = characters // 2
    return text[:head] + "\n" + text[len(text) - (characters - head - 1) :]
