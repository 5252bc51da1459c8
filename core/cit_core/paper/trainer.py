"""One stage of a paper-style run, on transformers.Trainer: data in a fixed order, two learning rates, routing accuracy.

The Trainer brings processes, mixed precision, gradient checkpointing, checkpoints, early stopping and reports. Ours are
what a batch is, what is minimised, what is validated and which weights are kept.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from cit_core.errors import InvalidInput, MissingExtra

try:
    import accelerate  # noqa: F401  (transformers asks for it late and with another remedy)
except ImportError as error:
    raise MissingExtra("accelerate, which transformers.Trainer runs on,", "train") from error

from torch.utils.data import SequentialSampler
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from cit_core.paper.grids import Collator, Grids
from cit_core.paper.losses import OBJECTIVES
from cit_core.paper.network import PaperNetwork
from cit_core.paper.recipe import Recipe
from cit_core.paper.scorer import PaperScorer
from cit_core.paper.tokenization import PaperReader
from cit_core.paper.validation import Validation
from cit_core.paper.weights import load_weights, save_paper

__all__ = ["Progress", "StageTrainer", "leave_processes", "processes_joined", "run_stage", "stage_trainer"]

logger = logging.getLogger(__name__)

ROUTED = "eval_routing_accuracy"
LETS_GO_S = 0.2
"""Time in which a thread of Gloo lets go of its last tensor."""
DONE = "model.safetensors"
"""File in a stage's folder that exists once the stage has finished."""


def stage_trainer(
    network: PaperNetwork,
    reader: PaperReader,
    grids: Grids,
    collator: Collator,
    validation: Validation,
    folder: Path,
    recipe: Recipe,
    stage: int,
) -> StageTrainer:
    """Return the Trainer of one stage.

    Args:
        network: Trained in place.
        reader: Its tokenisers.
        grids: Training data of this stage.
        collator: Grids to tensors.
        validation: Data for choosing the best checkpoint.
        folder: Folder of the run; the stage's checkpoints go to `stage-1`, `stage-2`, ...
        recipe: Settings of the run.
        stage: Number of the stage, from 0.

    Raises:
        InvalidInput: If the batch cannot be shared out, or the package of a requested report is not installed.
    """
    network.unfreeze(recipe.stages[stage].learns)
    if recipe.gradient_checkpointing:
        network.checkpoint_activations()
    trainer = StageTrainer(
        model=network,
        args=_arguments(recipe, stage, folder / f"stage-{stage + 1}"),
        train_dataset=grids,
        eval_dataset=validation,
        data_collator=collator,
        callbacks=[
            EarlyStoppingCallback(early_stopping_patience=recipe.patience),
            _Metrics(folder / "metrics.jsonl", stage + 1),
        ],
    )
    trainer.ours = recipe, stage, reader
    trainer.model_accepts_loss_kwargs = False
    trainer.remove_callback(PrinterCallback)
    return trainer


def run_stage(trainer: StageTrainer, *, resume: bool) -> None:
    """Run a stage; the network ends with its best weights.

    Args:
        trainer: The Trainer of `stage_trainer`.
        resume: Go on from the last whole checkpoint of the stage, or pass it if it is over.

    Raises:
        InvalidInput: If training diverges.
        CheckpointError: If a checkpoint does not fit.
    """
    folder = Path(str(trainer.args.output_dir))
    if resume and (folder / DONE).exists():
        load_weights(trainer.model, folder)
        return
    with _closed_reports(trainer.ours[0]):
        trainer.train(resume_from_checkpoint=_last_checkpoint(folder) if resume else None)
    # What mixed precision has put around `forward` is taken off again: the next stage puts it there itself.
    trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
    if trainer.args.should_save:
        save_paper(trainer.model, folder)


def processes_joined() -> bool:
    """Return True if this process shares its training with others."""
    return distributed.is_available() and distributed.is_initialized()


def leave_processes() -> None:
    """Leave the group of processes that Trainers have joined; for the end of Python, as none can be joined again.

    A thread of Gloo lets go of a tensor a moment after the call that has shared it, and needs Python for that: where
    Python has ended meanwhile, the process is aborted. So this waits a little.
    """
    if processes_joined():
        distributed.destroy_process_group()
        time.sleep(LETS_GO_S)


