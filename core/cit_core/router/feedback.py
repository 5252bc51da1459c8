"""What became of a decision, as an outcome in the store."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cit_core.errors import InvalidInput
from cit_core.records import Decision, Item, Outcome, Task

if TYPE_CHECKING:
    from cit_core.router.scorer import Scorer
    from cit_core.store import CapabilityStore

__all__ = ["Feedback"]

REMEMBERED = 1024
"""Decisions whose questions are kept in memory, so that feedback can name them."""


class Feedback:
    """Remembers what was asked and writes how well it was answered. Thread-safe.

    Args:
        store: Where outcomes go.
        scorer: If it makes vectors, they are kept beside the questions, so that feedback is evidence at once.
    """

    def __init__(self, store: CapabilityStore, scorer: Scorer) -> None:
        self._store = store
        self._scorer = scorer
        self._asked: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Feedback], tuple[CapabilityStore, Scorer]]:
        return Feedback, (self._store, self._scorer)  # questions stay in the process that was asked

    def remember(self, decisions: Sequence[Decision], instructions: Sequence[str]) -> None:
        """Keep the questions of some decisions; the oldest are forgotten."""
        with self._lock:
            for decision, instruction in zip(decisions, instructions, strict=True):
                self._asked[decision.id] = instruction
            while len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)

    def add(self, about: Decision | str | Item, candidate: str, correct: float) -> Outcome:
        """See `Router.feedback`. Each call is a fact of its own, in one transaction."""
        from cit_core.store import UNASSIGNED

        item, source = self._item(about)
        outcome = Outcome(candidate=candidate, item=item.id, correct=correct, source=source)
        encode = getattr(self._scorer, "encode", None)
        vectors = {} if encode is None or item.instruction is None else {item.id: encode([item.instruction])[0]}
        with self._store.transaction() as writer:
            if item.task == UNASSIGNED:
                writer.add_tasks([Task(id=UNASSIGNED, keywords=(UNASSIGNED,))])
            writer.add_items([item])
            if writer.add_outcomes([outcome]).conflicts:
                raise InvalidInput(f"feedback on {candidate!r} in this decision was given before, and was another one")
            if vectors:
                writer.set_vectors(vectors, self._scorer.encoder)  # type: ignore[attr-defined]
        return outcome

    def _item(self, about: Decision | str | Item) -> tuple[Item, str]:
        """The item, and the source of the outcome, which makes it a fact of its own."""
        from cit_core.store import ASKED, UNASSIGNED

        if isinstance(about, Item):
            return about, f"feedback:{uuid.uuid4().hex}"
        id_ = about.id if isinstance(about, Decision) else about
        with self._lock:
            instruction = self._asked.get(id_)
        if instruction is None:
            raise InvalidInput(
                f"no decision {id_!r} among the last {REMEMBERED:,} of this router; pass the Item that was asked"
            )
        asked = Item(id=ASKED, task=UNASSIGNED, instruction=instruction)
        return asked.model_copy(update={"id": f"{ASKED}{asked.digest}"}), f"feedback:{id_}"
