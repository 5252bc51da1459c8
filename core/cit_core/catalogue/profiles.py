"""Capability profiles of public models, shipped as data: what the router knows before you measure anything.

- `models.json` facts and provenance of every model
- `tasks.json` five keywords of our own for every MMLU-Pro task
- `task_vectors.npy` the trunk's unit vectors of these keywords, float32, which every profile is read with
- `core.json` the core set: 50 tasks x 20 item ids, chosen by distinguishability on training models only, and hashes of
  their texts, options and answers
- `responses.json` right (1), wrong (0) or not measured (-) of every model on every core item
- `vectors.npy` the trunk's unit vector of every core item, float16 (1000, 384); texts are not ours to ship

`python -m cit_core.aptitude.suites.shipped ../shared/data` writes the last three and `task_vectors.npy`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.capability import capability_from_results
from cit_core.errors import UnknownCandidate
from cit_core.records import Candidate, Capability, Suite, Task

__all__ = [
    "VECTORS_OF",
    "catalogue_candidates",
    "catalogue_capabilities",
    "catalogue_profiles",
    "core_evidence",
    "core_responses",
    "core_suite",
    "core_vectors",
    "known_tasks",
    "provenance",
    "task_vectors",
]

VECTORS_OF = "54b3006b31d0a4d5"
"""The encoder that made `core_vectors` and `task_vectors` (`OnnxScorer.encoder`): the shipped checkpoint's."""


def _read(name: str) -> Any:
    return json.loads(files("cit_core.catalogue").joinpath(name).read_text(encoding="utf-8"))


def _array(name: str) -> NDArray[np.float32]:
    with files("cit_core.catalogue").joinpath(name).open("rb") as file:
        return np.load(file, allow_pickle=False).astype(np.float32)  # type: ignore[no-any-return]


@cache
def _models() -> dict[str, dict[str, Any]]:
    return {entry["facts"]["id"]: entry for entry in _read("models.json")}


@cache
def known_tasks() -> tuple[Task, ...]:
    """Return every MMLU-Pro task with its keywords, in and out of the core set."""
    return tuple(Task(id=id_, keywords=tuple(words)) for id_, words in _read("tasks.json").items())


@cache
def core_suite() -> Suite:
    """Return the core set that every profile in the catalogue was measured on."""
    return Suite(**_read("core.json"))


@cache
def catalogue_candidates() -> tuple[Candidate, ...]:
    """Return every model in the catalogue, with its facts."""
    return tuple(Candidate(**entry["facts"]) for entry in _models().values())


def provenance(candidate: str) -> dict[str, str]:
    """Return the sources of a model's outcomes and facts: kind of data to source.

    Raises:
        UnknownCandidate: If the catalogue does not hold the model.
    """
    if candidate not in _models():
        raise UnknownCandidate(candidate, _models(), "the catalogue")
    return dict(_models()[candidate]["provenance"])


@cache
def core_responses() -> dict[str, NDArray[np.float32]]:
    """Return 1 for right, 0 for wrong and NaN for not measured, by model, in the order of `core_suite().item_ids`."""
    value = {"1": 1.0, "0": 0.0, "-": np.nan}
    return {
        model: np.array([value[mark] for mark in marks], np.float32) for model, marks in _read("responses.json").items()
    }


@cache
def task_vectors() -> dict[str, NDArray[np.float32]]:
    """Return the trunk's unit vector (384) of every task's description, as the shipped network makes it."""
    vectors_TD = _array("task_vectors.npy")
    return {task.description: vector for task, vector in zip(known_tasks(), vectors_TD, strict=True)}


@cache
def core_vectors() -> NDArray[np.float32]:
    """Return the trunk's unit vectors of `core_suite().item_ids`, in that order, (1000, 384)."""
    return _array("vectors.npy")


@cache
def core_evidence() -> Any:
    """Return the evidence fitted on the core answers (`cit_core.router.catalogue_evidence`); None if there is none."""
    file = files("cit_core.catalogue").joinpath("evidence.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


@cache
def catalogue_capabilities() -> tuple[Capability, ...]:
    """Return every model in the catalogue with its profile, computed from its core responses."""
    return tuple(map(_capability, catalogue_candidates()))


@cache
def _capability(candidate: Candidate) -> Capability:
    suite = core_suite()
    marks_I = core_responses()[candidate.id]
    return capability_from_results(candidate, suite.tasks, _means(suite.tasks, _core_tasks(), marks_I))


@cache
def _core_tasks() -> NDArray[np.intp]:
    """Return the place of each core question's task, (1000,)."""
    suite = core_suite()
    place = {item: number for number, task in enumerate(suite.tasks) for item in suite.items[task.id]}
    return np.array([place[item] for item in suite.item_ids])


def _means(
    tasks: Sequence[Task], task_I: NDArray[np.intp], marks_I: NDArray[np.floating]
) -> dict[str, tuple[float, int]]:
    """Return task id to the mean of a model's known marks and their number."""
    known_I = ~np.isnan(marks_I)
    counts_T = np.bincount(task_I[known_I], minlength=len(tasks))
    sums_T = np.bincount(task_I[known_I], weights=marks_I[known_I], minlength=len(tasks))
    found = zip(tasks, sums_T.tolist(), counts_T.tolist(), strict=True)
    return {task.id: (total / count, count) for task, total, count in found if count}


def catalogue_profiles(models: Sequence[str]) -> list[Capability]:
    """Return the profiles of some models in the catalogue, in their order.

    Raises:
        UnknownCandidate: If it does not hold one of them.
    """
    known = {candidate.id: candidate for candidate in catalogue_candidates()}
    for model in models:
        if model not in known:
            raise UnknownCandidate(model, known, "the catalogue")
    return [_capability(known[model]) for model in models]
