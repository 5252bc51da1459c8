"""A conversation keeps the candidate that it began with, as long as that remains a good choice.

Changing the model in the middle of a conversation costs a provider's prompt cache and changes the voice.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from cit_core.errors import InvalidInput
from cit_core.records import Decision

__all__ = ["Conversation", "Sticky"]

ROUNDING = 1e-9


class Sticky:
    """Remembers who was chosen in each conversation. Thread-safe; pickles without its memory.

    Args:
        margin: A candidate is kept until its probability has fallen by more than this since it was chosen, or it is
            excluded.
        remembered: Conversations in memory; the least recently used is forgotten.

    Raises:
        InvalidInput: If the margin is no number in [0, 1], or nothing may be remembered.
    """

    def __init__(self, margin: float = 0.1, *, remembered: int = 10_000) -> None:
        if not 0.0 <= margin <= 1.0:
            raise InvalidInput(f"margin is {margin!r}; it must be a probability between 0 and 1")
        if remembered < 1:
            raise InvalidInput(f"remembered is {remembered!r}; it must be 1 or more")
        self.margin = margin
        self.remembered = remembered
        self._chosen: OrderedDict[Hashable, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Sticky({self.margin}, remembered={self.remembered})"

    def __reduce__(self) -> tuple[Callable[..., Sticky], tuple[float, int]]:
        return _sticky, (self.margin, self.remembered)

    def conversation(self, key: Hashable) -> Conversation:
        """The conversation of this name, for `Query.conversation`."""
        return Conversation(self, key)

    def settle(self, key: Hashable, decision: Decision) -> Decision:
        """The decision, or the same with the candidate that the conversation keeps in front.

        A decision for a candidate that the call named is left as it is and not remembered.
        """
        if decision.chosen_by == "caller":
            return decision
        with self._lock:
            model, probability = self._chosen.get(key, (decision.model, decision.probability))
            now = decision.scores.get(model)  # None if it is excluded
            if now is None or probability - now > self.margin + ROUNDING:
                model, probability = decision.model, decision.probability
            self._chosen[key] = model, probability
            self._chosen.move_to_end(key)
            while len(self._chosen) > self.remembered:
                self._chosen.popitem(last=False)
        return decision if model == decision.model else _in_front(model, decision)


@dataclass(frozen=True)
class Conversation:
    """One conversation and where it is remembered."""

    memory: Sticky
    key: Hashable


def _in_front(model: str, decision: Decision) -> Decision:
    kept = next(ranked for ranked in decision.ranking if ranked.model == model)
    others = (ranked for ranked in decision.ranking if ranked is not kept)
    changed = {
        "model": model,
        "probability": kept.probability,
        "ranking": (kept, *others),
        "chosen_by": "conversation",
    }
    return decision.model_copy(update=changed)


def _sticky(margin: float, remembered: int) -> Sticky:
    return Sticky(margin, remembered=remembered)
