"""Settings of a paper-style run in one YAML file: network, stages, data, objective and trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cit_core.errors import InvalidInput, MissingExtra
from cit_core.outcomes import Split
from cit_core.paper.config import PAPER, LoRA, PaperConfig

__all__ = ["AUTHORS", "Objective", "Recipe", "Stage", "read_recipe", "write_recipe"]

Objective = Literal["group", "calibrated", "listwise", "distillation"]


class Stage(BaseModel):
    """Part of a run with its own learning rates; an optimiser starts anew in each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learns: Literal["connector", "all"] = "all"
    """The connector alone (and a regression head), or everything."""
    in_domain: bool = False
    """Draw instructions from the tasks of the aptitude test alone."""
    steps: int = Field(default=1000, gt=0)
    learning_rate: float = Field(default=1e-4, gt=0.0)
    """Learning rate of encoder, connector and regression head."""
    lm_learning_rate: float = Field(default=1e-5, gt=0.0)
    """Learning rate of the language model, or of its LoRA layers."""


class Recipe(BaseModel):
    """One run; the defaults follow the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: PaperConfig = PAPER
    stages: tuple[Stage, ...] = Field(
        default=(Stage(learns="connector", in_domain=True, learning_rate=1e-3), Stage()), min_length=1
    )
    objective: Objective = "group"
    """`group`: which of k instructions a candidate handles (eq. 5). `calibrated`: binary cross-entropy over all pairs.
    `listwise`: which candidates handle an instruction. `distillation`: the evidence smoother's probabilities."""
    split: Split = Split()
    tasks: int = Field(default=50, gt=0)
    """Maximum number of tasks in the aptitude test."""
    questions: int = Field(default=20, gt=0)
    """Number of questions of each of its tasks."""
    shots: int = Field(default=4, gt=1)
    """k: instructions of a group, of which the candidate handled one."""
    items: int = Field(default=1, gt=0)
    """Instructions of a grid, for the objectives other than `group`."""
    candidates: int = Field(default=8, gt=1)
    """Candidates of such a grid."""
    hard_negatives: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of a group's failed instructions that are drawn near the one that was handled."""
    strength: float = Field(default=1.0, ge=0.0)
    """Power of a candidate's accuracy in its weight for draws; 0 draws all equally."""
    telling: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the instructions that are drawn by how well they distinguish candidates; the others equally."""
    batch: int = Field(default=16, gt=0)
    """Groups or grids of one optimiser step, over all processes."""
    accumulate: int = Field(default=1, gt=0)
    """Parts that a process computes its share of the batch in."""
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of a stage's steps."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    bf16: bool = False
    """Compute in bfloat16 where that is enough."""
    gradient_checkpointing: bool = False
    """Half the memory or less for a third more time."""
    evaluate_every: int = Field(default=100, gt=0)
    """Steps between validations, each of which leaves a checkpoint."""
    patience: int = Field(default=5, gt=0)
    """Validations without a better routing accuracy after which a stage ends."""
    validation_items: int = Field(default=500, gt=0)
    """Maximum number of validation items."""
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
    seed: int = 0


AUTHORS = Recipe(
    network=PaperConfig(
        lm="microsoft/Phi-3.5-mini-instruct",
        capability="text",
        head="yes_logit",
        labels=True,
        shuffles=1,
        max_length=256,
        dtype="bfloat16",
        lora=LoRA(dropout=0.1),
    ),
    stages=(Stage(learning_rate=1e-5),),
    hard_negatives=0.0,
    strength=0.0,
    telling=0.0,
    batch=4,
    bf16=True,
)
"""Model-SAT as its authors published it: the capability's text straight into a causal language model, one stage, groups
of 4, the logit of 'Yes', LoRA. Their script gives each of two GPUs one group, and two steps to a batch."""


def read_recipe(path: Path) -> Recipe:
    """Read a YAML file; what it does not say has its default.

    Raises:
        InvalidInput: If it cannot be read or says what no recipe has.
        MissingExtra: If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("PyYAML, which reads recipes,", "train") from error
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read as YAML: {error}") from error
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, found['loc'])) or 'recipe'}: {found['msg']}" for found in error.errors())
        raise InvalidInput(f"{path} is not a recipe: {'; '.join(problems)}") from error


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write everything, defaults included, as `read_recipe` reads it."""
    import yaml

    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
