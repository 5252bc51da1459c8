"""The nouns: Candidate, Task, Item, Outcome, Suite, Usage, Capability and Decision.

All are frozen pydantic models, so they travel as JSON and cannot change under a running router. Field docs give units.
Tuples, not lists: a record without a mapping in it can be a key.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cit_core.candidate import Candidate, PriceTier
from cit_core.errors import InvalidInput, by_reason
from cit_core.lazy import cached_property
from cit_core.messages import shown
from cit_core.validation import Amount, Count, Identifier, Positive, Probability, Record

__all__ = [
    "Candidate",
    "Capability",
    "Decision",
    "Item",
    "Outcome",
    "PriceTier",
    "QueryReference",
    "Ranked",
    "Suite",
    "Task",
    "TaskResult",
    "Usage",
    "content_digest",
    "require_unique",
]


def require_unique(ids: Iterable[str], what: str) -> None:
    """Refuse a list with an id that comes twice.

    Raises:
        InvalidInput: Names the ids that are repeated.
    """
    seen: set[str] = set()
    repeated = {id_ for id_ in ids if id_ in seen or seen.add(id_)}  # type: ignore[func-returns-value]
    if repeated:
        raise InvalidInput(f"duplicate {what}: {', '.join(map(shown, sorted(repeated)[:10]))}; each id may come once")


def content_digest(instruction: str | None, options: Iterable[str] = (), answer: str | None = None) -> str:
    """Return the content hash of a question, 16 hex digits."""
    content = json.dumps([instruction, list(options), answer], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Task(Record):
    """A kind of question. Five keywords describe it to the network (paper, section on the aptitude test)."""

    id: Identifier
    keywords: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, max_length=10)]

    @cached_property
    def description(self) -> str:
        """Return the keywords as the network reads them."""
        return ", ".join(self.keywords)


class Item(Record):
    """One question of a task. The text may be absent: a shipped suite names its items without their texts."""

    id: Identifier
    task: Identifier
    instruction: str | None = None
    """Text that a router sees: the question and, if it has them, its options."""
    options: tuple[str, ...] = ()
    answer: str | None = None
    grader: Literal["choice", "number", "exact", "regex"] | None = None
    """Way to compare an answer; if not given, `choice` for an item with options and `exact` for others."""
    assigned: bool = False
    """True if the task was found by similarity, False if a source states it."""

    @property
    def digest(self) -> str:
        """Return a content hash of what is asked and what is right, 16 hex digits: equal questions under any id."""
        return content_digest(self.instruction, self.options, self.answer)


class Outcome(Record):
    """A fact: this candidate answered this item, this well, then. Outcomes are appended, never changed."""

    candidate: Identifier
    item: Identifier
    correct: Probability
    """1 right, 0 wrong; fractions for graded answers."""
    source: Identifier
    """Origin of the fact; (candidate, item, source) is its identity, so importing twice adds nothing."""
    when: datetime = Field(default_factory=lambda: datetime.now(timezone.utc))
    cost_usd: Amount | None = None
    latency_s: Amount | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    answer: str | None = None
    """Answer of the candidate, as it came."""

    @field_validator("when")
    @classmethod
    def _in_utc(cls, when: datetime) -> datetime:
        if when.tzinfo is None:
            raise ValueError("needs a time zone")
        return when.astimezone(timezone.utc)


class Suite(Record):
    """A named, versioned aptitude test: tasks, and which items belong to each."""

    name: Identifier
    version: Positive = 1
    tasks: tuple[Task, ...]
    items: Mapping[str, tuple[str, ...]]
    """Task id to the ids of its items, in order."""
    hashes: Mapping[str, str] = {}
    """Item id to `Item.digest`, so that texts from elsewhere can be checked; empty where the texts are not known."""

    @model_validator(mode="after")
    def _items_belong_to_tasks(self) -> Suite:
        require_unique((task.id for task in self.tasks), "task ids")
        if set(self.items) != {task.id for task in self.tasks}:
            raise ValueError("items must be listed for exactly the suite's tasks")
        for task, items in self.items.items():
            require_unique(items, f"items of task {task!r}")
        if self.hashes and set(self.hashes) != set(self.item_ids):
            raise ValueError("hashes must be given for all of the suite's items or for none")
        return self

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """Return all item ids, task by task."""
        return tuple(item for task in self.tasks for item in self.items[task.id])


class TaskResult(Record):
    """A candidate's result on one task: a line of its capability."""

    task: Task
    accuracy: Probability
    count: Positive
    """Number of questions behind the accuracy."""


