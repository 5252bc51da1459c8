"""Verifiers: judge an answer before it is accepted. Any function of a question and an `Answer` is one.

A verifier returns True or False, a number (higher is better), a `Verdict`, or None where it cannot tell. One that fails
has no verdict: verification is never the cause of a failure.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import inspect
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.router.concurrency import aside
from cit_core.router.reliability import Rates, Reliability, ScoreRatio

__all__ = [
    "Agreement",
    "Answer",
    "FollowsSchema",
    "Judge",
    "Matches",
    "MeanLogprob",
    "Verdict",
    "Verifier",
    "averify",
    "ballot",
    "elected",
    "verify",
]

logger = logging.getLogger("cit_core.router")
ASSUMED = Rates(true_positive=0.9, false_positive=0.3)
"""Reliability of a verifier of which nothing was measured."""
OF_FORM = Rates(true_positive=0.99, false_positive=0.7)
"""The same of one that looks at the form alone: a wrong answer mostly has it, a right one always."""
OF_SCORE = ScoreRatio(slope=0.5, intercept=0.0, distance=1.0, log_odds=True)
"""The same of one that gives a share or a probability, which counts half of what it says."""


@dataclass(frozen=True)
class Answer:
    """An answer of a candidate, as verifiers see it.

    Attributes:
        text: Its text.
        model: The candidate's id.
        message: The answer as the framework made it.
        mean_logprob: Mean log-probability of its tokens, where the provider gave them.
        tool_calls: Names of the tools that it calls. None of them has run.
        again: Asks the candidate the same once more; None where that is not possible.
        aagain: The same for event loops.
    """

    text: str
    model: str
    message: Any = field(default=None, repr=False)
    mean_logprob: float | None = None
    tool_calls: tuple[str, ...] = ()
    again: Callable[[], Answer] | None = field(default=None, repr=False)
    aagain: Callable[[], Awaitable[Answer]] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Verdict:
    """A verifier's word on an answer.

    Attributes:
        score: 1 and 0 for yes and no, or a number; None where it cannot tell.
        reason: Why, in words; goes into the metadata of the answer.
        cost_usd: Price of this verification [USD].
    """

    score: float | None
    reason: str = ""
    cost_usd: float = 0.0


Verifier = Callable[[str, Answer], Any]
"""A function of the question and an answer; it may be async."""


class Matches:
    """Verify that an answer matches a regular expression.

    Args:
        pattern: Searched for anywhere in the text.

    Raises:
        InvalidInput: If it is no regular expression.
    """

    assumed: Reliability = OF_FORM

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = re.compile(pattern)
        except (re.error, TypeError) as error:
            raise InvalidInput(f"the pattern is {shown(pattern)}; it must be a regular expression") from error

    def __call__(self, _question: str, answer: Answer) -> bool | None:
        """Return whether it does; None for an answer that calls tools."""
        return None if answer.tool_calls else self._pattern.search(answer.text) is not None


class FollowsSchema:
    """Verify that an answer is JSON of a schema, with or without a fence of three backticks.

    Args:
        schema: A pydantic model, any type that pydantic can validate, or a JSON schema, which needs `jsonschema`.

    Raises:
        InvalidInput: If a JSON schema is given and `jsonschema` is not installed.
    """

    assumed: Reliability = OF_FORM

    def __init__(self, schema: Any) -> None:
        self._check = _json_schema(schema) if isinstance(schema, Mapping) else _pydantic(schema)

    def __call__(self, _question: str, answer: Answer) -> bool | None:
        """Return whether it does; None for an answer that calls tools."""
        if answer.tool_calls:
            return None
        fenced = re.fullmatch(r"\s*```\w*\s*(.*?)\s*```\s*", answer.text, re.DOTALL)
        return self._check(answer.text if fenced is None else fenced[1])


def _pydantic(schema: Any) -> Callable[[str], bool]:
    adapter: TypeAdapter[Any] = TypeAdapter(schema)

    def check(text: str) -> bool:
        try:
            adapter.validate_json(text)
        except ValidationError:
            return False
        return True

    return check


def _json_schema(schema: Mapping[str, Any]) -> Callable[[str], bool]:
    if importlib.util.find_spec("jsonschema") is None:
        raise InvalidInput("a JSON schema is checked by jsonschema, which is not installed: pip install jsonschema")
    validator: Any = importlib.import_module("jsonschema").Draft202012Validator(schema)

    def check(text: str) -> bool:
        try:
            return bool(validator.is_valid(json.loads(text)))
        except json.JSONDecodeError:
            return False

    return check


class MeanLogprob:
    """Verify by the geometric mean probability of an answer's tokens, where the provider gives log-probabilities.

    OpenAI does for `logprobs=True`. The score is between 0 and 1.
    """

    assumed: Reliability = OF_SCORE

    def __call__(self, _question: str, answer: Answer) -> float | None:
        """Return the mean probability of a token; None where there is none."""
        return None if answer.mean_logprob is None else math.exp(min(answer.mean_logprob, 0.0))


class Agreement:
    """Verify by further samples: the share of them that say the same as the answer.

    Args:
        samples: Answers in all, the first among them. The candidate should be asked with a temperature above 0.
        same: Whether two texts say the same; by default without regard to case, spaces and a full stop.

    Raises:
        InvalidInput: If there are fewer than 2.
    """

    assumed: Reliability = OF_SCORE

    def __init__(self, samples: int = 3, same: Callable[[str, str], bool] | None = None) -> None:
        if not isinstance(samples, int) or isinstance(samples, bool) or samples < 2:
            raise InvalidInput(f"samples is {shown(samples)}; it must be a whole number, 2 or more")
        self.further_calls = samples - 1
        self._same = same or (lambda one, other: _plain(one) == _plain(other))

    def __call__(self, _question: str, answer: Answer) -> float | None:
        """Return the share; None for an answer that calls tools, or that cannot be asked for again."""
        if answer.tool_calls or answer.again is None:
            return None
        return self._share(answer, [answer.again() for _ in range(self.further_calls)])

    async def averify(self, _question: str, answer: Answer) -> float | None:
        """Ask for all further samples at once; see `__call__`."""
        if answer.tool_calls or answer.aagain is None:
            return None
        ask = answer.aagain
        return self._share(answer, await asyncio.gather(*(ask() for _ in range(self.further_calls))))

    def _share(self, answer: Answer, others: list[Answer]) -> float:
        return sum(self._same(answer.text, other.text) for other in others) / len(others)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def ballot(text: str, calls: Iterable[tuple[str, Any]] = ()) -> str:
    """Return what an answer votes for: the tools that it calls, in any order, with their arguments, else what it says.

    Args:
        text: Compared as `Agreement` does.
        calls: Names of the tools, and the arguments.
    """
    called = sorted(json.dumps(call, sort_keys=True, default=str) for call in calls)
    return "\n".join(called) or _plain(text)


def elected(ballots: Sequence[str]) -> tuple[int, int]:
    """Return the place of the first answer that says what most say, and how many say it.

    Of several such, the first is taken. An empty answer counts only where all are empty.
    """
    said, votes = Counter(filter(None, ballots)).most_common(1)[0] if any(ballots) else ("", len(ballots))
    return ballots.index(said), votes


class Judge:
    """Verify with another model, which reads question and answer and says whether the answer is right.

    Args:
        model: A LangChain model (`invoke`), a LlamaIndex LLM (`complete`), or a function from a prompt to a text, which
            may be async.
        prompt: The text it is asked, with `{question}` and `{answer}`.
        cost_usd: What one judgement costs on average [USD].

    Raises:
        InvalidInput: If the model is none of these, or the prompt lacks a place.
    """

    assumed: Reliability = Rates(true_positive=0.85, false_positive=0.35)
    PROMPT = (
        "Judge whether an answer is right. Work it out for yourself first; do not trust the answer.\n\n"
        "<question>\n{question}\n</question>\n\n<answer>\n{answer}\n</answer>\n\n"
        "End with one line: VERDICT: YES if the answer is right, VERDICT: NO if it is not."
    )

    def __init__(self, model: Any, *, prompt: str = PROMPT, cost_usd: float = 0.0) -> None:
        methods = [getattr(model, name, None) for name in ("invoke", "complete")]
        call = next(filter(callable, [*methods, model]), None)
        if call is None or isinstance(model, type):
            raise InvalidInput(f"the judge is {shown(model)}; it must be a model, or a function of a prompt")
        if "{question}" not in prompt or "{answer}" not in prompt:
            raise InvalidInput("the judge's prompt must contain {question} and {answer}")
        amethods: list[Any] = [getattr(model, name, None) for name in ("ainvoke", "acomplete")]
        self._call: Callable[[str], Any] = call
        self._acall: Any = next((method for method in amethods if callable(method)), None)
        self._prompt, self.cost_usd = prompt, cost_usd

    def __call__(self, question: str, answer: Answer) -> Any:
        """Return the judgement, or a coroutine for it where the model is an async function."""
        said = self._call(self._asked(question, answer))
        return self._later(said) if inspect.isawaitable(said) else self._read(said)

    async def averify(self, question: str, answer: Answer) -> Verdict:
        """Judge without blocking the event loop."""
        asked = self._asked(question, answer)
        if self._acall is not None:
            return self._read(await self._acall(asked))
        if inspect.iscoroutinefunction(self._call):
            return self._read(await self._call(asked))
        return self._read(await aside("verification", self._call, asked))

    def _asked(self, question: str, answer: Answer) -> str:
        said = answer.text if not answer.tool_calls else f"{answer.text}\n(calls {', '.join(answer.tool_calls)})"
        places = {"{question}": question, "{answer}": said}
        return re.sub(r"\{question\}|\{answer\}", lambda found: places[found[0]], self._prompt)

    async def _later(self, said: Awaitable[Any]) -> Verdict:
        return self._read(await said)

    def _read(self, said: Any) -> Verdict:
        text = said if isinstance(said, str) else getattr(said, "text", None) or getattr(said, "content", "")
        found = re.findall(r"\b(yes|no)\b", str(text), re.IGNORECASE)
        return Verdict(None if not found else float(found[-1].lower() == "yes"), cost_usd=self.cost_usd)


def verify(verifier: Verifier, question: str, answer: Answer) -> Verdict:
    """Return a verifier's verdict on an answer; none where it fails.

    Raises:
        InvalidInput: If it returns something else than a verdict.
    """
    try:
        said = verifier(question, answer)
        if inspect.isawaitable(said):
            said = _finished(said)
    except Exception as error:  # noqa: BLE001  # a verifier is foreign code: no answer is lost for what it raises
        return _none(error)
    return _as_verdict(said)


async def averify(verifier: Verifier, question: str, answer: Answer) -> Verdict:
    """Verify without blocking the event loop: a function that is not async runs in a thread; see `verify`."""
    call: Any = getattr(verifier, "averify", verifier)
    try:
        if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__):
            said = await call(question, answer)
        else:
            said = await aside("verification", call, question, answer)
            said = await said if inspect.isawaitable(said) else said
    except Exception as error:  # noqa: BLE001  # as in `verify`
        return _none(error)
    return _as_verdict(said)


def _finished(said: Awaitable[Any]) -> Any:
    """Run a coroutine to its end in an event loop of its own: the caller's thread may have one that runs."""

    async def run() -> Any:
        return await said

    with ThreadPoolExecutor(1, thread_name_prefix="cit-verification") as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, run()).result()


def _none(error: Exception) -> Verdict:
    kind = type(error).__name__
    logger.warning("a verifier failed (%s); the answer counts as not verified", kind)
    return Verdict(None, reason=f"the verifier failed ({kind})")


def _as_verdict(said: object) -> Verdict:
    if isinstance(said, Verdict) or said is None:
        return said or Verdict(None)
    if isinstance(said, np.generic):
        said = said.item()
    if isinstance(said, bool | int | float) and math.isfinite(said):
        return Verdict(float(said))
    raise InvalidInput(f"the verifier returned {shown(said)}; it must return True, False, a number, a Verdict or None")
