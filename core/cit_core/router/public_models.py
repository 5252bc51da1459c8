"""Open a router's zoo from the names of models: what a store has measured, else what is publicly known."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cit_core.arms import Arm
from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.records import Candidate
from cit_core.router.feedback import Feedback
from cit_core.router.loading import Origin, from_store, listed_models, open_scorer, open_store
from cit_core.router.scorer import Scorer

if TYPE_CHECKING:
    from cit_core.catalogue.resolve import Resolved
    from cit_core.evidence.answer_lengths import AnswerLengths
    from cit_core.store import CapabilityStore

logger = logging.getLogger("cit_core.router")

__all__ = ["PublicModels", "named_candidates", "names_behind", "open_public"]


class PublicModels(NamedTuple):
    """A zoo of models by name; `feedback` is None where there is no store."""

    scorer: Scorer
    found: list[Resolved]
    version: str
    origin: Origin
    feedback: Feedback | None = None
    notes: tuple[str, ...] = ()
    lengths: AnswerLengths | None = None

    @property
    def by_level(self) -> frozenset[str]:
        """Models that keep the order of their levels at every query."""
        from cit_core.catalogue.resolve import ordered_by_level

        return ordered_by_level(self.found)


def open_public(
    models: object,
    store: CapabilityStore | str | None,
    checkpoint: str | Path,
    known_as: Mapping[str, str] | None,
    *,
    strict: bool,
) -> PublicModels:
    """Open a zoo of models by name; args and errors as for `Router.from_models`."""
    from cit_core.catalogue.facts import facts_as_of
    from cit_core.catalogue.resolve import resolve_models, with_answers

    given, scorer, names = named_candidates(models), open_scorer(checkpoint), dict(known_as or {})
    facts = tuple(model for model in given if isinstance(model, Candidate))
    origin = Origin(checkpoint=str(checkpoint), public=True, given=facts, known_as=names)
    if store is None:
        found = resolve_models(given, known_as=names, strict=strict)
        _tell_ended(found)
        return PublicModels(scorer, found, f"catalogue:{facts_as_of()}", origin)
    from cit_core.evidence import EvidenceScorer

    store = open_store(store, create=True)
    opened = from_store(store, scorer, None, evidence=True)
    found = resolve_models(given, stored=opened.capabilities, known_as=names, strict=strict)
    _tell_ended(found)
    ids = {one.capability.candidate.id: one.stored for one in found if one.stored is not None}
    newcomers = [one.capability.candidate for one in found if one.stored is None]
    feedback = Feedback(store, opened.network, names=ids, newcomers=newcomers)
    corrected = opened.scorer
    if isinstance(opened.scorer, EvidenceScorer):
        corrected = opened.scorer.under(ids)
        found = [with_answers(one, opened.scorer.evidence.answers.get(one.stored or "", 0)) for one in found]
    lengths = None if opened.lengths is None else opened.lengths.under(ids)
    origin = replace(origin, store=store.url)
    return PublicModels(corrected, found, opened.version, origin, feedback, opened.notes, lengths)


def _tell_ended(models: Iterable[Resolved]) -> None:
    """Log which models their makers no longer serve, and what they recommend."""
    for candidate in (found.capability.candidate for found in models):
        if candidate.has_ended():
            since = f"its maker no longer serves it since {candidate.deprecated}"
            instead = f" and recommends {candidate.successor}" if candidate.successor else ""
            logger.warning("%s: %s%s", shown(candidate.id), since, instead)


def names_behind(models: Mapping[str, object]) -> dict[str, str]:
    """Return the name of the model of each id of a mapping.

    Raises:
        InvalidInput: If one is neither a name nor an arm.
    """
    names = {id_: model.name if isinstance(model, Arm) else model for id_, model in models.items()}
    for id_, name in names.items():
        if not isinstance(name, str):
            raise InvalidInput(
                f"the model of {shown(id_)} is {shown(name)}; it must be a name such as 'openai:gpt-5-mini'. "
                "RunnableRouter, ChatCIT and CITLLM take models of their frameworks"
            )
    return names  # type: ignore[return-value]  # checked


def named_candidates(given: object) -> list[str | Candidate]:
    """Return the names and candidates that `Router.from_models` was given.

    Raises:
        InvalidInput: If it is no list of such.
    """
    models = [model.name if isinstance(model, Arm) else model for model in listed_models(given)]
    for model in models:
        if not isinstance(model, str | Candidate):
            raise InvalidInput(
                f"a model is {shown(model)}; it must be a name such as 'openai:gpt-5-mini', or a Candidate. "
                "RunnableRouter, ChatCIT and CITLLM take models of their frameworks"
            )
    return models
