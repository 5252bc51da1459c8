"""Arms: a model with how it is run, which is a candidate of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cit_core.errors import InvalidInput
from cit_core.messages import shown

__all__ = ["EFFORTS", "Arm"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Reasoning efforts that a name may end with, as in `gpt-5-mini@low`."""
LIMIT = re.compile(r"max_tokens=([1-9]\d*)")


@dataclass(frozen=True)
class Arm:
    """A model at an effort, with a limit on its answer. Wherever a model's name is taken, an arm or its name is.

    Attributes:
        model: Name of the model: `openai:gpt-5-mini`.
        effort: Reasoning effort that it is asked with; the provider's default if not given.
        max_tokens: Most tokens of an answer, hidden reasoning among them.

    Raises:
        InvalidInput: If there is no such effort, or the limit is no whole number above 0.
    """

    model: str
    effort: str | None = None
    max_tokens: int | None = None

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

    @property
    def name(self) -> str:
        """The name that says all of it: `openai:gpt-5-mini@low,max_tokens=500`."""
        run = [self.effort, None if self.max_tokens is None else f"max_tokens={self.max_tokens}"]
        said = ",".join(filter(None, run))
        return f"{self.model}@{said}" if said else self.model

    @classmethod
    def of(cls, name: str) -> Arm:
        """Return the arm that a name means; a plain name means the model as it runs by default."""
        return cls.parse(name) or cls(name)

    @classmethod
    def parse(cls, name: str) -> Arm | None:
        """Return the arm in a name that says how a model is run; None for any other name.

        Args:
            name: `openai:gpt-5-mini@low`, `...@max_tokens=500`, `...@low,max_tokens=500`.
        """
        run = _run_of(name)
        return None if run is None else cls(name.rpartition("@")[0], *run)


def _run_of(name: str) -> tuple[str | None, int | None] | None:
    """Return the effort and the limit that a name ends with; None where it ends with neither."""
    model, at, run = name.rpartition("@")
    effort, limit = None, None
    for part in run.lower().split(",") if at and model else ():
        found = LIMIT.fullmatch(part)
        if part in EFFORTS and effort is None:
            effort = part
        elif found and limit is None:
            limit = int(found[1])
        else:
            return None
    return None if effort is None and limit is None else (effort, limit)
