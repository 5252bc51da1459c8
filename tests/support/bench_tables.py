"""Outcome tables and a network for the benchmark: small, seeded, with the core set's own item ids among the items."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.catalogue import catalogue_candidates, core_suite, known_tasks
from cit_core.evaluate.baselines import Aptitude, BaselineData, Fitted
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Candidate, Capability
from cit_core.runtime.checkpoint import shipped_checkpoints, write_config

MODELS = tuple(sorted(candidate.id for candidate in catalogue_candidates()))
CORE_TASK = {item: task.id for task in core_suite().tasks for item in core_suite().items[task.id]}
FIELDS = 6
"""Categories of a table, so that four can be held out."""
WIDTH = 8


def question_of(instruction: str) -> str:
    """Texts of these tables end in their item's id, which is no part of the question."""
    return instruction.partition(" [")[0]


def item_of(instruction: str) -> str:
    return instruction.partition(" [")[2].rstrip("]")


def core_table(
    models: Sequence[str] = MODELS,
    core: int = 100,
    others: int = 200,
    seed: int = 0,
    *,
    missing: float = 0.0,
    repeated: float = 0.1,
    name: str = "mmlu-pro",
) -> OutcomeMatrix:
    """Items of the core set, evenly over its tasks, and others; models have a level and ways with tasks.

    Args:
        models: Ids.
        core: Items of the core set.
        others: Items that are not in it.
        seed: Of everything.
        missing: Share of the outcomes that were not measured.
        repeated: Share of the items that ask what another one asks.
        name: Of the table.
    """
    draw = np.random.default_rng(seed)
    suite, known = core_suite(), [task.id for task in known_tasks()][:40]
    ids = [suite.items[task.id][turn] for turn in range(20) for task in suite.tasks][:core]
    tasks = [CORE_TASK[id_] for id_ in ids] + [known[place] for place in draw.integers(len(known), size=others)]
    ids += [f"other-{number}" for number in range(others)]
    place = {task: number for number, task in enumerate(sorted({*tasks}))}
    questions = [f"{task} question {number}" for number, task in enumerate(tasks)]
    for row in np.flatnonzero(draw.random(len(ids)) < repeated):
        questions[row] = questions[int(draw.integers(len(ids)))]
    level_M, way_TM = draw.uniform(0.3, 0.7, len(models)), draw.normal(0.0, 0.2, (len(place), len(models)))
    chance_IM = np.clip(level_M + way_TM[[place[task] for task in tasks]], 0.05, 0.95)
    correct_IM = (draw.random(chance_IM.shape) < chance_IM).astype(float)
    correct_IM[draw.random(correct_IM.shape) < missing] = np.nan
    return OutcomeMatrix(
        name=name,
        item_ids=tuple(ids),
        tasks=tuple(tasks),
        categories=tuple(f"field {place[task] % FIELDS}" for task in tasks),
        instructions=tuple(f"{question} [{id_}]" for question, id_ in zip(questions, ids, strict=True)),
        questions=tuple(questions),
        candidates=tuple(sorted(models)),
        correct_IK=correct_IM,
    )


def log_table(
    name: str = "log", models: Sequence[str] = ("a", "b", "c", "d"), items: int = 240, tasks: int = 5, seed: int = 0
) -> OutcomeMatrix:
    """A log of models over tasks of their own, everyone on everything."""
    table = core_table(models, 0, items, seed, repeated=0.0)
    number = [int(hashlib.sha256(id_.encode()).hexdigest(), 16) % tasks for id_ in table.item_ids]
    own = tuple(f"own_task_{n}" for n in number)
    return replace(
        table,
        name=name,
        item_ids=tuple(f"{name}-{id_}" for id_ in table.item_ids),
        tasks=own,
        categories=own,
        instructions=tuple(f"{name} {text}" for text in table.instructions),
        questions=tuple(f"{name} {text}" for text in table.questions),
    )


def text_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors that texts of one first word share but for a little."""

    def one(text: str) -> NDArray[np.float64]:
        seeds = [int(hashlib.sha256(part.encode()).hexdigest()[:8], 16) for part in (text.split(" ")[0], text)]
        vector = sum(w * np.random.default_rng(s).normal(size=WIDTH) for w, s in zip((1.0, 0.3), seeds, strict=True))
        return np.asarray(vector / np.linalg.norm(vector))

    return np.stack([one(text) for text in texts]).astype(np.float32) if texts else np.zeros((0, WIDTH), np.float32)


class StubNetwork:
    """Stands where the network stands: level of the profile, and its lines beside the text; counts what it is asked."""

    max_tokens = 256

    def __init__(self, name: str = "stub@1", encoder: str = "stub-encoder") -> None:
        self.name, self.encoder = name, encoder
        self.encoded: list[str] = []
        self.scored: list[tuple[int, int]] = []
        """Texts and candidates of each call of `score`."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        return text_vectors(texts)

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        vectors_ND = text_vectors(instructions)
        ways_KD = np.zeros((len(capabilities), WIDTH))
        for row, capability in zip(ways_KD, capabilities, strict=True):
            for place, result in enumerate(capability.results):
                row[place % WIDTH] += (result.accuracy - capability.mean_accuracy) / len(capability.results)
        level_K = np.nan_to_num([capability.mean_accuracy for capability in capabilities], nan=0.5)
        return 4.0 * (level_K - 0.5) + 10.0 * vectors_ND.astype(float) @ ways_KD.T, vectors_ND

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        self.scored.append((len(instructions), len(capabilities)))
        return np.asarray(sigmoid(self.read(instructions, capabilities)[0]))


class StubBaseline:
    """Learns how often each model was right; remembers what it was fitted on."""

    uses = "responses"

    def __init__(self, name: str = "stub baseline") -> None:
        self.name = name
        self.fits: list[BaselineData] = []

    def fit(self, data: BaselineData, encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> Fitted:
        self.fits.append(data)
        mean = dict(zip(data.ids, np.nanmean(data.correct_IM, axis=0), strict=True))

        def predict(vectors_ND: NDArray[np.float32], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
            return np.tile([mean[c.candidate.id] for c in capabilities], (len(vectors_ND), 1))

        return Fitted(self.name, encode, predict, {})


def few_baselines() -> list[Any]:
    """As few as tables can be made of."""
    return [Aptitude(), StubBaseline()]


def candidates_of(*sizes: float | None) -> list[Candidate]:
    return [Candidate(id=f"model-{place}", params_b=size) for place, size in enumerate(sizes)]


def sibling(folder: Path, learnt: Sequence[str], intercept: float) -> Path:
    """The shipped network, calibrated to another level, as one that has learnt from other tables."""
    shutil.copytree(shipped_checkpoints()["mini"], folder)
    (folder / "calibration.json").write_text(json.dumps({"slope": 1.0, "intercept": intercept}))
    config = json.loads((folder / "config.json").read_text())
    write_config(folder, "mini", config["network"], learnt)
    return folder
