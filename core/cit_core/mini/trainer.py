"""One training run of the `mini` network on the CPU: connector and phi learn, the trunk below them stays as it is.

The loss is calibrated binary cross-entropy over all (item, candidate) pairs plus a ranking loss over the pairs of
candidates that differ on an item: the first makes 0.8 mean 80 %, the second is what routing needs. Weights are averaged
over the run, and the average with the lowest validation loss is kept.
"""

from __future__ import annotations

import json
import logging
import random
from functools import cache
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from rich.progress import track
from torch import Tensor, nn

from cit_core.catalogue import known_tasks
from cit_core.core_suite import build_core_suite
from cit_core.errors import InvalidInput
from cit_core.mini.config import MINI, ModelConfig
from cit_core.mini.features import States, encode_texts
from cit_core.mini.network import ModelSAT
from cit_core.mini.sampler import Profiles, Sampler, measured_profiles
from cit_core.mini.weights import new_network, save_network
from cit_core.outcomes import OutcomeMatrix, Split

__all__ = ["TrainConfig", "fit", "routing_loss"]

logger = logging.getLogger(__name__)


class TrainConfig(BaseModel):
    """One run. Chosen on the validation part alone; docs/lab-notes.md has the tries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: ModelConfig = MINI
    split: Split = Split()
    steps: int = 450
    items: int = 32
    """Items of one step."""
    candidates: int = 12
    """Candidates packed behind every item."""
    chimeras: float = 0.5
    """Share of the candidates that are made of two models."""
    questions_alone: float = 0.3
    """Share of the steps that hide the answer options: users' queries have none."""
    learning_rate: float = 1e-4
    connector_rate: float = 1e-3
    warmup: int = 50
    weight_decay: float = 0.05
    ranking_weight: float = 1.0
    dropout: float = 0.1
    token_dropout: float = 0.15
    max_length: int = 96
    """Instruction tokens read in training."""
    average_over: int = 100
    """Steps that the running average of the weights looks back on."""
    evaluate_every: int = 100
    seed: int = 2


def routing_loss(odds_NK: Tensor, correct_NK: Tensor, ranking_weight: float) -> Tensor:
    """Return binary cross-entropy over measured pairs, plus logistic ranking over candidates that differ on an item.

    Args:
        odds_NK: Log-odds of 'Yes'.
        correct_NK: Outcomes in [0, 1]; NaN where a candidate was not measured.
        ranking_weight: Weight of the second part.
    """
    known_NK = ~correct_NK.isnan()
    target_NK = correct_NK.nan_to_num()
    absolute = nn.functional.binary_cross_entropy_with_logits(odds_NK, target_NK, known_NK.float(), reduction="sum")
    absolute = absolute / known_NK.sum().clamp(min=1)
    both_NKK = known_NK.unsqueeze(2) & known_NK.unsqueeze(1)
    better_NKK = (target_NK.unsqueeze(2) - target_NK.unsqueeze(1)).clamp(min=0.0) * both_NKK
    margin_NKK = odds_NK.unsqueeze(2) - odds_NK.unsqueeze(1)
    ranking = (nn.functional.softplus(-margin_NKK) * better_NKK).sum() / better_NKK.sum().clamp(min=1.0)
    return absolute + ranking_weight * ranking


