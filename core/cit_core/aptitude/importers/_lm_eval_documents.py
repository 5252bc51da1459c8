"""Questions of lm-evaluation-harness: what a router should see of a document, without examples and templates.

Every data set has fields of its own. Those of the harness's tasks are known by name. Of any other, the texts count that
the prompt holds too: they are the document's own, so an example of the prompt never becomes the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.grading.answers import LETTERS
from cit_core.aptitude.importers.fields import Fields, spelt_list
from cit_core.aptitude.importers.json_stream import parse_json
from cit_core.aptitude.importers.limits import DEFAULT_LIMITS
from cit_core.errors import InvalidInput

__all__ = ["instruction_of"]

QUESTIONS = (
    *("question", "question_stem", "query", "problem", "goal", "qtext", "question_str", "ex_question", "hypothesis"),
    *("question2", "sentence2", "sent2", "ctx", "input", "instruction", "prompt", "startphrase", "sentence", "text"),
    *("example", "statement", "claim", "utterance", "input_final_prompts", "task_description", "description"),
)
"""Fields of a document that may hold the question, the likeliest first."""
CONTEXTS = (
    *("passage", "context", "narrative", "article", "story", "premise", "paragraph", "support", "body", "background"),
    *("flores_passage", "document", "document_str", "question1", "sentence1", "sent1", "sentence", "text", "word"),
    *("input_sentence_1", "input_sentence_2", "input_sentence_3", "input_sentence_4"),
)
"""Fields of a document to which a question may refer."""
OPTION_LISTS = ("choices", "options", "endings", "answers", "answer_options")
"""Fields that hold the options, in a list or in an object with a list of texts."""
GOLD = "answers"
"""The one of them that most data sets fill with the right answers to an open question."""
MARKS_OF_A_CHOICE = frozenset(
    ("label", "ra", "gold", "correct", "cop", "answerkey", "answer_index", "answer_idx", "answer_id", "correct_index")
)
"""Fields that say which of the options is right; without one of them, `answers` are no options."""
KEYS = ("answer", "answer_key", "correct_answer", "correct_answer_id", "target", "labels")
"""Fields that do so too, if what they hold can be nothing else: a place, a letter or a mark for each."""
OPTION_FIELDS = (
    *(("option1", "option2", "option3", "option4"), ("sol1", "sol2"), ("choice1", "choice2", "choice3", "choice4")),
    *(("opa", "opb", "opc", "opd", "ope"), ("option_a", "option_b", "option_c", "option_d", "option_e")),
    *(("ending0", "ending1", "ending2", "ending3", "ending4"), ("answera", "answerb", "answerc", "answerd")),
    *(("mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4"), ("sentence_quiz1", "sentence_quiz2")),
    ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j"),
)
"""Fields that hold one option each."""
TEXTS_OF_OPTIONS = ("text", "answer_str", "atext")
USER = re.compile(
    r"<\|im_start\|>user\n|<\|(?:start_header_id|header_start)\|>user<\|(?:end_header_id|header_end)\|>"
    r"|<start_of_turn>user\n|<\|start\|>user<\|message\|>|<[|｜]user[|｜]>|<\|USER_TOKEN\|>"
    r"|<\|start_of_role\|>user<\|end_of_role\|>|\[INST\](?:\s*<<SYS>>(?:(?!\[INST\]).)*?<</SYS>>)?",
    re.IGNORECASE | re.DOTALL,
)
"""Marks of chat templates before what a user says."""
TURN_END = re.compile(r"<[|｜][^<>|｜\n]{1,40}[|｜]>|<(?:start|end)_of_turn>|\[/INST\]|</s>")
"""Marks that end a turn or begin the next one."""
TELLING = 15
"""Characters from which a text of an unknown field is taken for part of the question."""
BETWEEN_EXAMPLES = "\n\n"
"""Text that the harness puts between the examples of a prompt and the question."""


def instruction_of(fields: Fields) -> str | None:
    """Return the question of a line: with its context and options, without examples and templates; None if unknown."""
    inner = fields.get("doc")
    if isinstance(inner, str) and inner.strip():
        return inner
    document = inner if isinstance(inner, Mapping) else fields
    lowered: dict[str, Any] = {str(name).lower(): value for name, value in document.items()}
    texts = {name: value for name, value in lowered.items() if isinstance(value, str) and value.strip()}
    place = next((name for name in QUESTIONS if name in texts), None)
    if place is None:
        return _from_prompt(inner, _sent_prompt(fields))
    context = [texts[name] for name in CONTEXTS if name in texts and name != place]
    return with_options("\n".join([*context, texts[place]]), _options(lowered))


def _options(document: Mapping[str, Any]) -> list[str]:
    for name in OPTION_LISTS:
        listed = _listed(document.get(name))
        if 2 <= len(listed) <= len(LETTERS) and (name != GOLD or _is_choice(document, listed)):
            return listed  # a single one is the answer to an open question
    for names in OPTION_FIELDS:
        listed = [document[name] for name in names if isinstance(document.get(name), str) and document[name].strip()]
        if len(listed) >= 2 and names[0] in document:
            return listed
    return []


def _is_choice(document: Mapping[str, Any], texts: list[str]) -> bool:
    """Return whether the `answers` of a document are numbered, or something beside them says which one is right."""
    answers = document.get(GOLD)
    numbered = isinstance(answers, list) and all(isinstance(one, Mapping) and "aid" in one for one in answers)
    marked = not MARKS_OF_A_CHOICE.isdisjoint(document) or document.get("correct_answer") in texts
    return numbered or marked or any(_is_key(document.get(name), texts) for name in KEYS)


def _is_key(value: Any, texts: list[str]) -> bool:
    """Return whether a value says by a place, a letter or a mark for each which of the texts is right."""
    if isinstance(value, list):
        return len(value) == len(texts) and all(mark in (0, 1) for mark in value)
    if isinstance(value, int):
        return 0 <= value < len(texts) and not isinstance(value, bool)
    letters = LETTERS[: len(texts)]
    return isinstance(value, str) and len(value) == 1 and value in letters and value not in texts


def _listed(choices: Any) -> list[str]:
    if isinstance(choices, Mapping):
        choices = next((choices[name] for name in TEXTS_OF_OPTIONS if name in choices), None)
    if isinstance(choices, str):
        choices = spelt_list(choices)
    if not isinstance(choices, list):
        return []
    texts = [_option_text(choice) for choice in choices]
    return [text for text in texts if text is not None] if None not in texts else []


def _option_text(choice: Any) -> str | None:
    if isinstance(choice, Mapping):
        choice = next((choice[name] for name in TEXTS_OF_OPTIONS if name in choice), None)
    if isinstance(choice, int) and not isinstance(choice, bool):
        return str(choice)
    return choice if isinstance(choice, str) else None


def _from_prompt(document: Any, prompt: str | None) -> str | None:
    """Return the texts of a document that its prompt holds, in that order; else the prompt after its examples."""
    if prompt is None:
        return None
    turns = _user_turns(prompt)
    said = turns[-1] if turns else prompt
    values = document.values() if isinstance(document, Mapping) else ()
    own = {value.strip() for value in values if isinstance(value, str) and len(value.strip()) >= TELLING}
    found = sorted((said.rfind(text), text) for text in own if text in said)
    if found:
        return "\n".join(text for _, text in found)
    return said if len(turns) > 1 else said.rstrip().rpartition(BETWEEN_EXAMPLES)[2]


def _user_turns(prompt: str) -> list[str]:
    """Return what the user says in a chat that was logged as JSON or in a model's template; nothing of other texts."""
    turns = [TURN_END.split(part, maxsplit=1)[0] for part in USER.split(prompt)[1:]]
    if prompt.lstrip().startswith("["):
        try:
            messages = parse_json(prompt, DEFAULT_LIMITS)
        except InvalidInput:
            messages = []
        told = messages if isinstance(messages, list) else []
        users = (one.get("content") for one in told if isinstance(one, Mapping) and one.get("role") == "user")
        turns = [_said(content) for content in users] or turns
    return [turn.strip() for turn in turns if turn.strip()]


def _said(content: Any) -> str:
    """Return the text of a message, which may come in parts."""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def _sent_prompt(fields: Fields) -> str | None:
    first: Any = fields.get("arguments")
    for _ in range(2):  # {"gen_args_0": {"arg_0": prompt}}, or in older files [[prompt, ...]]
        parts = list(first.values()) if isinstance(first, Mapping) else first
        first = parts[0] if isinstance(parts, list) and parts else None
    if isinstance(first, list) and len(first) == 1 and str(first[0]).startswith("["):
        first = first[0]  # a chat, as JSON in a tuple of its own
    return first if isinstance(first, str) and first.strip() else None
