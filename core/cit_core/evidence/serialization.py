"""Serialize fitted evidence as JSON, for a store's settings: arrays as base64 of little-endian float16 or float32.

Evidence on many questions is a folder: an array is a file that processes map, the rest a file of JSON.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.evidence.fitting import Fitted, Weights
from cit_core.evidence.parts import PARTS, Regression
from cit_core.evidence.task_classifier import TaskClassifier
from cit_core.evidence.text_features import BUCKETS, COUNTS, TextFeatures

__all__ = ["array_of", "from_json", "read_folder", "text_of", "to_json", "write_folder"]

FORMAT = 3
FACTS = "facts.json"


class Folder(NamedTuple):
    """What a folder holds."""

    arrays: dict[str, NDArray[Any]]
    """Mapped: read-only, and in memory once for all processes."""
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays whose name begins so, under the rest of it."""
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}


def to_json(fitted: Fitted, candidates: Sequence[str]) -> dict[str, Any]:
    """Give what was fitted as what JSON can hold.

    Args:
        fitted: On a log.
        candidates: Candidates of the log, in order.
    """
    weights = fitted.weights
    mean_K = np.zeros(len(candidates)) if weights.network_mean_K is None else weights.network_mean_K
    return {
        "format": FORMAT,
        "candidates": list(candidates),
        "questions": fitted.questions,
        "gain": list(fitted.gain),
        "idf": text_of(fitted.features.idf_B),
        "counts": [fitted.features.mean_F.tolist(), fitted.features.scale_F.tolist()],
        "centre": text_of(fitted.regression.centre_F),
        "coefficients": text_of(fitted.regression.coefficients_FT),
        "broad": text_of(fitted.regression.broad_DK),
        "tasks": list(fitted.tasks),
        "of_tasks": text_of(fitted.regression.tasks_FT),
        "classifier": _of_classifier(fitted.regression.classifier),
        "known": dict(zip(PARTS, weights.known_P.tolist(), strict=True)),
        "new": dict(zip(PARTS, weights.new_P.tolist(), strict=True)),
        "shift": list(weights.shift),
        "gate": weights.gate.tolist(),
        "network": list(weights.network),
        "network_mean": [weights.network_mean, mean_K.tolist()],
    }


def from_json(kept: Any, candidates: Sequence[str]) -> Fitted | None:
    """Read what `to_json` gave, for candidates in another order and with others among them.

    Returns:
        None if it is of another format.
    """
    if not isinstance(kept, dict) or kept.get("format") != FORMAT or set(kept["known"]) != set(PARTS):
        return None
    column = {id_: at for at, id_ in enumerate(kept["candidates"])}
    of_old_FT = array_of(kept["coefficients"]).reshape(-1, len(column) + 1)
    of_old_DK = array_of(kept["broad"]).reshape(-1, max(len(column), 1))
    coefficients_FT = np.zeros((len(of_old_FT), len(candidates) + 1), np.float32)
    broad_DK = np.zeros((len(of_old_DK), len(candidates)), np.float32)
    coefficients_FT[:, 0] = of_old_FT[:, 0]
    mean_K = np.zeros(len(candidates))
    for at, id_ in enumerate(candidates):
        if id_ in column:
            coefficients_FT[:, at + 1] = of_old_FT[:, column[id_] + 1]
            broad_DK[:, at] = of_old_DK[:, column[id_]]
            mean_K[at] = kept["network_mean"][1][column[id_]]
    features = TextFeatures(array_of(kept["idf"]), *(np.array(counts) for counts in kept["counts"]))
    if len(features.idf_B) != BUCKETS or len(features.mean_F) != COUNTS:
        return None
    weights = Weights(
        known_P=np.array([kept["known"][name] for name in PARTS]),
        new_P=np.array([kept["new"][name] for name in PARTS]),
        shift=(kept["shift"][0], kept["shift"][1]),
        gate=np.array(kept["gate"]),
        network=(kept["network"][0], kept["network"][1]),
        network_mean=kept["network_mean"][0],
        network_mean_K=mean_K,
    )
    classifier = _classifier(kept["classifier"])
    tasks_FT = array_of(kept["of_tasks"]).reshape(len(coefficients_FT), -1 if len(coefficients_FT) else 0)
    regression = Regression(array_of(kept["centre"]), coefficients_FT, broad_DK, tasks_FT, classifier)
    gain = (kept["gain"][0], kept["gain"][1])
    return Fitted(features, regression, weights, kept["questions"], gain, tuple(kept["tasks"]))


def _of_classifier(classifier: TaskClassifier) -> dict[str, Any]:
    """Give it in double the precision of the rest: its densities are of small differences."""
    arrays = {name: value for name, value in vars(classifier).items() if name not in ("known_T", "offset")}
    texts = {name: base64.b64encode(value.astype("<f4").tobytes()).decode("ascii") for name, value in arrays.items()}
    return {"known": classifier.known_T.tolist(), "offset": classifier.offset, **texts}


def _classifier(kept: Any) -> TaskClassifier:
    known_T = np.array(kept["known"], bool)
    width = len(known_T)

    def array(name: str, *shape: int) -> NDArray[np.float32]:
        return np.frombuffer(base64.b64decode(kept[name]), "<f4").reshape(shape)

    found = int(known_T.sum())
    return TaskClassifier(
        known_T,
        array("direction_TD", found, width),
        array("offset_T", found),
        array("curve_DD", width, width),
        array("direction_D", width),
        kept["offset"],
    )


def text_of(array: NDArray[np.floating]) -> str:
    """Return an array as text, in half precision."""
    return base64.b64encode(array.astype("<f2").tobytes()).decode("ascii")


def array_of(text: str) -> NDArray[np.float32]:
    """Return the flat array that `text_of` wrote."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)


def write_folder(folder: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write arrays and facts to a new folder, whole or not at all; one that is there and not damaged stays.

    Raises:
        OSError: If it cannot be written.
    """
    folder.parent.mkdir(0o700, parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, array in arrays.items():
            with (unfinished / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                os.fsync(file.fileno())
        (unfinished / FACTS).write_text(json.dumps({**facts, "arrays": [*arrays]}), encoding="utf-8")
        if read_folder(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read_folder(folder: Path) -> Folder | None:
    """Return what `write_folder` wrote; None if it is not there or is damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        names = facts.pop("arrays")
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    except (OSError, ValueError, KeyError):
        return None
    return Folder({name: np.asarray(array) for name, array in arrays.items()}, facts)