def fit(table: OutcomeMatrix, folder: Path, config: TrainConfig | None = None, *, progress: bool = True) -> ModelSAT:
    """Train a network and write it with its config, split and metrics.

    Args:
        table: Outcomes; its test items and test models are never looked at.
        folder: Folder for the run: model.json, model.safetensors, run.json, metrics.jsonl.
        config: The run.
        progress: Show a progress bar.

    Returns:
        The network with the best averaged weights, in eval mode.

    Raises:
        InvalidInput: If the table has tasks without keywords, or the split leaves too little to train on.
    """
    config = config or TrainConfig()
    _require_enough(table, config)
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    network, tokenizer = new_network(config.network)
    parts, models = config.split.items(table.item_ids), config.split.models(table.candidates)
    tasks = known_tasks()
    vectors = encode_texts(network, tokenizer, [task.description for task in tasks])
    full = States(network, tokenizer, table.instructions, config.max_length)
    bare = States(network, tokenizer, table.questions, config.max_length)
    sampler = Sampler(table, parts["train"], models["train"], [task.id for task in tasks], vectors, config.seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    (folder / "run.json").write_text(
        json.dumps(
            {"config": config.model_dump(), "data": table.name, "digest": table.digest(), "models": models}, indent=1
        )
        + "\n"
    )
    judge = _Validation(table, config, vectors, full)
    average = _Average(network, config.average_over)
    optimizer, schedule = _optimizer(network, config)
    best = float("inf")
    for step in track(range(1, config.steps + 1), "training", disable=not progress):
        network.train()
        drawn = sampler.step(config.items, config.candidates, config.chimeras)
        states = bare if random.random() < config.questions_alone else full  # noqa: S311 (not a secret)
        x_NLD, mask_NL = states.batch(drawn.rows.tolist())
        mask_NL = mask_NL * (torch.rand_like(mask_NL) > config.token_dropout)
        loss = routing_loss(
            _odds(network, nn.functional.dropout(x_NLD, config.dropout), mask_NL, drawn.profiles),
            drawn.correct_NK,
            config.ranking_weight,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update(network)
        if step % config.evaluate_every == 0 or step == config.steps:
            with average.applied(network):
                validation = judge.loss(network)
                with (folder / "metrics.jsonl").open("a") as file:
                    file.write(json.dumps({"step": step, "train": loss.item(), "validation": validation}) + "\n")
                logger.info("step %d: loss %.4f, validation %.4f", step, loss.item(), validation)
                if validation < best:
                    best = validation
                    save_network(network, folder)
                    kept = {name: value.clone() for name, value in network.state_dict().items()}
    if best == float("inf"):
        raise InvalidInput("training diverged: the validation loss was never a number; lower the learning rates")
    network.load_state_dict(kept)
    return network.eval()


def _require_enough(table: OutcomeMatrix, config: TrainConfig) -> None:
    unknown = sorted(set(table.tasks) - {task.id for task in known_tasks()})
    if unknown:
        raise InvalidInput(f"{table.name!r} has tasks that the catalogue has no keywords for: {', '.join(unknown[:5])}")
    parts, models = config.split.items(table.item_ids), config.split.models(table.candidates)
    if len(parts["train"]) < config.items or not len(parts["validation"]) or len(models["train"]) < 2:
        raise InvalidInput(
            f"a run needs {config.items} training items, a validation item and 2 training models; of "
            f"{len(table.item_ids)} items and {len(table.candidates)} models in {table.name!r} the split leaves "
            f"{len(parts['train'])}, {len(parts['validation'])} and {len(models['train'])}"
        )


def _odds(network: ModelSAT, x_NLD: Tensor, mask_NL: Tensor, profiles: Profiles) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=_multiplies_bfloat16()):
        odds_NK: Tensor = network.phi(x_NLD, mask_NL, *network.know(*profiles))
    return odds_NK.float()


@cache
def _multiplies_bfloat16() -> bool:
    """Return True if the processor multiplies bfloat16 itself: a few times faster then, and slower if not."""
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.5 has none
    return bool(told.get("amx_bf16") or told.get("avx512_bf16"))


def _optimizer(
    network: ModelSAT, config: TrainConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    optimizer = torch.optim.AdamW(
        [
            {"params": list(network.phi.parameters()), "lr": config.learning_rate},
            {"params": list(network.connector.parameters()), "lr": config.connector_rate},
        ],
        weight_decay=config.weight_decay,
    )

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / config.warmup) * max(0.02, 1.0 - step / config.steps)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


class _Average:
    """A running average of the trained weights, which is what is kept: single steps are noisy."""

    def __init__(self, network: ModelSAT, window: int) -> None:
        self._window, self._steps = window, 0
        self._mean = {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, network: ModelSAT) -> None:
        self._steps += 1
        weight = max(1.0 / self._window, 1.0 / self._steps)
        for name, parameter in network.named_parameters():
            if name in self._mean:
                self._mean[name].lerp_(parameter, weight)

    def applied(self, network: ModelSAT) -> _Swapped:
        return _Swapped(network, self._mean)


class _Swapped:
    """A network under other weights for a while."""

    def __init__(self, network: ModelSAT, weights: dict[str, Tensor]) -> None:
        self._network, self._weights = network, weights
        self._own = {name: network.get_parameter(name).detach().clone() for name in weights}

    def __enter__(self) -> None:
        self._network.load_state_dict(self._weights, strict=False)

    def __exit__(self, *_: object) -> None:
        self._network.load_state_dict(self._own, strict=False)


class _Validation:
    """The loss on validation items, over validation and training models with their profiles on the core set."""

    def __init__(self, table: OutcomeMatrix, config: TrainConfig, vectors: np.ndarray, states: States) -> None:
        suite = build_core_suite(table, config.split)
        place = {task.id: number for number, task in enumerate(known_tasks())}
        models = config.split.models(table.candidates)
        chosen = models["validation"] + models["train"]
        self._profiles = measured_profiles(
            table,
            chosen,
            [suite.items[task.id] for task in suite.tasks],
            vectors[[place[task.id] for task in suite.tasks]],
        )
        self._rows = config.split.items(table.item_ids)["validation"]
        correct = table.correct_IK[self._rows][:, [table.column(model) for model in chosen]]
        self._correct_NK = torch.tensor(correct, dtype=torch.float32)
        self._states, self._weight = states, config.ranking_weight

    @torch.no_grad()
    def loss(self, network: ModelSAT) -> float:
        network.eval()
        odds = [
            _odds(network, *self._states.batch(self._rows[start : start + 64].tolist()), self._profiles)
            for start in range(0, len(self._rows), 64)
        ]
        return routing_loss(torch.cat(odds), self._correct_NK, self._weight).item()
