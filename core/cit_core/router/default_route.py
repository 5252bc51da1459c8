"""The default route: which candidate answers what cannot be decided, so that no call fails because of the router."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cit_core.errors import CITError, NoCandidate, by_reason
from cit_core.policy import PLAIN_TEXT, Constraints
from cit_core.records import Capability, Ranked

__all__ = ["DefaultRoute", "because"]

NOT_KNOWN = 0.5
"""Level that is shown of a candidate that was never measured."""


@dataclass(frozen=True)
class DefaultRoute:
    """The candidates in the order in which they answer what cannot be decided.

    Attributes:
        capabilities: The zoo.
        default: Id of the first; the best by level if not given.
    """

    capabilities: Sequence[Capability]
    default: str | None = None

    def ranking(
        self, limits: Constraints, excluded: Mapping[str, str], latencies: Mapping[str, float]
    ) -> tuple[Ranked, ...]:
        """Rank the candidates that are not excluded; where all are, those that are not forbidden.

        Who is denied or not in the allowed list is forbidden, and is never asked. A price, a latency or an ability that
        excludes everybody gives way: those that break no limit of a person come first.

        Returns:
            Nothing if no candidate may be asked.
        """
        left = [c for c in self.capabilities if c.candidate.id not in excluded]
        if not left:
            left = [c for c in self.capabilities if _allowed(c.candidate.id, limits)]
        paid = replace(
            limits, allow=None, deny=frozenset(), tools=False, structured_output=False, modalities=frozenset()
        )

        def place(capability: Capability) -> tuple[bool, bool, bool, float]:
            id_, level = capability.candidate.id, capability.mean_accuracy
            over = paid.reason_against(capability.candidate, PLAIN_TEXT, latencies.get(id_)) is not None
            return id_ != self.default, over, math.isnan(level), 0.0 if math.isnan(level) else -level

        return tuple(_ranked(capability) for capability in sorted(left, key=place))


def because(error: CITError) -> str:
    """Return why there is no decision, in one line without commands."""
    if isinstance(error, NoCandidate) and error.reasons:
        reasons = "; ".join(f"{ids}: {reason.partition(': ')[0]}" for ids, reason in by_reason(error.reasons))
        return f"all {len(error.reasons)} candidates are excluded ({reasons})"
    return str(error).partition("; ")[0]


def _allowed(id_: str, limits: Constraints) -> bool:
    return id_ not in limits.deny and (limits.allow is None or id_ in limits.allow)


def _ranked(capability: Capability) -> Ranked:
    level = capability.mean_accuracy
    level = NOT_KNOWN if math.isnan(level) else level
    return Ranked(
        model=capability.candidate.id,
        probability=level,
        expected_latency_s=capability.usage.latency_s,
        utility=level,
    )
