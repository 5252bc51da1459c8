"""Deciding in every way that adapters call for: one query or many, sync or async, by itself or in a batch of others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cit_core.errors import CITError
from cit_core.policy import Constraints, Policy
from cit_core.records import Candidate, Capability, Decision
from cit_core.router.batching import Batcher, Batching, as_batching
from cit_core.router.concurrency import aside
from cit_core.router.engine import Engine
from cit_core.router.feedback import Feedback
from cit_core.router.loading import notes_of
from cit_core.router.query import Query
from cit_core.router.scorer import Scorer

__all__ = ["Decider", "or_raise"]


class Decider(Engine):
    """An engine and the calls of it. Args and errors are those of `Router`."""

    def __init__(
        self,
        scorer: Scorer,
        candidates: Iterable[Candidate | Capability],
        *,
        policy: Policy | str | None = None,
        constraints: Constraints | Mapping[str, Any] | None = None,
        store_version: str | None = None,
        completion_tokens: float = 256,
        excluded: Mapping[str, str] | None = None,
        feedback: Feedback | None = None,
        batching: Batching | Mapping[str, Any] | None = None,
        default: str | None = None,
        strict: bool = False,
    ) -> None:
        super().__init__(
            scorer,
            candidates,
            policy=policy,
            constraints=constraints,
            store_version=store_version,
            completion_tokens=completion_tokens,
            excluded=excluded,
            feedback=feedback,
            default=default,
            strict=strict,
        )
        self.batching = as_batching(batching)
        self.notes = notes_of(scorer, self.capabilities)
        self._batcher = None if self.batching is None else Batcher(self.batching, self.decide_many)

    def decide(self, query: Query) -> Decision:
        """Choose a candidate for a query with all that a call may set.

        Raises:
            InvalidInput: If its text is empty, or `model` is no candidate.
            NoCandidate: If every candidate is excluded, or the one that was asked for.
        """
        if self._batcher is not None:
            return or_raise(self._batcher.submit(query).result())
        return or_raise(self.decide_many([query])[0])

    async def adecide(self, query: Query) -> Decision:
        """Choose a candidate as `decide` does; the event loop is never blocked."""
        if self._batcher is not None:
            return or_raise(await asyncio.wrap_future(self._batcher.submit(query)))
        return or_raise((await self.adecide_many([query]))[0])

    async def adecide_many(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide as `decide_many` does, in a worker thread: the event loop is never blocked."""
        return await aside("decisions", self.decide_many, queries)

    def decide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide as `decide_many` does: its earlier name."""
        return self.decide_many(queries)

    async def adecide_each(self, queries: Sequence[Query]) -> list[Decision | CITError]:
        """Decide as `adecide_many` does: its earlier name."""
        return await self.adecide_many(queries)


def or_raise(outcome: Decision | CITError) -> Decision:
    """Return a decision; raise what is none."""
    if isinstance(outcome, CITError):
        raise outcome
    return outcome
