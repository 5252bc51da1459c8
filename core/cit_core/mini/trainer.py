"""Train the `mini` network on the CPU: connector and phi learn, the trunk below them stays as it is.

A run on the table of the core set comes first; its candidates sit a fresh aptitude test at every step. Where there are
other tables, whose candidates have the profiles of the catalogue, runs with all tables go on from its weights, and the
mean of the weights before and after is kept: it orders queries of tables that no run has seen better than either does,
and those of the first table as well as before (docs/lab-notes.md).

The loss is calibrated binary cross-entropy over all (item, candidate) pairs plus a ranking loss over the pairs of
candidates that differ on an item: the first makes 0.8 mean 80 %, the second is what routing needs. Weights are averaged
over a run; of the first run, the average with the lowest validation loss is kept.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from cit_core.catalogue import known_tasks
from cit_core.errors import CheckpointError, InvalidInput
from cit_core.mini.config import TrainConfig
from cit_core.mini.export import load_exported
from cit_core.mini.losses import log_odds, routing_loss
from cit_core.mini.network import ModelSAT
from cit_core.mini.training_tables import KnownTable, Source, TrainingTables, without_models
from cit_core.mini.weights import WEIGHTS, load_network, new_network, save_network
from cit_core.outcomes import OutcomeMatrix
from cit_core.runtime.checkpoint import Checkpoint, read_bounded

__all__ = ["TrainConfig", "fit", "folder_without", "learnt_from"]

logger = logging.getLogger(__name__)

ALONE = "alone"
"""Folder of the run on the first table, where there are others."""
DIVERGED = "training diverged: the validation loss was never a number; lower the learning rates"


def fit(
    table: OutcomeMatrix,
    folder: Path,
    config: TrainConfig | None = None,
    *,
    others: Sequence[KnownTable] = (),
    unseen: Sequence[Collection[str]] = (),
    start: str | Path | None = None,
    progress: bool = True,
) -> ModelSAT:
    """Train a network and write it with its config, split and metrics.

    What an interrupted call has finished is not done again.

    Args:
        table: Outcomes of the core set's models; its test items and test models are never looked at.
        folder: Folder for the run: model.json, model.safetensors, run.json, metrics.jsonl.
        config: The run.
        others: Other outcomes, and what is known of their models; their test items are never looked at, nor are the
            test models and copies of the test items of `table` in them.
        unseen: Names of other tables. For each group, one more network is trained that sees none of their items and no
            item with the same text (what `start` has seen it cannot know), to be judged on them; `folder_without` says
            where.
        start: An exported checkpoint that has learnt from the first table; the others go on from it.
        progress: Show progress bars.

    Returns:
        The network, in eval mode.

    Raises:
        InvalidInput: If the table has tasks without keywords, the split leaves too little to train on, a table of
            `unseen` is not there or `start` has learnt from it, a run diverges, or the folder holds another run.
        CheckpointError: If there is no such checkpoint to start from.
    """
    config = config or TrainConfig()
    others = without_models(others, config.split.models(table.candidates)["test"])
    _require_enough(table, config)
    begun = _require_unseen(table, others, unseen, start)
    _begin(table, others, folder, config, unseen, begun)
    wanted = [folder_without(folder, names) for names in (*unseen, ())]
    if all((where / WEIGHTS).exists() for where in wanted):
        return load_network(folder)[0]
    tables = TrainingTables(table, others, config)
    alone = folder / ALONE if others else folder
    network = _kept(alone)
    if network is None and begun is not None:
        network = load_exported(begun.folder)
        save_network(network, alone)
    if network is None:
        network = _fit_alone(tables.sources(without={*chain(*unseen)})[0], alone, config, progress)
    if not others:
        return network
    before = _weights(network)
    for names, where in zip((*unseen, ()), wanted, strict=True):
        network = _kept(where) or _fit_mixed(before, tables.sources(names), where, config, progress)
    return network


def folder_without(folder: Path, names: Collection[str]) -> Path:
    """Return the folder of the network that has seen none of these tables."""
    return folder / f"without-{'+'.join(sorted(names))}" if names else folder


def learnt_from(folder: Path, without: Collection[str] = ()) -> list[str]:
    """Return the names of the tables that a network of a run has learnt from, but for those that it left out.

    Raises:
        CheckpointError: If the folder does not say.
    """
    try:
        facts = json.loads(read_bounded(folder, "run.json"))
        learnt = dict.fromkeys((facts["data"], *facts.get("learnt", ()), *facts.get("others", ())))
        return [name for name in learnt if name not in without]
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder} is not the folder of a run: no readable run.json: {error!r}") from error


def _require_unseen(
    table: OutcomeMatrix, others: Sequence[KnownTable], unseen: Sequence[Collection[str]], start: str | Path | None
) -> Checkpoint | None:
    """Return the checkpoint to start from, if there is one; refuse tables to leave out that cannot be."""
    if start is not None and not others:
        raise InvalidInput(f"there is no table beside {table.name!r} to go on with")
    left_out = {*chain(*unseen)}
    missing = left_out - {other.table.name for other in others}
    if missing:
        raise InvalidInput(f"{', '.join(sorted(missing))}: no such table beside {table.name!r} to leave out")
    if start is None:
        return None
    begun = Checkpoint.open(start)
    seen = left_out & {*begun.learnt}
    if seen:
        raise InvalidInput(f"{begun.name} has learnt from {', '.join(sorted(seen))}; begin from one that has not")
    return begun


def _begin(
    table: OutcomeMatrix,
    others: Sequence[KnownTable],
    folder: Path,
    config: TrainConfig,
    unseen: Sequence[Collection[str]],
    begun: Checkpoint | None,
) -> None:
    """Write what the run learns from, or compare it with what is there."""
    facts = {
        "config": config.model_dump(),
        "data": table.name,
        "digest": table.digest(),
        "models": config.split.models(table.candidates),
        **({} if begun is None else {"start": begun.name, "learnt": begun.learnt}),
        **({"others": {other.table.name: other.table.digest() for other in others}} if others else {}),
        **({"unseen": sorted({*chain(*unseen)})} if unseen else {}),  # the first run leaves their texts out
    }
    text = json.dumps(facts, indent=1) + "\n"
    path, part = folder / "run.json", folder / "run.json.part"
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise InvalidInput(f"{folder} holds a run with other settings or data; give another folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _kept(folder: Path) -> ModelSAT | None:
    return load_network(folder)[0] if (folder / WEIGHTS).exists() else None


def _fit_alone(source: Source, folder: Path, config: TrainConfig, progress: bool) -> ModelSAT:
    network = _seeded(config, config.seed)
    course = _Course(network, config, config.steps)
    best = float("inf")
    lines = []
    for step in track(range(1, config.steps + 1), "training", disable=not progress):
        loss = course.step(source, config.items, config.candidates)
        if step % config.evaluate_every == 0 or step == config.steps:
            with course.average.applied(network):
                told = {"step": step, "train": loss, "validation": source.loss(network, config.ranking_weight)}
                logger.info("step %d: loss %.4f, validation %.4f", step, loss, told["validation"])
                lines.append(json.dumps(told))
                if told["validation"] < best:
                    best, kept = told["validation"], _weights(network)
    if best == float("inf"):
        raise InvalidInput(DIVERGED)
    return _keep(network, kept, folder, lines)


def _fit_mixed(
    before: dict[str, Tensor], sources: Sequence[Source], folder: Path, config: TrainConfig, progress: bool
) -> ModelSAT:
    sizes = np.sqrt([source.outcomes for source in sources[1:]])
    shares = [1.0 - config.mixed_share, *(config.mixed_share * sizes / sizes.sum())]
    size = config.mixed_items, config.mixed_candidates
    found = []
    for seed in range(config.seed, config.seed + config.mixed_runs):
        network = _seeded(config, seed)
        network.load_state_dict(before, strict=False)
        course = _Course(network, config, config.mixed_steps, config.mixed_rate)
        for _ in track(range(config.mixed_steps), f"training {folder.name}", disable=not progress):
            course.step(random.choices(sources, shares)[0], *size)  # noqa: S311 (not a secret)
        with course.average.applied(network):
            found.append(_weights(network))
    mean = {name: torch.stack([one[name] for one in found]).mean(0) for name in before}
    kept = {name: value.lerp(mean[name], config.mixed_weight) for name, value in before.items()}
    network.load_state_dict(kept, strict=False)
    losses = {source.name: source.loss(network, config.ranking_weight) for source in sources if len(source.validation)}
    if not np.isfinite([*losses.values()]).all():
        raise InvalidInput(DIVERGED)
    return _keep(network, kept, folder, [json.dumps({"validation": losses})])


def _seeded(config: TrainConfig, seed: int) -> ModelSAT:
    random.seed(seed)
    torch.manual_seed(seed)
    return new_network(config.network)[0]


def _weights(network: ModelSAT) -> dict[str, Tensor]:
    """Return copies of the weights that are trained."""
    return {name: value.detach().clone() for name, value in network.named_parameters() if value.requires_grad}


def _keep(network: ModelSAT, weights: dict[str, Tensor], folder: Path, lines: Sequence[str]) -> ModelSAT:
    network.load_state_dict(weights, strict=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    save_network(network, folder)
    return network.eval()


def _require_enough(table: OutcomeMatrix, config: TrainConfig) -> None:
    """Refuse a table that is too small, or has tasks without keywords.

    Raises:
        InvalidInput: If it is.
    """
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


class _Course:
    """The steps of one run, and the average of the weights on their way."""

    def __init__(self, network: ModelSAT, config: TrainConfig, steps: int, times: float = 1.0) -> None:
        self._network, self._config = network, config
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(network.phi.parameters()), "lr": times * config.learning_rate},
                {"params": list(network.connector.parameters()), "lr": times * config.connector_rate},
            ],
            weight_decay=config.weight_decay,
        )

        def rate(step: int) -> float:
            return min(1.0, (step + 1) / config.warmup) * max(0.02, 1.0 - step / steps)

        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, rate)
        self.average = _Average(network, config.average_over)

    def step(self, source: Source, items: int, candidates: int) -> float:
        """Take one step on items of a table, and return its loss."""
        config, network = self._config, self._network.train()
        drawn = source.draw(items, candidates)
        states = source.texts.bare if random.random() < config.questions_alone else source.texts.full  # noqa: S311
        x_NLD, mask_NL = states.batch(drawn.rows.tolist())
        mask_NL = mask_NL * (torch.rand_like(mask_NL) > config.token_dropout)
        odds_NK = log_odds(network, nn.functional.dropout(x_NLD, config.dropout), mask_NL, drawn.profiles)
        loss = routing_loss(odds_NK, drawn.correct_NK, config.ranking_weight)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self.average.update(network)
        return loss.item()


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
