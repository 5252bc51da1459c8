"""Exceptions of the package, as one tree.

CITError
├── InvalidInput (also ValueError)      something that was passed in cannot be used
│   └── UnknownCandidate                no candidate has this id; names the closest ids
├── NoCandidate                         the zoo is empty, or everything in it is excluded; carries each reason
├── StoreError                          the capability store cannot be used
│   └── StoreTooNew                     it was written by a newer release
├── CheckpointError                     a checkpoint is missing, incomplete or does not match its hashes
├── AnswerError                         an LLM was asked and gave no answer
│   ├── Transient                       asking again may help; carries how long to wait
│   └── Refused                         asking again will not help
└── MissingExtra (also ImportError)     an optional part is not installed; names the pip command

Every message gives the value received, the value needed and, if there is one, the command that helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cit_core.messages import closest, shown

__all__ = [
    "AnswerError",
    "CITError",
    "CheckpointError",
    "InvalidInput",
    "MissingExtra",
    "NoCandidate",
    "Refused",
    "StoreError",
    "StoreTooNew",
    "Transient",
    "UnknownCandidate",
]

SHOWN = 3
"""Candidates that a folded reason names."""
NO_QUESTION_FARES_BETTER = frozenset({401, 402, 403, 404})
"""HTTP statuses that are about the key, the account or the model, not about the question."""


class CITError(Exception):
    """Parent of every error that cit-router raises on purpose."""


class InvalidInput(CITError, ValueError):
    """Something that was passed in cannot be used."""


class UnknownCandidate(InvalidInput):
    """No candidate has this id.

    Args:
        unknown: The id that was asked for.
        known: The ids there are; the closest three are named in the message.
        where: Name of the searched place, for the message.
    """

    def __init__(self, unknown: str, known: Iterable[str], where: str = "the zoo") -> None:
        ids = sorted(id_ for id_ in known if isinstance(id_, str))
        close = closest(unknown, ids)
        hint = f"closest: {', '.join(shown(id_, 512) for id_ in close)}" if close else "there is none to choose from"
        super().__init__(f"no candidate {shown(unknown)} among the {len(ids)} in {where}; {hint}")
        self.unknown = unknown
        self.close = tuple(close)
        self._made_of = unknown, ids, where

    def __reduce__(self) -> tuple[type[UnknownCandidate], tuple[str, list[str], str]]:
        return UnknownCandidate, self._made_of


class NoCandidate(CITError):
    """The zoo is empty, or every candidate in it is excluded.

    Attributes:
        reasons: Candidate id to the reason for its exclusion; empty for an empty zoo.
    """

    def __init__(self, reasons: Mapping[str, str] | None = None) -> None:
        self.reasons = dict(reasons or {})
        if self.reasons:
            lines = "".join(f"\n  {ids}: {reason}" for ids, reason in by_reason(self.reasons))
            message = f"all {len(self.reasons)} candidates are excluded:{lines}"
        else:
            message = "the zoo is empty: pass at least one candidate (`cit models list` shows the catalogue)"
        super().__init__(message)

    def __reduce__(self) -> tuple[type[NoCandidate], tuple[dict[str, str]]]:
        return NoCandidate, (self.reasons,)


def by_reason(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """Fold reasons that differ only in the candidate's id: one pair of ids and reason for each kind.

    The reason is that of the first candidate of its kind, so a command in it works as it is.
    """
    kinds: dict[str, list[str]] = {}
    for id_, reason in reasons.items():
        kinds.setdefault(reason.replace(id_, "\0"), []).append(id_)
    return [(_few(ids), reasons[ids[0]]) for ids in kinds.values()]


def _few(ids: list[str]) -> str:
    more = len(ids) - SHOWN
    return ", ".join(ids[:SHOWN]) + (f" and {more} more" if more > 0 else "")


class StoreError(CITError):
    """The capability store cannot be used."""


class StoreTooNew(StoreError):
    """The capability store was written by a newer release of cit-router."""


class CheckpointError(CITError):
    """A checkpoint is missing, incomplete or does not match the hashes in its config."""


class AnswerError(CITError):
    """An LLM was asked and gave no answer.

    Args:
        message: Holds no prompt and no key.
        status: The HTTP status, where there was one.

    Attributes:
        prompt_tokens: Tokens that were billed although there is no answer; None where they are not known.
        completion_tokens: Likewise.
        cost_usd: Charge as the provider states it.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    may_be_billed: bool = False
    """True if the provider may have worked on the request although no usage is known, as after a timeout."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Transient(AnswerError):
    """Asking again may help: a rate limit, an overloaded server, a timeout, a broken connection or body.

    Args:
        message: Holds no prompt and no key.
        status: The HTTP status, where there was one.
        retry_after_s: Wait that the server asks for [s].
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class Refused(AnswerError):
    """Asking again will not help: a wrong key, an unknown model, a request that cannot be served.

    Args:
        message: Holds no prompt and no key.
        status: The HTTP status, where there was one.
        fatal: True if no other question will fare better; by default for 401, 402, 403 and 404.
    """

    def __init__(self, message: str, *, status: int | None = None, fatal: bool | None = None) -> None:
        super().__init__(message, status=status)
        self.fatal = status in NO_QUESTION_FARES_BETTER if fatal is None else fatal


class MissingExtra(CITError, ImportError):
    """An optional part of cit-router is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed; it comes with: pip install 'cit-router[{extra}]'")
        self._made_of = what, extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return MissingExtra, self._made_of