class Usage(Record):
    """Mean tokens, cost and latency of a candidate's answers; None where no outcome has them."""

    prompt_tokens: Amount | None = None
    completion_tokens: Amount | None = None
    cost_usd: Amount | None = None
    """USD for one query."""
    latency_s: Amount | None = None
    """Seconds until the whole answer was there."""


class Capability(Record):
    """A candidate with what was measured of it. Computed from outcomes, never edited."""

    candidate: Candidate
    results: tuple[TaskResult, ...] = ()
    usage: Usage = Usage()

    @model_validator(mode="after")
    def _one_line_a_task(self) -> Capability:
        require_unique((result.task.id for result in self.results), f"tasks in the capability of {self.candidate.id!r}")
        return self

    def expected_cost(
        self, prompt_tokens: float, completion_tokens: float, length: float = 1.0, cached_tokens: float = 0.0
    ) -> float | None:
        """Return USD for one query: list prices times the answer length that was measured, else the measured cost.

        An arm of several samples pays for each; what was measured of it are the tokens of all of them.

        Args:
            prompt_tokens: Tokens of the query.
            completion_tokens: Assumed of a model as it runs by default, where no answer was measured.
            length: Length of this answer as a share of the mean one.
            cached_tokens: Tokens of the query that the provider has cached.

        Returns:
            None where neither prices nor costs are known.
        """
        measured, samples = self.usage.completion_tokens, self.candidate.samples
        assumed = completion_tokens * self.candidate.length_share
        written = length * (assumed if measured is None else measured / samples)
        limit = self.candidate.max_output
        written = written if limit is None else min(written, limit)
        listed = self.candidate.expected_cost(prompt_tokens, written, cached_tokens)
        return self.usage.cost_usd if listed is None else samples * listed

    @cached_property
    def mean_accuracy(self) -> float:
        """Return the mean over tasks, each task counting once; NaN for a candidate that was never measured."""
        return sum(r.accuracy for r in self.results) / len(self.results) if self.results else math.nan

    @cached_property
    def text(self) -> str:
        """Return the capability in words: c_m of the paper (figure 3)."""
        lines = (
            f'accuracy {result.accuracy:.1%} on the task of "{result.task.description}"' for result in self.results
        )
        measured = f"The model achieves {', '.join(lines)}." if self.results else "The model was not measured."
        return f"{measured} {self.candidate.notes}".strip()

    @cached_property
    def fingerprint(self) -> str:
        """Return a content hash of what a scorer reads; equal for equal results in any order."""
        lines = sorted((r.task.description, r.accuracy + 0.0, r.count) for r in self.results)  # -0.0 is 0.0
        return hashlib.sha256(repr((self.candidate.notes, lines)).encode()).hexdigest()


class Ranked(Record):
    """One candidate's place in a decision."""

    model: str
    probability: Probability
    """P(its answer is correct)."""
    expected_cost_usd: float | None = None
    """USD for this query, None where a price is not known."""
    expected_latency_s: float | None = None
    """Seconds its answers took on average, None where that was not measured."""
    utility: float
    """Number that the policy maximises, in the policy's own unit."""
    basis: str | None = None
    """What the probability rests on, for a router of models by name."""