class StageTrainer(Trainer):
    """The Trainer for grids."""

    model: Any
    eval_dataset: Any
    ours: tuple[Recipe, int, PaperReader]

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002 (every loss is a mean over grids)
    ) -> Any:
        """Return the loss of the recipe's objective."""
        label_GNK = inputs.pop("label")
        odds_GNK = model(**inputs)
        loss = OBJECTIVES[self.ours[0].objective](odds_GNK, label_GNK)
        if not math.isfinite(loss.item()):
            raise InvalidInput("training diverged: the loss is not a number any more; lower the learning rates")
        return (loss, odds_GNK) if return_outputs else loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make AdamW with one rate for the language model and one for encoder, connector and head."""
        if self.optimizer is None:
            recipe, stage, _ = self.ours
            rates = {True: recipe.stages[stage].lm_learning_rate, False: recipe.stages[stage].learning_rate}
            learns = [(n, p) for n, p in (model or self.model).named_parameters() if p.requires_grad]
            groups = []
            for of_lm in (False, True):
                for decays in (True, False):
                    chosen = [p for n, p in learns if ("lm." in n[:10]) == of_lm and (p.ndim > 1) == decays]
                    decay = recipe.weight_decay if decays else 0.0
                    groups.append({"params": chosen, "lr": rates[of_lm], "weight_decay": decay})
            self.optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
        return self.optimizer

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Validate routing; every process scores its share of the items."""
        found = self.eval_dataset.metrics(self.validation_odds())
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def validation_odds(self) -> NDArray[np.float64]:
        """Return log-odds on the validation items, NK, the same on every process."""
        validation: Validation = self.eval_dataset
        scorer = PaperScorer(self.model, self.ours[2])
        mine = slice(self.args.process_index, None, self.args.world_size)
        odds_NK = torch.zeros(validation.correct_NK.shape, dtype=torch.float64)
        with self.accelerator.autocast():
            shown = None if validation.patches_N is None else validation.patches_N[mine]
            scored = scorer.log_odds(validation.instructions[mine], validation.capabilities, shown)
        odds_NK[mine] = torch.from_numpy(scored)
        whole: Tensor = self.accelerator.reduce(odds_NK.to(self.args.device), reduction="sum")
        return whole.cpu().numpy()

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        """Keep the order of the data: grid 0, grid 1, ..."""
        return SequentialSampler(cast(Any, self.train_dataset))

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        """Save the weights as safetensors, without the arguments, which the Trainer would pickle."""
        if self.args.should_save:
            save_paper(self.model, Path(str(output_dir or self.args.output_dir)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ARG002
        load_weights(self.model, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        load_weights(self.model, Path(str(self.state.best_model_checkpoint)))


class _Metrics(TrainerCallback):
    """Keeps what the Trainer logs in a file of the run; the Trainer's checkpoints remember it for a resumed one."""

    def __init__(self, path: Path, stage: int) -> None:
        self._path, self._stage = path, stage

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Validate at the last step too: weights that are not validated are never the best."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True

    def on_log(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Write everything again: a resumed stage has no line twice."""
        if not state.is_world_process_zero:
            return
        earlier = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [line for line in earlier if json.loads(line)["stage"] < self._stage]
        lines = [json.dumps({"stage": self._stage, **logged}) for logged in state.log_history]
        self._path.write_text("\n".join([*kept, *lines]) + "\n")
        logger.info("stage %d, step %d: %s", self._stage, state.global_step, state.log_history[-1])


class Progress(TrainerCallback):
    """Reports the finished steps of a stage.

    Args:
        tell: Called with a description of the count, and the count.
        stage: Number of the stage, from 1.
    """

    def __init__(self, tell: Callable[[str, int], None], stage: int) -> None:
        self._tell, self._stage = tell, stage

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Report a finished step."""
        self._tell(f"of {state.max_steps:,} steps of stage {self._stage}", state.global_step)


def _arguments(recipe: Recipe, stage: int, folder: Path) -> TrainingArguments:
    for package in recipe.report_to:
        if importlib.util.find_spec(package) is None:
            raise InvalidInput(f"report_to {package!r} needs its package: pip install {package}")
    steps = recipe.stages[stage].steps
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulate,
        lr_scheduler_type="linear",
        warmup_steps=round(recipe.warmup * steps),
        bf16=recipe.bf16,
        eval_strategy="steps",
        eval_steps=recipe.evaluate_every,
        save_strategy="steps",
        save_steps=recipe.evaluate_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=ROUTED,
        greater_is_better=True,
        logging_steps=min(10, recipe.evaluate_every),
        report_to=list(recipe.report_to),
        run_name=f"{folder.parent.name}-{folder.name}",
        seed=recipe.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        label_names=["label"],
    )
    parts = arguments.world_size * recipe.accumulate
    if recipe.batch % parts:
        raise InvalidInput(
            f"a batch of {recipe.batch} cannot be shared by {arguments.world_size} processes in {recipe.accumulate} "
            f"parts each; a multiple of {parts} can"
        )
    arguments.per_device_train_batch_size = recipe.batch // parts
    arguments._n_gpu = min(
        arguments.n_gpu, 1
    )  # several GPUs are for `torchrun`: grids cannot be cut by their first axis
    return arguments


@contextmanager
def _closed_reports(recipe: Recipe) -> Iterator[None]:
    """Close the stage's W&B run, which the Trainer leaves open; a run that was open before stays open."""
    if "wandb" not in recipe.report_to:
        yield
        return
    import wandb

    before, failed = wandb.run, 1
    try:
        yield
        failed = 0
    finally:
        if before is None and wandb.run is not None:
            wandb.run.finish(exit_code=failed)


def _last_checkpoint(folder: Path) -> str | None:
    """Return the last complete checkpoint: the Trainer writes its state last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None
