"""Find the question in a long prompt, so that a router decides on it and not on the text around it.

A network reads a few hundred tokens. The prompt of a retrieval chain holds thousands, nearly all of them documents: cut
at its end, three unrelated questions over one document look the same. Texts that fit are read as they are.
"""

from __future__ import annotations

import re
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
OPTION = re.compile(r"(?:^|\n)[ \t]*\(?[A-J1-9][.):][ \t]+\S")
LONGEST = 200_000
"""Characters that are searched for a question: the beginning and the end of a longer text."""
LONGEST_QUESTION = 0.9
"""Share of what is read that a paragraph may fill and still count as a question."""


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
    question = _tagged(text) or _labelled(text) or _asking(text, characters)
    return Reading(_window(question if question else text, characters), cut=True)


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
    """Return a paragraph that asks: at the end, at the beginning, or the last one elsewhere."""
    paragraphs = [paragraph.strip() for paragraph in BREAK.split(text) if paragraph.strip()]
    if len(paragraphs) < 2:
        return ""
    asks = [len(paragraph) <= LONGEST_QUESTION * characters and _asks(paragraph) for paragraph in paragraphs]
    order = [len(paragraphs) - 1, 0, *range(len(paragraphs) - 2, 0, -1)]
    return next((_with_options(paragraphs, place) for place in order if asks[place]), "")


def _asks(paragraph: str) -> bool:
    return bool(QUESTION_MARK.search(paragraph) or ASKING.match(paragraph) or OPTION.search(paragraph))


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
