"""Arms: a model with how it is run, which is a candidate of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cit_core.errors import InvalidInput
from cit_core.messages import shown

__all__ = ["EFFORTS", "SAMPLES", "Arm", "samples_of"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Reasoning efforts that a name may end with, as in `gpt-5-mini@low`."""
SAMPLES = (2, 16)
"""Fewest and most answers that one call of an arm may ask for."""
NUMBER = re.compile(r"(max_tokens(?==[1-9])|samples)=(\d{1,9})")


@dataclass(frozen=True)
class Arm:
    """A model at an effort, with a limit, asked once or more. Wherever a model's name is taken, an arm or its name is.

    Attributes:
        model: Name of the model: `openai:gpt-5-mini`.
        effort: Reasoning effort that it is asked with; the provider's default if not given.
        max_tokens: Most tokens of an answer, hidden reasoning among them.
        samples: Answers that it is asked for at once; the one that most of them agree with is given.

    Raises:
        InvalidInput: If there is no such effort, the limit is no whole number above 0, or the samples no whole
            number from 2 to 16.
    """

    model: str
    effort: str | None = None
    max_tokens: int | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip() or _run_of(self.model):
            raise InvalidInput(
                f"the model of an arm is {shown(self.model)}; it must be a plain name: openai:gpt-5-mini"
            )
        if self.effort is not None and self.effort not in EFFORTS:
            raise InvalidInput(f"the effort is {shown(self.effort)}; it must be one of {', '.join(EFFORTS)}")
        limit = self.max_tokens
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise InvalidInput(f"max_tokens is {shown(limit)}; it must be a whole number above 0")
        count, (least, most) = self.samples, SAMPLES
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or not least <= count <= most):
            raise InvalidInput(f"samples is {shown(count)}; it must be a whole number from {least} to {most}")

    @property
    def name(self) -> str:
        """The name that says all of it: `openai:gpt-5-mini@low,max_tokens=500`."""
        numbers = {"max_tokens": self.max_tokens, "samples": self.samples}
        said = ",".join(filter(None, [self.effort, *(f"{name}={n}" for name, n in numbers.items() if n is not None)]))
        return f"{self.model}@{said}" if said else self.model

    @classmethod
    def of(cls, name: str) -> Arm:
        """Return the arm that a name means; a plain name means the model as it runs by default."""
        return cls.parse(name) or cls(name)

    @classmethod
    def parse(cls, name: str) -> Arm | None:
        """Return the arm in a name that says how a model is run; None for any other name.

        Args:
            name: `openai:gpt-5-mini@low`, `...@max_tokens=500`, `...@low,max_tokens=500,samples=5`.

        Raises:
            InvalidInput: If it says a number of samples that cannot be asked for.
        """
        run = _run_of(name)
        return None if run is None else cls(name.rpartition("@")[0], **run)


def samples_of(name: str) -> int:
    """Return how many answers a model of this name is asked for at once: 1, unless it is an arm that says more."""
    arm = Arm.parse(name)
    return 1 if arm is None else arm.samples or 1


def _run_of(name: str) -> dict[str, Any] | None:
    """Return what a name ends with: effort, limit and samples; None where it ends with none of them."""
    model, at, run = name.rpartition("@")
    said: dict[str, Any] = {}
    for part in map(str.strip, run.lower().split(",")) if at and model else ():
        found = NUMBER.fullmatch(part)
        what, value = ("effort", part) if found is None else (found[1], int(found[2]))
        if what in said or (found is None and part not in EFFORTS):
            return None
        said[what] = value
    return said or None
