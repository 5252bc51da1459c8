"""Sticky conversations: a conversation keeps its candidate as long as that remains a good choice.

Changing the model in the middle of a conversation costs a provider's prompt cache and changes the voice.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from pydantic.dataclasses import dataclass as pydantic_dataclass

from cit_core.fork import renew_after_fork
from cit_core.records import Decision
from cit_core.validation import OPTIONS, Hashed, Positive, Probability, our_errors

__all__ = ["Conversation", "Sticky", "StickySettings"]

logger = logging.getLogger("cit_core.router")

ROUNDING = 1e-9
NO_CONVERSATION = "sticky is off for this call: its config has no thread_id ({'configurable': {'thread_id': ...}})"
"""Warning of a decision for a call that belongs to no conversation."""
LONGEST_KEY = 64
"""Characters of a key that is kept as it is; of a longer one its hash is kept, for it may be a whole message."""


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class StickySettings:
    """Settings of `Sticky`."""

    margin: Probability = 0.1
    remembered: Positive = 10_000


class Sticky:
    """Memory of the candidate of each conversation. Thread-safe; pickles without its memory, and a fork keeps it.

    Args:
        margin: A candidate is kept until its probability has fallen by more than this since it was chosen, or it is
            excluded.
        remembered: Conversations in memory; the least recently used is forgotten.

    Raises:
        InvalidInput: If the margin is no number in [0, 1], or `remembered` is below 1.
    """

    def __init__(self, margin: float = 0.1, *, remembered: int = 10_000) -> None:
        settings = StickySettings(margin, remembered)
        self.margin = settings.margin
        self.remembered = settings.remembered
        self._chosen: OrderedDict[Hashable, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._told_off = False
        renew_after_fork(self)

    def _renew_after_fork(self) -> None:
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Sticky({self.margin}, remembered={self.remembered})"

    def __reduce__(self) -> tuple[Callable[..., Sticky], tuple[float, int]]:
        return _sticky, (self.margin, self.remembered)

    def conversation(self, key: Hashable) -> Conversation:
        """Return the conversation of this name, for `Query.conversation`.

        Raises:
            InvalidInput: If the key cannot be hashed.
        """
        return Conversation(self, key)

    def recall(self, key: Hashable) -> tuple[str, float] | None:
        """Return the candidate of a conversation and its probability when it was chosen."""
        with self._lock:
            return self._chosen.get(_short(key))

    def remember(self, key: Hashable, model: str, probability: float) -> None:
        """Remember the candidate of a conversation that was begun elsewhere, as another process wrote it down."""
        with self._lock:
            self._chosen[_short(key)] = model, probability
            self._forget()

    def tell_off(self) -> None:
        """Log, once for this object, that a call had no conversation to keep to."""
        if not self._told_off:
            self._told_off = True
            logger.warning("%s", NO_CONVERSATION)

    def settle(self, key: Hashable, decision: Decision) -> Decision:
        """Return the decision, with the candidate that the conversation keeps in front.

        A decision for a candidate that the call named is left as it is and not remembered; neither is a default route,
        for which the conversation's own candidate is put in front.
        """
        if decision.chosen_by == "caller":
            return decision
        key = _short(key)
        if decision.chosen_by == "default":
            kept = self._chosen.get(key, (decision.model,))[0]
            return _in_front(kept, decision) if kept != decision.model and kept in decision.scores else decision
        with self._lock:
            model, probability = self._chosen.get(key, (decision.model, decision.probability))
            now = decision.scores.get(model)  # None if it is excluded
            if now is None or probability - now > self.margin + ROUNDING:
                model, probability = decision.model, decision.probability
            self._chosen[key] = model, probability
            self._chosen.move_to_end(key)
            self._forget()
        return decision if model == decision.model else _in_front(model, decision)

    def _forget(self) -> None:
        while len(self._chosen) > self.remembered:
            self._chosen.popitem(last=False)


@our_errors
@pydantic_dataclass(frozen=True, config=OPTIONS)
class Conversation:
    """One conversation and where it is remembered."""

    memory: Sticky
    key: Hashed


def _short(key: Hashable) -> Hashable:
    """Return a key of which no text is long."""
    return tuple(map(_digest, key)) if isinstance(key, tuple) else _digest(key)


def _digest(part: Hashable) -> Hashable:
    data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
    return hashlib.sha256(data).digest() if isinstance(data, bytes) and len(data) > LONGEST_KEY else part


def _in_front(model: str, decision: Decision) -> Decision:
    kept = next(ranked for ranked in decision.ranking if ranked.model == model)
    others = (ranked for ranked in decision.ranking if ranked is not kept)
    changed = {
        "model": model,
        "probability": kept.probability,
        "ranking": (kept, *others),
        "chosen_by": "conversation",
        "propensity": 1.0,
    }
    return decision.model_copy(update=changed)


def _sticky(margin: float, remembered: int) -> Sticky:
    return Sticky(margin, remembered=remembered)
