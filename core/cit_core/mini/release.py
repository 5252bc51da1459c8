"""Make the shipped checkpoint of a trained network: export, calibrate, and measure the loss by quantisation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cit_core.calibration import fit_calibration
from cit_core.catalogue import catalogue_profiles
from cit_core.mini.export import export_checkpoint, quantise_checkpoint
from cit_core.mini.network import ModelSAT
from cit_core.outcomes import OutcomeMatrix, Split, random_zoos
from cit_core.records import Capability
from cit_core.runtime.checkpoint import write_config
from cit_core.runtime.onnx_scorer import OnnxScorer

__all__ = ["AGREEMENT", "Agreement", "measure_agreement", "release", "torch_log_odds"]

AGREEMENT = "agreement.json"
"""Written last, when everything else of a checkpoint is there."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of an exported network with its torch network, on held-out items.

    Attributes:
        queries: Items compared.
        candidates: Models compared on each.
        exact: Largest difference of log-odds before quantisation.
        quantised: Mean difference of log-odds after it.
        zoos: Number of zoos of candidates of similar strength.
        decisions: Share of (query, zoo) with the same best candidate after it.
        pairs: Share of (query, pair of candidates), over all candidates, in the same order after it.
    """

    queries: int
    candidates: int
    exact: float
    quantised: float
    zoos: int
    decisions: float
    pairs: float


def release(
    network: ModelSAT,
    tokenizer: Any,
    table: OutcomeMatrix,
    folder: Path,
    name: str,
    split: Split,
    learnt: Sequence[str] = (),
) -> Agreement:
    """Write a calibrated int8 checkpoint.

    The calibration is fitted on the log-odds of the exported network itself, on validation items, for the models that
    training or validation may see.

    Args:
        network: Trained.
        tokenizer: Its tokenizer.
        table: Outcomes of catalogue models.
        folder: Folder for the checkpoint.
        name: Name in decisions.
        split: Split into training and held-out data.
        learnt: Names of the tables that the network was trained on.

    Returns:
        The measured agreement, also written to `AGREEMENT`.

    Raises:
        UnknownCandidate: If the catalogue does not hold a model of the table.
    """
    profiles = catalogue_profiles(table.candidates)  # asked for first: exporting takes a while
    models = split.models(table.candidates)
    seen = models["validation"] + models["train"]
    rows = split.items(table.item_ids)["validation"]
    texts = [table.instructions[row] for row in rows]
    (folder / AGREEMENT).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        export_checkpoint(network, tokenizer, Path(scratch), name)
        quantise_checkpoint(Path(scratch), folder)
        exact, scorer = OnnxScorer(Path(scratch)), OnnxScorer(folder)
        agreement = measure_agreement(network, tokenizer, exact, scorer, texts, profiles)
    odds_NK = scorer.log_odds(texts, catalogue_profiles(seen))
    correct_NK = table.correct_IK[rows][:, [table.column(model) for model in seen]]
    calibration = fit_calibration(odds_NK, correct_NK)
    # Rounded, so that the last bit of a sum, which depends on threads, does not change the checkpoint's hash.
    numbers = {name: round(value, 6) for name, value in asdict(calibration).items()}
    (folder / "calibration.json").write_text(json.dumps(numbers) + "\n")
    write_config(folder, name, scorer.checkpoint.config["network"], learnt)
    (folder / AGREEMENT).write_text(json.dumps(asdict(agreement), indent=1) + "\n")
    return agreement


def measure_agreement(
    network: ModelSAT,
    tokenizer: Any,
    exact: OnnxScorer,
    int8: OnnxScorer,
    texts: Sequence[str],
    capabilities: Sequence[Capability],
) -> Agreement:
    """Compare torch, its float32 checkpoint and its int8 checkpoint on the same queries."""
    torch_NK = torch_log_odds(network, tokenizer, texts, capabilities)
    exact_NK, int8_NK = (scorer.log_odds(texts, capabilities) for scorer in (exact, int8))
    zoos = random_zoos(np.array([capability.mean_accuracy for capability in capabilities]))
    return Agreement(
        queries=len(texts),
        candidates=len(capabilities),
        exact=float(np.abs(exact_NK - torch_NK).max()),
        quantised=float(np.abs(int8_NK - torch_NK).mean()),
        zoos=len(zoos),
        decisions=float(np.mean([_same_best(int8_NK[:, zoo], torch_NK[:, zoo]) for zoo in map(list, zoos)])),
        pairs=_same_order(int8_NK, torch_NK),
    )


def _same_best(first_NK: NDArray[np.floating], second_NK: NDArray[np.floating]) -> float:
    return float((first_NK.argmax(axis=1) == second_NK.argmax(axis=1)).mean())


def _same_order(first_NK: NDArray[np.floating], second_NK: NDArray[np.floating]) -> float:
    one, other = np.triu_indices(first_NK.shape[1], k=1)
    same = [np.sign(odds_NK[:, one] - odds_NK[:, other]) for odds_NK in (first_NK, second_NK)]
    return float((same[0] == same[1]).mean())


@torch.no_grad()
def torch_log_odds(
    network: ModelSAT, tokenizer: Any, texts: Sequence[str], capabilities: Sequence[Capability]
) -> NDArray[np.float32]:
    """Return the torch network's log-odds, (N, K), for capabilities that share their tasks; queries one by one."""
    network.eval()
    tasks = [result.task for result in capabilities[0].results]
    words = tokenizer([task.description for task in tasks], padding=True, return_tensors="pt")
    vectors_SD = network.encode(words["input_ids"], words["attention_mask"])
    lines = [{result.task.id: result for result in capability.results} for capability in capabilities]
    accuracy_KS = torch.tensor([[line[t.id].accuracy if t.id in line else 0.0 for t in tasks] for line in lines])
    count_KS = torch.tensor([[float(line[t.id].count) if t.id in line else 0.0 for t in tasks] for line in lines])
    vectors_KSD = vectors_SD.expand(len(capabilities), -1, -1)
    known = network.know(vectors_KSD, accuracy_KS, count_KS)
    rows = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=network.config.max_length, return_tensors="pt")
        mask = ids["attention_mask"]
        rows.append(network.phi(network.reader(ids["input_ids"], mask), mask, *known)[0].numpy())
    return np.stack(rows)
