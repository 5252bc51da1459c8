"""Profiles of current models without asking them: accuracies on the core tasks, inferred from published scores.

`links.json` holds the ability of each model and effort and the line of each core task over ability
(`cit_core.catalogue.link`); `cit_core.catalogue.build` makes it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.capability import capability_from_results
from cit_core.catalogue.profiles import core_suite
from cit_core.records import Candidate, Capability, Task, TaskResult

__all__ = ["Linked", "average_for_price", "effort_offset", "linked", "linked_capability", "with_effort"]

LEAST_PAIRS = 5
"""Models scored both at an effort and in general, from which its offset is taken."""
NEIGHBOURS = 12
"""Number of models with the nearest prices that an unknown model is the average of."""
UNKNOWN_DEVIATION = 1.0
"""Standard deviation of the ability of a model without scores: that of models in general."""


@dataclass(frozen=True)
class Linked:
    """Ability of one model at one effort, by published scores.

    Attributes:
        ability: On the link's scale, where models have mean about 0 and standard deviation about 1.
        deviation: Standard deviation of the ability.
        sources: Publishers of its scores, at this effort where one is asked for; empty for an average.
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
        model: `provider:id`, as `find_model` gives them.
        effort: One of `cit_core.arms.EFFORTS`; the model as it runs by default if not given.

    Returns:
        None if fewer than two sources have scored it.
    """
    arms = _arms().get(model)
    if arms is None:
        return None
    if (effort or "") in arms:
        ability, deviation, sources = arms[effort or ""]
        return Linked(ability, deviation, tuple(sources))
    ability, deviation, sources = arms[""]
    offset, spread = effort_offset(effort)
    return Linked(ability + offset, math.hypot(deviation, spread), tuple(sources), exact=False)


@cache
def effort_offset(effort: str | None) -> tuple[float, float]:
    """Return how far models at an effort are from the same models in general, and how much that differs.

    Args:
        effort: One of `cit_core.arms.EFFORTS`; 0 for none, and for one at which too few models were scored.
    """
    apart = [arms[effort][0] - arms[""][0] for arms in _arms().values() if effort and effort in arms and "" in arms]
    if len(apart) < LEAST_PAIRS:
        return 0.0, 0.0
    return float(np.mean(apart)), float(np.std(apart))


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


def average_for_price(price_out: float | None) -> Linked:
    """Average the models of about the same output price: the assumption for a model without scores.

    Args:
        price_out: USD per 1M completion tokens; without it, all models are averaged.
    """
    prices, abilities = _priced()
    if price_out is None:
        return Linked(float(abilities.mean()), UNKNOWN_DEVIATION)
    near = np.argsort(np.abs(np.log(prices) - np.log(max(price_out, 0.01))), kind="stable")[:NEIGHBOURS]
    return Linked(float(abilities[near].mean()), float(max(abilities[near].std(), 0.5)))


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
def _tasks() -> tuple[tuple[Task, ...], NDArray[np.float64]]:
    """Return the core tasks, and slope, offset and noise of each, (3, T)."""
    suite, lines = core_suite(), _read()["tasks"]
    return suite.tasks, np.array([lines[task.id] for task in suite.tasks]).T


@cache
def _priced() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return price of an answer and ability of every model that has both."""
    from cit_core.catalogue.facts import current_models

    pairs = [
        (model.price_out, arms[""][0])
        for model in current_models()
        if (arms := _arms().get(f"{model.provider}:{model.id}")) and model.price_out > 0.0
    ]
    prices, abilities = np.array(sorted(pairs)).T
    return prices, abilities
