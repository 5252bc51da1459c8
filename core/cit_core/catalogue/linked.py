"""Profiles of current models without asking them: accuracies on the core tasks, inferred from published scores.

`links.json` holds the ability of each model and effort and the line of each core task over ability
(`cit_core.catalogue.link`); `cit_core.catalogue.build` makes it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.arms import EFFORTS
from cit_core.calibration import sigmoid
from cit_core.capability import capability_from_results
from cit_core.catalogue.aliases import normalised, version_of
from cit_core.catalogue.expectation import Expectation, facts_of
from cit_core.catalogue.facts import Model, current_models, facts_as_of
from cit_core.catalogue.profiles import core_suite
from cit_core.records import Candidate, Capability, Task, TaskResult

__all__ = ["Linked", "effort_offset", "expected", "expected_release", "linked", "linked_capability", "with_effort"]


@dataclass(frozen=True)
class Linked:
    """Ability of one model at one effort, by published scores.

    Attributes:
        ability: On the link's scale, where models have mean about 0 and standard deviation about 1.
        deviation: Standard deviation of the ability.
        sources: Publishers of its scores, at this effort where one is asked for; empty where facts alone are known.
        exact: True if this effort itself was scored; otherwise the model in general was, and the mean distance of the
            effort from it was added.
    """

    ability: float
    deviation: float
    sources: tuple[str, ...] = ()
    exact: bool = True


def linked(model: str, effort: str | None = None) -> Linked | None:
    """Look up what published scores say of a model.

    Args:
        model: `provider:id`, as `find_model` gives them; one that another maker serves has its own maker's scores.
        effort: One of `cit_core.arms.EFFORTS`; the model as it runs by default if not given.

    Returns:
        None if fewer than two sources have scored it.
    """
    arms = _arms().get(model) or _arms().get(_elsewhere().get(_plain(model), ""))
    if arms is None:
        return None
    if (effort or "") in arms:
        ability, deviation, sources = arms[effort or ""]
        return Linked(ability, deviation, tuple(sources))
    ability, deviation, sources = arms[""]
    offset, spread = effort_offset(effort)
    moved = ability + offset
    if effort in EFFORTS:  # more effort is never less able
        place = EFFORTS.index(effort)
        least = max((arms[lower][0] for lower in EFFORTS[:place] if lower in arms), default=moved)
        moved = min([max(moved, least), *(arms[higher][0] for higher in EFFORTS[place + 1 :] if higher in arms)])
    return Linked(moved, math.hypot(deviation, spread), tuple(sources), exact=False)


def effort_offset(effort: str | None) -> tuple[float, float]:
    """Return how far models at an effort are from the same models in general, and how much that differs.

    Args:
        effort: One of `cit_core.arms.EFFORTS`; 0 for none, and for one at which no model was scored.
    """
    added: float | None = _read()["efforts"].get(effort)
    return (0.0, 0.0) if added is None else (added, _read()["effort_deviation"])


def with_effort(capability: Capability, candidate: Candidate, effort: str) -> Capability:
    """Return the measured profile of a model as that of one of its arms: moved by the offset of the effort.

    Args:
        capability: Profile of the model as it runs by default.
        candidate: The arm.
        effort: Its effort.
    """
    offset, spread = effort_offset(effort)
    slope = float(_tasks()[1][0].mean())
    results = []
    for one in capability.results:
        inside = min(max(one.accuracy, 0.5 / (one.count + 1)), 1.0 - 0.5 / (one.count + 1))
        moved = float(sigmoid(np.array(math.log(inside / (1.0 - inside)) + slope * offset)))
        variance = 1.0 / (one.count * moved * (1.0 - moved)) + (slope * spread) ** 2
        count = max(1, round(1.0 / (variance * moved * (1.0 - moved))))
        results.append(TaskResult(task=one.task, accuracy=moved, count=count))
    return Capability(candidate=candidate, results=tuple(results))


def expected(candidate: Candidate, released: date | None = None) -> Linked:
    """Expect the ability of a model without scores from its facts: what models of its price and age usually reach.

    Args:
        candidate: Its facts, and the effort that it is run at.
        released: Day of its release where the candidate says none: `expected_release`.
    """
    offset, spread = effort_offset(candidate.effort)
    (ability,), (variance,) = _expectation().of(facts_of(candidate, released)[None])
    return Linked(float(ability) + offset, math.hypot(math.sqrt(variance), spread))


@cache
def expected_release(model: Model) -> date | None:
    """Return the day of a model's release; where no source says it, that of its maker's models of this version.

    Where there are none, halfway between the newest of lower versions and the oldest of higher ones, or the day of the
    facts; the oldest of higher ones where it is the lowest. None if its name has no version, or its maker no other.
    """
    if model.released:
        return date.fromisoformat(model.released)
    version = version_of(normalised(model.id))
    makers = [other for other in current_models() if other.provider == model.provider]
    days = [(version_of(normalised(other.id)), other.released) for other in makers if other.released]
    dated = [
        (its[1], date.fromisoformat(day).toordinal()) for its, day in days if version and its and its[0] == version[0]
    ]
    if version is None or not dated:
        return None
    same = [day for its, day in dated if its == version[1]]
    lower, higher = [day for its, day in dated if its < version[1]], [day for its, day in dated if its > version[1]]
    until = min(higher, default=date.fromisoformat(facts_as_of()).toordinal())
    around = [max(lower), until] if lower else [until]
    return date.fromordinal(round(float(np.median(same or around))))


def linked_capability(candidate: Candidate, found: Linked) -> Capability:
    """Turn an ability into a profile over the core tasks.

    Each task's count is the number of questions with a sampling error equal to the standard error of the accuracy
    (delta method), so that every reader of the profile trusts it as much as a test of that length.
    """
    tasks, line_3T = _tasks()
    slope_T, offset_T, noise_T = line_3T
    accuracy_T = sigmoid(offset_T + slope_T * found.ability)
    variance_T = (slope_T**2 * found.deviation**2 + noise_T) * _read()["interval_scale"] ** 2
    count_T = 1.0 / (accuracy_T * (1.0 - accuracy_T) * variance_T)
    results = {
        task.id: (float(accuracy), max(1, round(float(count))))
        for task, accuracy, count in zip(tasks, accuracy_T, count_T, strict=True)
    }
    return capability_from_results(candidate, tasks, results)


@cache
def _read() -> dict[str, Any]:
    text = files("cit_core.catalogue").joinpath("links.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


@cache
def _arms() -> dict[str, dict[str, tuple[float, float, list[str]]]]:
    arms: dict[str, dict[str, tuple[float, float, list[str]]]] = {}
    publishers = _read()["sources"]
    for model, effort, ability, deviation, sources in _read()["models"]:
        arms.setdefault(model, {})[effort] = (ability, deviation, [publishers[source] for source in sources])
    return arms


@cache
def _elsewhere() -> dict[str, str]:
    """Return what a scored model is called by its maker, by its name without one; not where two makers share a name."""
    named: dict[str, list[str]] = {}
    for model in _arms():
        named.setdefault(_plain(model), []).append(model)
    return {name: models[0] for name, models in named.items() if len(models) == 1}


def _plain(model: str) -> str:
    return normalised(model.partition(":")[2])


@cache
def _tasks() -> tuple[tuple[Task, ...], NDArray[np.float64]]:
    """Return the core tasks, and slope, offset and noise of each, (3, T)."""
    suite, lines = core_suite(), _read()["tasks"]
    return suite.tasks, np.array([lines[task.id] for task in suite.tasks]).T


@cache
def _expectation() -> Expectation:
    fitted = _read()["expected"]
    center_F, covariance_FF, weight_F = (np.array(fitted[name]) for name in ("center", "covariance", "weights"))
    return Expectation(center_F, covariance_FF, weight_F, fitted["level"], fitted["variance"])
