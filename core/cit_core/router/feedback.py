"""Feedback: how well a candidate answered, as an outcome in the store.

Everything that is needed travels in the decision, so any process may give it. Without their texts, queries are items
`asked:DIGEST` with a vector; the texts are stored only if the router was asked to.
"""

from __future__ import annotations

import base64
import binascii
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from cit_core.fork import renew_after_fork
from cit_core.messages import shown
from cit_core.policy.rules import within
from cit_core.records import Candidate, Decision, Item, Outcome, QueryReference, Task, content_digest

if TYPE_CHECKING:
    from cit_core.router.scorer import Scorer
    from cit_core.store import CapabilityStore

__all__ = ["LONGEST_TEXT", "REMEMBERED", "Feedback"]

REMEMBERED = 1024
"""Decisions that feedback can name by their id alone, in the process that made them; about 2 kB each."""
LONGEST_TEXT = 20_000
"""Characters of a query that are kept, where texts are."""


class Feedback:
    """Writes how well queries were answered. Thread-safe.

    Args:
        store: The store for outcomes.
        scorer: If it makes vectors, they are kept beside the queries, so that feedback is evidence at once.
        keep_texts: Keep the texts of queries, in decisions and in the store.
        names: For candidates with another id in the store, that id.
        newcomers: Candidates that the store does not know; each is added with its first feedback.
    """

    def __init__(
        self,
        store: CapabilityStore,
        scorer: Scorer,
        *,
        keep_texts: bool = False,
        names: Mapping[str, str] | None = None,
        newcomers: Iterable[Candidate] = (),
    ) -> None:
        self._names = dict(names or {})
        self._newcomers = {candidate.id: candidate for candidate in newcomers}
        self._store = store
        self._scorer: Any = scorer
        self._encodes = hasattr(scorer, "encode") and hasattr(scorer, "encoder")
        self._keep_texts = keep_texts
        self._recent: OrderedDict[str, QueryReference] = OrderedDict()
        self._bills: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._renew_after_fork()
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self._store, self._scorer, self._keep_texts, self._names, tuple(self._newcomers.values()))
        return _feedback, parts  # decisions remembered stay where they are

    @property
    def store(self) -> CapabilityStore:
        """The store that outcomes go to."""
        return self._store

    @property
    def store_version(self) -> str:
        """Present version of the store, as decisions name it."""
        return f"store:{self._store.version}"

    def refer(self, text: str, vector_D: NDArray[np.floating] | None) -> QueryReference:
        """Return what a decision keeps of its query.

        Args:
            text: The query.
            vector_D: Its vector, if the scorer has made one; it is made here if not.
        """
        if vector_D is None and self._encodes:
            vector_D = self._scorer.encode([text[:LONGEST_TEXT]])[0]
        return QueryReference(
            digest=content_digest(text),
            encoder=None if vector_D is None else self._scorer.encoder,
            vector=None if vector_D is None else base64.b64encode(vector_D.astype("<f2").tobytes()).decode("ascii"),
            text=text[:LONGEST_TEXT] if self._keep_texts else None,
        )

    def remember(self, decision: Decision) -> None:
        """Remember a decision's query under its id; the oldest is forgotten."""
        if decision.query is not None:
            with self._lock:
                self._recent[decision.id] = decision.query
                while len(self._recent) > REMEMBERED:
                    self._recent.popitem(last=False)

    def remember_bill(self, decision: str, candidate: str, bill: Mapping[str, Any]) -> None:
        """Remember what an answer took, for the outcome that feedback on it makes; the oldest is forgotten."""
        known = {name: number for name, number in bill.items() if within(number, 0.0, sys.float_info.max)}
        with self._lock:
            self._bills[decision, candidate] = known
            while len(self._bills) > REMEMBERED:
                self._bills.popitem(last=False)

    def add(self, about: Decision | str | Item, candidate: str, correct: float, key: str | None = None) -> Outcome:
        """Add an outcome in one transaction; see `Router.feedback`."""
        from cit_core.store import UNASSIGNED

        item, vector, name = self._item(about)
        source = f"feedback:{name if key is None else key}".removesuffix(":")
        known = self._names.get(candidate, candidate)
        bill = self._bills.get((name, candidate), {})
        outcome = Outcome(candidate=known, item=item.id, correct=correct, source=source, **bill)
        newcomer = self._newcomers.get(candidate)
        with self._store.transaction() as writer:
            if newcomer is not None:
                there = self._elsewhere(candidate, writer.candidates())
                if there is None:
                    writer.add_candidates([newcomer])
                outcome = outcome.model_copy(update={"candidate": there or candidate})
            if item.task == UNASSIGNED:
                writer.add_tasks([Task(id=UNASSIGNED, keywords=(UNASSIGNED,))])
            writer.add_items([item])
            if writer.add_outcomes([outcome]).conflicts:
                raise InvalidInput(
                    f"feedback on {shown(candidate)} for this {'item' if isinstance(about, Item) else 'decision'} was "
                    "given before, and was another one; pass key=... to tell two answers apart"
                )
            if vector is not None:
                writer.set_vectors({item.id: vector}, self._scorer.encoder)
        return outcome

    def _elsewhere(self, newcomer: str, stored: Iterable[Candidate]) -> str | None:
        """Return the id of a newcomer in the store: another process may know it by another name, since this one opened.

        What another candidate of this router is, or runs with another limit, is not the newcomer.
        """
        from cit_core.catalogue.aliases import AmbiguousModel, find_id

        known = list(stored)
        if any(candidate.id == newcomer for candidate in known):
            return newcomer
        siblings = {*self._names, *self._names.values(), *self._newcomers}
        limit = Arm.of(newcomer).max_tokens
        others = [one for one in known if one.id not in siblings and Arm.of(one.id).max_tokens == limit]
        try:
            return find_id(newcomer, others)
        except AmbiguousModel:
            return None

    def _item(self, about: object) -> tuple[Item, NDArray[np.floating] | None, str]:
        """Return the item, its vector, and the name under which the outcome is a fact of its own."""
        if isinstance(about, Item):
            known = self._encodes and about.instruction is not None
            return about, self._scorer.encode([about.instruction])[0] if known else None, ""
        if isinstance(about, Decision):
            reference, name = about.query, about.id
            if reference is None:
                raise InvalidInput(
                    f"decision {about.id!r} says nothing of its query: its router is of no store, or it is the default "
                    "route; pass the Item that was asked"
                )
        elif isinstance(about, str):
            reference, name = self._remembered(about), about
        else:
            raise InvalidInput(f"feedback is about {shown(about)}; pass a Decision, its id or an Item")
        return self._asked(reference), self._vector(reference), name

    def _remembered(self, id_: str) -> QueryReference:
        with self._lock:
            reference = self._recent.get(id_)
        if reference is None:
            raise InvalidInput(
                f"no decision {shown(id_)} among the last {REMEMBERED:,} of this router; pass the Decision itself, or "
                "pass the Item that was asked"
            )
        return reference

    def _asked(self, reference: QueryReference) -> Item:
        from cit_core.store import ASKED, UNASSIGNED

        text = reference.text if self._keep_texts else None
        return Item(id=f"{ASKED}{reference.digest}", task=UNASSIGNED, instruction=text)

    def _vector(self, reference: QueryReference) -> NDArray[np.floating] | None:
        """Return the vector if it can be compared with those of the store's network."""
        if reference.vector is None or not self._encodes or reference.encoder != self._scorer.encoder:
            return None
        try:
            vector_D = np.frombuffer(base64.b64decode(reference.vector, validate=True), "<f2").astype(np.float32)
        except (binascii.Error, ValueError):
            vector_D = np.zeros(0, np.float32)
        expected = self._scorer.encode(["width"]).shape[1]
        if len(vector_D) != expected or not np.isfinite(vector_D).all():
            raise InvalidInput(f"the vector of this decision's query is damaged; it must hold {expected} numbers")
        return vector_D


def _feedback(
    store: CapabilityStore,
    scorer: Scorer,
    keep_texts: bool,
    names: Mapping[str, str],
    newcomers: tuple[Candidate, ...],
) -> Feedback:
    return Feedback(store, scorer, keep_texts=keep_texts, names=names, newcomers=newcomers)
