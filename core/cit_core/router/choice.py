"""The choice among scored candidates: a policy, perhaps at the moment of a limit, perhaps with exploration.

And who is meant by the names in limits and policies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cit_core.arms import Arm
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.messages import shown
from cit_core.policy import BudgetPacer, Constraints, Policy, Scored, Share, rank
from cit_core.policy.exploration import Exploration, choice_probabilities
from cit_core.records import Candidate, Ranked

__all__ = ["Choice", "choose", "limits_among", "meant", "policy_among"]


def meant(name: str, candidates: Sequence[Candidate], where: str) -> list[str]:
    """Return the ids of the candidates that a name means: one with exactly this id, else all arms of its model.

    A name that says an effort, a limit or samples means arms that run so.

    Raises:
        UnknownCandidate: If there is none, for a typing error would limit nobody; the message names the closest.
    """
    ids = [candidate.id for candidate in candidates]
    found = [name] if name in ids else [candidate.id for candidate in candidates if _is(candidate, name)]
    if not found:
        raise UnknownCandidate(name, ids, where)
    return found


def _is(candidate: Candidate, name: str) -> bool:
    from cit_core.catalogue.aliases import find_id

    wanted, arm = Arm.of(name), Arm.of(candidate.id)
    said, runs = (
        (wanted.effort, wanted.max_tokens, wanted.samples),
        (candidate.effort or arm.effort, arm.max_tokens, arm.samples),
    )
    plain = Candidate(id=arm.model, aliases=candidate.aliases)
    return (not any(said) or said == runs) and find_id(wanted.model, [plain]) is not None


def limits_among(limits: Constraints, candidates: Sequence[Candidate]) -> Constraints:
    """Return constraints with the ids of all candidates that are meant; errors are those of `meant`."""
    if not limits.deny and limits.allow is None:
        return limits
    deny = {id_ for name in limits.deny for id_ in meant(name, candidates, "the router (in deny=)")}
    if limits.allow is None:
        return replace(limits, deny=frozenset(deny))
    allow = {id_ for name in limits.allow for id_ in meant(name, candidates, "the router (in allow=)")}
    return replace(limits, deny=frozenset(deny), allow=frozenset(allow))


def policy_among(policy: Policy, candidates: Sequence[Candidate]) -> Policy:
    """Return a policy with the id of the candidate that is meant, if it names one.

    Raises:
        UnknownCandidate: As in `meant`.
        InvalidInput: If the name means several.
    """
    if type(policy) is not Share:
        return policy
    found = meant(policy.model, candidates, "the router (in share:)")
    if len(found) > 1:
        choices = ", ".join(map(shown, found))
        raise InvalidInput(f"share: is of one candidate, and {shown(policy.model)} may be {choices}; write one of them")
    return replace(policy, model=found[0])


@dataclass(frozen=True)
class Choice:
    """A ranking with the chosen candidate first.

    Attributes:
        ranking: The chosen one, then the others, best first.
        excluded: Every excluded candidate with the reason.
        propensity: Probability with which such a query gets this candidate.
        explored: True if it is another one than the policy's.
    """

    ranking: tuple[Ranked, ...]
    excluded: Mapping[str, str]
    propensity: float = 1.0
    explored: bool = False


def choose(
    scored: Sequence[Scored],
    policy: Policy,
    excluded: Mapping[str, str],
    *,
    pacer: BudgetPacer | None = None,
    tenant: str | None = None,
    preview: bool = False,
    exploration: Exploration | None = None,
    draw: Callable[[], float] = random.random,
) -> Choice:
    """Choose for one query.

    Args:
        scored: Its candidates.
        policy: The policy.
        excluded: Candidates that are out, with reasons.
        pacer: Keeps the policy's limit, if it has one.
        tenant: Whose query it is.
        preview: True if nobody is going to be asked.
        exploration: Way to try others now and then.
        draw: Random number in [0, 1).

    Raises:
        NoCandidate: If no candidate is left.
        CITError: If a policy of the user's own fails.
    """
    left = [one for one in scored if one.cost is not None or not policy.needs_prices]
    moments: list[tuple[Policy, float]] = [(policy, 1.0)]
    if pacer is not None and left:
        moment = pacer.of_query(left, tenant, preview=preview)
        moments = [(moment.policy, moment.propensity)]
        if moment.other is not None:
            moments.append((moment.other, 1.0 - moment.propensity))
    ranking, reasons = rank(scored, moments[0][0], excluded)
    if exploration is None or len(ranking) < 2:
        return Choice(tuple(ranking), reasons, moments[0][1])
    known = {one.candidate.id: one for one in scored}
    first = _probabilities(ranking, known, moments[0][0], exploration, draw)
    place = min(int(np.searchsorted(np.cumsum(first), draw(), side="right")), len(ranking) - 1)
    chosen = ranking[place]
    propensity = moments[0][1] * float(first[place])
    for other, share in moments[1:]:
        again = rank(scored, other, excluded)[0]
        second = _probabilities(again, known, other, exploration, draw)
        propensity += share * float(second[[one.model for one in again].index(chosen.model)])
    others = [one for one in ranking if one is not chosen]
    return Choice((chosen, *others), reasons, min(1.0, propensity), explored=place > 0)


def _probabilities(
    ranking: Sequence[Ranked],
    known: Mapping[str, Scored],
    policy: Policy,
    exploration: Exploration,
    draw: Callable[[], float],
) -> NDArray[np.float64]:
    ordered = [known[one.model] for one in ranking]
    moment = policy.of_query(ordered) if hasattr(policy, "of_query") else policy
    return choice_probabilities(exploration, ordered, moment, draw)