class QueryReference(Record):
    """A query without its text: enough for feedback on it from any process, and for evidence on similar queries."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    """Content hash of the text, `Item.digest` of an item that has nothing but this instruction."""
    encoder: Identifier | None = None
    """Hash of the network that made the vector."""
    vector: Annotated[str, Field(max_length=65_536, pattern="^[A-Za-z0-9+/]*=*$")] | None = None
    """Unit vector of the text: float16, little-endian, in base64."""
    text: str | None = None
    """The text itself; only if the router was asked to keep it."""


class Decision(Record):
    """The chosen candidate for a query, with the reasons; the adapters call it `cit_route`."""

    id: Identifier = Field(default_factory=lambda: uuid.uuid4().hex)
    """Identifier of this decision, for feedback and logs."""
    model: str
    probability: Probability
    ranking: Annotated[tuple[Ranked, ...], Field(min_length=1)]
    """Every candidate that was not excluded: the chosen one, then the others, best first."""
    chosen_by: Literal["policy", "exploration", "conversation", "caller", "default", "cascade"] = "policy"
    """`exploration`: tried by chance; `conversation`: chosen before and kept; `caller`: named by the call; `default`:
    nothing could be decided, as a warning says, so the ranking is by level; `cascade`: asked first, and verified."""
    excluded: Mapping[str, str] = {}
    """Candidate id to the reason for its exclusion."""
    cooling_down: Mapping[str, str] = {}
    """Candidate id to the reason and the time left; asked after the others, or not at all."""
    policy: str
    limits: tuple[str, ...] | None = None
    """Policies with a limit over many queries in which this one is counted: the call's own, and the router's. Where
    that is not said, it is `policy`, if that has a limit."""
    scorer: str
    store_version: str | None = None
    """Version of the store that the capabilities were computed from."""
    propensity: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Probability with which such a query gets this candidate: below 1 where chance had a part in the choice."""
    tenant: Identifier | None = None
    """Whose query it is, where budgets are kept apart."""
    latency_ms: float = 0.0
    """Time to decide [ms]; in a batch, the batch's time divided by its size."""
    warnings: tuple[str, ...] = ()
    query: QueryReference | None = None
    """Reference for feedback; None if the router has no store."""

    @property
    def scores(self) -> dict[str, float]:
        """Return candidate id to P(correct), in order of the ranking."""
        return {ranked.model: ranked.probability for ranked in self.ranking}

    @property
    def expected_cost_usd(self) -> float | None:
        """Return USD for this query with the chosen candidate, None where its price is not known."""
        return self.ranking[0].expected_cost_usd

    def explain(self, top: int = 5) -> str:
        """Return the decision in words: the choice, the runners-up, the excluded and any warning."""
        why = {"policy": f"policy {self.policy}", "conversation": "kept in its conversation", "caller": "asked for"}
        why["exploration"] = f"tried by chance, once in {1.0 / self.propensity:.0f}"
        why["cascade"] = f"first of a cascade, policy {self.policy}"
        lines = [
            f"{self.model}: the default route"
            if self.chosen_by == "default"
            else f"{self.model}: {self.probability:.1%} likely to get this right ({why[self.chosen_by]}, {self.scorer})"
        ]
        for place, ranked in enumerate(self.ranking[:top], start=1):
            cost = "" if ranked.expected_cost_usd is None else f"  about ${ranked.expected_cost_usd:.6f}"
            basis = "" if ranked.basis is None else f"  by {ranked.basis}"
            lines.append(f"  {place}. {ranked.model}  {ranked.probability:.1%}{cost}{basis}")
        if len(self.ranking) > top:
            lines.append(f"  … and {len(self.ranking) - top} more")
        lines += [f"  not considered: {models} ({reason})" for models, reason in by_reason(self.excluded)]
        lines += [f"  cooling down: {model} ({reason})" for model, reason in self.cooling_down.items()]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)
