"""Snapshot of one version of the configuration: a router, the servers, and recent failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.messages import closest, shown
from cit_core.policy import BudgetPacer, Goal, Policy, parse_policy
from cit_core.records import Candidate, Decision
from cit_core.router import Fallback, Router, Sticky
from cit_core.router.query import Query
from cit_core.server.cascade_table import cascade_of, is_repeatable
from cit_core.server.prompts import Prompt
from cit_core.server.upstreams import Upstream, new_client
from cit_core.settings import Settings, VirtualSettings

__all__ = ["ROUTED", "Zoo"]

logger = logging.getLogger("cit_core.server")

ROUTED = "cit"
"""The `model` that routes by the configured policy; `cit:best`, `cit:cost-0.02` and `cit:threshold-0.8` by another."""
BY_OWNERS = ("budget", "share", "latency", "file")
"""Policies that no request may ask for: limits and files are the owner's."""


class Zoo:
    """A snapshot that requests are answered from; a new configuration is another one, and this is closed when idle.

    Args:
        settings: The configuration.
        environment: Variables with the providers' keys.
        router: Routes among the models of the settings.
        sticky: Remembers the candidate of each conversation, over all versions.

    Raises:
        InvalidInput: If no model has a server, or a server's key is missing.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], router: Router, sticky: Sticky) -> None:
        if not settings.models:
            raise InvalidInput(
                "no model to serve: add a table [[models]] with an id and an upstream; see docs/serve.md"
            )
        self.settings = settings
        self.router = router
        self.sticky = sticky
        names = ("timeout_s", "attempt_timeout_s", "first_token_timeout_s")
        self.fallback = Fallback(**{name: getattr(settings.server, name) for name in names})
        self._client = new_client()
        self.upstreams = {model.id: Upstream(model, environment, self._client) for model in settings.models}
        self._candidates = {candidate.id: candidate for candidate in router.candidates}
        self.cascade = None if settings.cascade is None else cascade_of(settings.cascade, self._candidates)
        for goal, paced in self._limits():
            if not paced.is_kept:
                logger.warning(
                    "%s is kept in memory alone, and begins anew with the process; to keep it, add under [router]: "
                    'store = "sqlite:///zoo.db"',
                    goal.name,
                )
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def in_use(self) -> Iterator[Zoo]:
        """Keep the snapshot open."""
        self._users += 1
        self._idle.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def close(self) -> None:
        """Close the connections when the last request that uses them has ended."""
        await self._idle.wait()
        await self._client.aclose()

    def keep(self) -> None:
        """Write what was spent and logged, and is not written yet: a signal ends a server before functions at exit."""
        for _, paced in self._limits():
            paced.flush()
        if self.router.log is not None:
            self.router.log.flush()

    def _limits(self) -> Iterator[tuple[Goal, BudgetPacer]]:
        """Yield the limits of the policies, and what keeps them."""
        for policy in (self.router.policy, *(_policy(virtual) for virtual in self.settings.virtual.values())):
            if isinstance(policy, Goal):
                yield policy, self.router.pacer(policy)

    @property
    def names(self) -> list[str]:
        """Values of `model` in requests: the routed names first."""
        return [ROUTED, *self.settings.virtual, *self.upstreams]

    def require(self, name: str) -> None:
        """Raise InvalidInput if a request cannot name this `model`."""
        self._read_name(name)

    def candidate(self, id_: str) -> Candidate:
        """Return what is known of a candidate."""
        return self._candidates[id_]

    def known(self, id_: str) -> str:
        """Return in a few words what a candidate's profile rests on."""
        basis = self.router.basis.get(id_)
        if basis is not None:
            return f"{basis.basis}: {basis.because}"
        results = next((c.results for c in self.router.capabilities if c.candidate.id == id_), ())
        return f"measured on {len(results)} tasks" if results else "nothing"

    def windows(self) -> dict[str, int | None]:
        """Return candidate id to context window [tokens]."""
        return {id_: candidate.context_window for id_, candidate in self._candidates.items()}

    async def decide(
        self,
        name: str,
        prompt: Prompt,
        api: str | None,
        conversation: str | None,
        tenant: str | None = None,
        *,
        preview: bool = False,
    ) -> Decision:
        """Choose a candidate for a request.

        Args:
            name: The `model` that the request names.
            prompt: The text to route on, and facts.
            api: Only servers that speak this; any if None.
            conversation: Its name, if it is one that keeps its candidate; each key has names of its own.
            tenant: Name of the caller's key, for budgets that every key has for itself.
            preview: True if no candidate is going to be asked.

        Raises:
            InvalidInput: If nothing has that name, or the prompt has no text.
            NoCandidate: If every candidate is excluded.
        """
        foreign = (
            {}
            if api is None
            else {
                id_: f"its server does not speak {api}'s protocol"
                for id_, one in self.upstreams.items()
                if one.api != api
            }
        )
        model, policy, among = self._read_name(name)
        limits = self.router.constraints if among is None else self.router.constraints.among(among)
        query = Query(
            prompt.text if prompt.text.strip() or model is None else ".",  # one that is named answers anything
            prompt.facts,
            policy,
            None if model is not None else limits,
            model,
            None if conversation is None else self.sticky.conversation((tenant, conversation)),
            foreign,
            tenant=tenant,
            pictures=prompt.pictures,
            preview=preview,
        )
        return self.fallback.with_cool_downs(await self.router.adecide(query))

    def planned(self, decision: Decision, fields: Mapping[str, Any]) -> Decision:
        """Return a decision with the candidate in front that a cascade asks first, where the request may have one."""
        if self.cascade is None or not is_repeatable(fields):
            return decision
        return self.cascade.planned(decision)

    def _read_name(self, name: str) -> tuple[str | None, Policy | None, list[str] | None]:
        """Return what a `model` asks for: a candidate, or a policy and the candidates that it may choose from."""
        if name in self.upstreams:
            return name, None, None
        if (virtual := self.settings.virtual.get(name)) is not None:
            return None, _policy(virtual), list(virtual.models) or None
        if name == ROUTED:
            return None, None, None
        if name.startswith(f"{ROUTED}:"):
            kind, _, value = name.removeprefix(f"{ROUTED}:").partition("-")
            if kind not in BY_OWNERS:
                return None, parse_policy(f"{kind}:{value}" if value else kind), None
        near = ", ".join(repr(one) for one in closest(name, self.names))
        raise InvalidInput(f"no model {shown(name)}; the closest are {near}; /v1/models lists all")


def _policy(virtual: VirtualSettings) -> Policy | None:
    return None if virtual.policy is None else parse_policy(virtual.policy)
