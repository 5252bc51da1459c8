"""Scorers: the protocol, what they score, and the fake that tests and examples use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, TypeAdapter

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.messages import shown
from cit_core.pictures import Picture
from cit_core.records import Candidate, Capability, require_unique
from cit_core.validation import each, validated

__all__ = ["FakeScorer", "Scorer", "checked_scores", "checked_zoo", "in_level_order", "scorer_name", "scores_of"]


@runtime_checkable
class Scorer(Protocol):
    """Predicts, for every query and candidate, P(the candidate's answer is correct).

    A scorer may also have a `name`, which decisions carry; `max_tokens`, what it reads of a query, so that a decision
    on a longer one says so; `reads(instruction)`, which is False for a language that it does not know, so that a
    decision says that too; `score_with_vectors`, which returns unit vectors (N, D) of the queries beside the scores, so
    that feedback needs no second pass over the texts; and `score_with_pictures(instructions, capabilities, pictures)`,
    which returns the same two (the vectors may be None) and is given the N queries' pictures, with what an
    `encode_image` hook made of them, where one of the queries has any. Others read in the text what is known of them.
    """

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        """Score N queries for K candidates.

        Args:
            instructions: N texts.
            capabilities: K capabilities.

        Returns:
            (N, K) probabilities.
        """
        ...


def _as_capability(given: object) -> object:
    if isinstance(given, Capability):
        return given
    if isinstance(given, Candidate):
        return Capability(candidate=given)
    raise ValueError("must be a Candidate or a Capability")


_ZOO: TypeAdapter[tuple[Capability, ...]] = TypeAdapter(
    Annotated[tuple[Annotated[Capability, BeforeValidator(_as_capability)], ...], BeforeValidator(each)]
)


def checked_zoo(given: object) -> tuple[Capability, ...]:
    """Return candidates and capabilities as capabilities.

    Raises:
        NoCandidate: If there is none.
        InvalidInput: If one is something else, or two have the same id.
    """
    zoo = validated(_ZOO, given, "candidates")
    if not zoo:
        raise NoCandidate
    require_unique((capability.candidate.id for capability in zoo), "candidate ids")
    return zoo


def scorer_name(scorer: Scorer) -> str:
    """Return the name of a scorer in decisions."""
    return str(getattr(scorer, "name", type(scorer).__name__))


def scores_of(
    scorer: Scorer,
    texts: Sequence[str],
    capabilities: Sequence[Capability],
    pictures: Sequence[tuple[Picture, ...]],
    *,
    vectors: bool,
) -> tuple[NDArray[np.float64], NDArray[np.floating] | None]:
    """Return checked scores (N, K), and vectors (N, D) if they are needed and there are any.

    Args:
        scorer: Predicts.
        texts: What it reads of N queries.
        capabilities: K capabilities.
        pictures: Those of each query, for a scorer that sees.
        vectors: True if they are needed.

    Raises:
        InvalidInput: If the scorer returns no probabilities.
    """
    with_vectors = getattr(scorer, "score_with_vectors", None) if vectors else None
    sees = getattr(scorer, "score_with_pictures", None) if any(pictures) else None
    vectors_ND = None
    if sees is not None:
        given, vectors_ND = sees(texts, capabilities, pictures)
    elif with_vectors is None:
        given = scorer.score(texts, capabilities)
    else:
        given, vectors_ND = with_vectors(texts, capabilities)
    return checked_scores(given, (len(texts), len(capabilities)), scorer_name(scorer)), vectors_ND


def checked_scores(given: object, shape: tuple[int, int], name: str) -> NDArray[np.float64]:
    """Return what a scorer returned as probabilities, (N, K).

    Args:
        given: What it returned.
        shape: N queries and K candidates.
        name: Name of the scorer.

    Raises:
        InvalidInput: If it is something else; what came is not shown, for it may hold the text.
    """
    needed = f"Scorer.score must return an array of probabilities of shape {shape}"
    try:
        scores_NK = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"the scorer {name!r} returned what is no array of numbers; {needed}") from None
    if scores_NK.shape != shape or not ((scores_NK >= 0.0) & (scores_NK <= 1.0)).all():
        what = "values outside [0, 1]" if scores_NK.shape == shape else f"shape {scores_NK.shape}"
        raise InvalidInput(f"the scorer {name!r} returned {what}; {needed}")
    return scores_NK


def in_level_order(
    scores_NK: NDArray[np.float64], capabilities: Sequence[Capability], ids: Collection[str]
) -> NDArray[np.float64]:
    """Give each query's scores of some candidates to these same candidates in the order of their levels.

    Published scores carry one ability of a model and nothing of what it is better at than at other things. So they say
    who is better and the scorer how hard a query is; where it turns two of them around, that is chance
    (docs/lab-notes.md, 2026-11-29).

    Args:
        scores_NK: Probabilities (N, K), or K of one query.
        capabilities: The candidates.
        ids: Those that are put in order; the others keep their scores.
    """
    places = [k for k, one in enumerate(capabilities) if one.candidate.id in ids and one.results]
    if len(places) < 2:
        return scores_NK
    levels = {k: (capabilities[k].mean_accuracy, capabilities[k].candidate.id) for k in places}
    ordered_NK = scores_NK.copy()
    ordered_NK[..., sorted(places, key=levels.__getitem__)] = np.sort(scores_NK[..., places], axis=-1)
    return ordered_NK


class FakeScorer:
    """A scorer for tests and examples: fixed probabilities, or a function of the query and the candidate's id.

    Args:
        scores: Candidate id to probability, or `(instruction, candidate id) -> probability`.
    """

    name = "fake"

    def __init__(self, scores: Mapping[str, float] | Callable[[str, str], float]) -> None:
        if not (isinstance(scores, Mapping) or callable(scores)):
            raise InvalidInput(f"scores is {shown(scores)}; it must be a dict or a function of query and candidate id")
        self._scores = scores
        self.calls: list[tuple[str, ...]] = []
        """Instructions of every call, in order, so that a test can see that scoring was batched."""

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        """Look the probabilities up.

        Raises:
            UnknownCandidate: If a candidate has no probability.
            InvalidInput: If a probability is not a number.
        """
        self.calls.append(tuple(instructions))
        ids = [capability.candidate.id for capability in capabilities]
        scores = [[self._one(text, id_) for id_ in ids] for text in instructions]
        try:
            return np.array(scores, dtype=np.float64).reshape(len(instructions), len(ids))
        except (TypeError, ValueError, OverflowError):
            raise InvalidInput("the fake scorer got a score that is not a number") from None

    def _one(self, instruction: str, candidate: str) -> float:
        if callable(self._scores):
            return self._scores(instruction, candidate)
        if candidate not in self._scores:
            raise UnknownCandidate(candidate, self._scores, "the fake scorer")
        return self._scores[candidate]
