"""Experiment: how many decisions flip when a question is phrased a little differently?"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cit_core.evaluate.comparison import Zoo
from cit_core.evaluate.metrics import paired_interval, routed
from cit_core.evaluate.results import Column, Table
from cit_core.evaluate.setting import Setting
from cit_core.evaluate.zoos import described
from cit_core.outcomes import random_zoos
from cit_core.router import Scorer
from cit_core.router.question import characters_read, find_question

__all__ = ["EDITS", "robustness"]

OPTION = re.compile(r"^\(([A-J])\) (.*)$", re.MULTILINE)
TYPOS = 0.03
"""Share of the letters that change places with the next one."""
CONVERSATION = (
    "User: Hi, I need some help with a couple of things today.\nAssistant: Of course. What is the first one?\n"
    "User: I have to plan a birthday party for nine children next week, any ideas?\n"
    "Assistant: A treasure hunt works well.\nUser: Great. Now something else: "
)
CODE = (
    "```python\ndef lookup(rows, key):\n    for row in rows:\n        if row[0] == key:\n            return row\n```\n"
)

PARAGRAPHS = tuple(
    f"Section {n}. In the spring of {1900 + n} the river rose by {n % 7 + 1} metres, and the council had the height "
    f"cut into the wall of mill number {n % 5 + 1}. Farmers moved {30 + 3 * n} cattle to the hill, where a barn "
    f"of {4 + n % 9} rooms stood empty. The ledger lists what was lost, and who paid for the repair of the bridge."
    for n in range(1, 23)
)
"""About 6,400 characters, or 1,600 tokens, of documents that have nothing to do with any question."""
CONTEXT = "\n\n".join(PARAGRAPHS)
BEFORE, AFTER = "\n\n".join(PARAGRAPHS[:11]), "\n\n".join(PARAGRAPHS[11:])


def _typos(text: str) -> str:
    draw, letters = random.Random(text), list(text)  # noqa: S311 - not for secrets
    for place in range(len(letters) - 1):
        if letters[place].isalpha() and letters[place + 1].isalpha() and draw.random() < TYPOS:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _options_turned(text: str) -> str:
    options = OPTION.findall(text)
    if len(options) < 2:
        return text
    turned = iter([words for _, words in options[1:] + options[:1]])
    return OPTION.sub(lambda option: f"({option[1]}) {next(turned)}", text)


EDITS: Mapping[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "white space": lambda text: "  " + re.sub(r"\s+", "  ", text) + "\n\n",
    "options in another order": _options_turned,
    "politeness": lambda text: f"Could you please help me with this? {text}\nThank you very much!",
    "typos": _typos,
    "at the end of a conversation": lambda text: CONVERSATION + text,
    "after a piece of code": lambda text: CODE + text,
    "after 4,000 characters of something else": lambda text: (
        "The meeting was moved to the following week. " * 89 + text
    ),
    "context before": lambda text: f"{CONTEXT}\n\n{text}",
    "context after": lambda text: f"{text}\n\n{CONTEXT}",
    "context around": lambda text: f"{BEFORE}\n\n{text}\n\n{AFTER}",
    "retrieval prompt, question last": lambda text: (
        f"Answer from the documents alone, and say so if they do not hold the answer.\n\n{CONTEXT}\n\n"
        f"Question: {text}\nHelpful Answer:"
    ),
    "retrieval prompt, question first": lambda text: (
        "You answer questions with the help of retrieved documents. Be brief; say that you do not know if you do not.\n"
        f"Question: {text} \nContext: {CONTEXT} \nAnswer:"
    ),
    "retrieval prompt of LlamaIndex": lambda text: (
        f"Here are the documents.\n---------------------\n{CONTEXT}\n---------------------\n"
        f"Use them, and nothing else that you know, for the query.\nQuery: {text}\nAnswer: "
    ),
    "retrieval prompt with tags": lambda text: (
        f"<documents>\n{CONTEXT}\n</documents>\n\n<question>\n{text}\n</question>\n\nAnswer in one paragraph."
    ),
}


def robustness(setting: Setting, name: str, scorer: Scorer, questions: int = 300) -> Table:
    """Route questions as they are and edited, in zoos of similar strength; of a long one what a router reads of it.

    Args:
        setting: The setting with questions and candidates.
        name: Name of the scorer.
        scorer: The scorer under test.
        questions: Number of questions, the first ones.
    """
    zoos, texts = random_zoos(setting.aptitude), setting.instructions[:questions]
    correct, capabilities = setting.correct_NK[:questions], setting.capabilities
    most = characters_read(scorer)

    def read(text: str) -> str:
        """Return what a router reads of a query."""
        return find_question(text, most).text

    before = scorer.score([read(text) for text in texts], capabilities)
    rows = []
    for edited, edit in EDITS.items():
        after = scorer.score([read(edit(text)) for text in texts], capabilities)
        flips, lost = _flips(before, after, zoos), _lost(before, after, correct, zoos)
        rows.append(
            (edited, paired_interval(100 * flips), paired_interval(100 * lost), float(np.abs(after - before).mean()))
        )
    return Table(
        title=f"{name}: {len(texts)} questions, {described(zoos)}",
        columns=(
            Column("edit", "text"),
            Column("decisions that flip, %", "percent"),
            Column("accuracy", "points"),
            Column("probabilities move by", "precise"),
        ),
        rows=tuple(rows),
        note=f"{setting.held_out} Candidates of a zoo are close, so a flip costs little; accuracy says how much.",
    )


def _flips(before: NDArray[np.floating], after: NDArray[np.floating], zoos: Sequence[Zoo]) -> NDArray[np.floating]:
    each = [before[:, list(zoo)].argmax(axis=1) != after[:, list(zoo)].argmax(axis=1) for zoo in zoos]
    return np.asarray(np.mean(each, axis=0))


def _lost(
    before: NDArray[np.floating], after: NDArray[np.floating], correct: NDArray[np.floating], zoos: Sequence[Zoo]
) -> NDArray[np.floating]:
    each = [
        routed(after[:, list(zoo)], correct[:, list(zoo)]) - routed(before[:, list(zoo)], correct[:, list(zoo)])
        for zoo in zoos
    ]
    return np.asarray(np.mean(each, axis=0))
