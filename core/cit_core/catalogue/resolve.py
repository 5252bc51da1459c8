"""Resolve the names that an application uses to candidates with facts and a profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cit_core.arms import EFFORTS, Arm, samples_of
from cit_core.capability import SURE_ANSWERS
from cit_core.catalogue.aliases import find_id
from cit_core.catalogue.candidates import as_run, candidate_of, public_candidate, with_newer_facts, with_own_facts
from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.catalogue.expectation import facts_of
from cit_core.catalogue.facts import (
    Model,
    current_models,
    facts_as_of,
    find_model,
    similar_names,
)
from cit_core.catalogue.linked import Linked, expected, expected_release, linked, linked_capability, with_effort
from cit_core.catalogue.profiles import catalogue_candidates, catalogue_profiles
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.messages import shown
from cit_core.records import Candidate, Capability, TaskResult, Usage, require_unique

__all__ = [
    "CORE_TEST",
    "Resolved",
    "of_public_model",
    "ordered_by_level",
    "public_names",
    "public_profiles",
    "resolve_models",
    "with_answers",
]

MISTYPED = 0.85
"""Likeness from which on an unknown name may be a known one with a typing error."""
CORE_TEST = "the core test, by TIGER-AI-Lab/MMLU-Pro"
Basis = Literal["measured", "linked", "average"]


@dataclass(frozen=True)
class Resolved:
    """One model as a router takes it.

    Attributes:
        capability: Facts and profile; the candidate's id is the name that was given.
        basis: `measured` by questions that it answered, `linked` from published scores, or the `average` of models of
            its price and age.
        because: Source of the profile, in words.
        stored: Id under which the store knows it; None if it does not.
        answers: Number of its own or its model's answers in the store, whether the profile counts them in or not: those
            to questions of no task are evidence on similar questions alone.
        moved: True if the profile is that of the model's answers, moved by an effort.
    """

    capability: Capability
    basis: Basis
    because: str
    stored: str | None = None
    answers: int = 0
    moved: bool = False

    @property
    def in_short(self) -> str:
        """What its probability rests on, in a few words."""
        if self.moved:
            return _told(self.answers, " of its model")
        answers = _told(self.answers) if self.answers else ""
        if self.basis == "measured":
            return answers or "the core test"
        nothing = np.isnan(facts_of(self.capability.candidate)).all()
        average = "models in general" if nothing else "models of its price and age"
        public = "published scores" if self.basis == "linked" else average
        return f"{answers} and {public}" if answers else public


def public_profiles(names: Iterable[str]) -> list[Resolved]:
    """Return those models of which the catalogue knows more than the price, in order."""
    named = [name for name in names if public_candidate(name) is not None]
    return [one for one in resolve_models(named) if one.basis != "average"] if named else []


def ordered_by_level(models: Iterable[Resolved]) -> frozenset[str]:
    """Return the ids of the models that a router keeps in the order of their levels at every query.

    These are all models without answers in the store, if one of them is known by published scores or its facts alone;
    models that all sat the core test are told apart by their profiles.
    """
    public = [found for found in models if not found.answers]
    if all(found.basis == "measured" for found in public):
        return frozenset()
    return frozenset(found.capability.candidate.id for found in public)


def public_names(models: Sequence[str] | None) -> Sequence[str] | None:
    """Return the names of public models, the default zoo if none are given; None if the core test measured all of them.

    Raises:
        UnknownCandidate: If a name is not known; the message names the closest.
    """
    if models is None:
        return DEFAULT_ZOO
    measured = [candidate.id for candidate in catalogue_candidates()]
    others = [name for name in models if name not in measured]
    for name in others:
        if not isinstance(name, str) or find_model(name) is None:
            raise UnknownCandidate(name, [*measured, *(model.id for model in current_models())], "the catalogue")
    return models if others else None


def resolve_models(
    models: Iterable[str | Arm | Candidate],
    *,
    stored: Iterable[Capability] = (),
    known_as: Mapping[str, str] | None = None,
    strict: bool = False,
) -> list[Resolved]:
    """Find what is known of each model.

    Args:
        models: Names as an application writes them (`cit_core.catalogue.aliases`), with an effort where one is meant:
            `openai:gpt-5-mini@low`; arms; or candidates; their own facts go before public ones.
        stored: Profiles and facts of one's own, under these ids or other names of the same models; they go before
            anything that is publicly known.
        known_as: For ids of one's own making, the name of the model: `{"fast": "gpt-5-mini"}`.
        strict: Refuse a model that is not known at all; otherwise it counts as an average model of its price and age.

    Returns:
        In order, one for each name.

    Raises:
        InvalidInput: If a name is empty, given twice, ambiguous, that of a known model at no effort that there is or,
            with `strict`, unknown, or `known_as` has an arm of several samples under an id that does not say so.
    """
    names_ = (model.name if isinstance(model, Arm) else model for model in models)
    given = [Candidate(id=model) if isinstance(model, str) else model for model in names_]
    require_unique((candidate.id for candidate in given), "models")
    names = known_as or {}
    own = {capability.candidate.id: capability for capability in stored}
    found = []
    for candidate in given:
        name = names.get(candidate.id, candidate.id)
        if candidate.effort in EFFORTS and Arm.of(name).effort is None:
            name = replace(Arm.of(name), effort=candidate.effort).name
        if samples_of(name) != candidate.samples:
            raise InvalidInput(
                f"{shown(candidate.id)} is known as {shown(name)}; its id must say the samples too: "
                f"fast@samples={max(samples_of(name), candidate.samples)}"
            )
        id_ = candidate.id if candidate.id in own else None
        if id_ is None and Arm.of(name).max_tokens is None:  # with a limit, it is not what was measured
            id_ = find_id(name, (one.candidate for one in own.values()))
        if id_ is None:
            _refuse_mistyped(name)
        known = _moved(name, own) or _public(name, strict) if id_ is None else _stored(name, own[id_])
        found.append(_with_caveats(_with_facts(known, candidate), Arm.of(name)))
    return found


def _told(answers: int, of: str = "") -> str:
    return f"{answers:,} answer{'' if answers == 1 else 's'}{of} in the store"


def with_answers(found: Resolved, answers: int) -> Resolved:
    """Return a model with all of its answers in the store: feedback is on questions of no task, so in no profile."""
    if answers <= found.answers:
        return found
    because = f"{found.because}, and {_told(answers)}, on similar questions"
    return replace(found, answers=answers, because=found.because if found.answers else because)


def _with_caveats(found: Resolved, arm: Arm) -> Resolved:
    """Say what the profile of an arm leaves out, unless the arm itself was measured."""
    if found.stored is not None and found.basis == "measured":
        return found
    told = found.because
    if arm.effort is not None and found.capability.candidate.effort is None:
        told += f"; it does not reason: effort {arm.effort} changes nothing"
    if arm.max_tokens is not None:
        told += (
            f"; of answers without a limit: what {arm.max_tokens} tokens cut off, reasoning included, was not measured"
        )
    if arm.samples is not None:
        told += f"; of one answer: what {arm.samples} samples add was not measured"
    return replace(found, because=told)


def _refuse_mistyped(name: str) -> None:
    """Refuse a known model at an effort that there is not, as `gpt-5@minmal`: it would count as a model of its own."""
    model, mark, run = name.rpartition("@")
    if mark and Arm.parse(name) is None and find_model(name) is None and find_model(model) is not None:
        raise InvalidInput(
            f"no model {shown(name)} is known; {shown(run)} is none of {', '.join(EFFORTS)}, and no max_tokens=500 or "
            "samples=5; a model of your own needs a name without @"
        )


def _moved(name: str, own: Mapping[str, Capability]) -> Resolved | None:
    """Return an arm of a model in the store: its outcomes, moved by the arm's effort; None where there is none."""
    arm = Arm.parse(name)
    id_ = None if arm is None else find_id(arm.model, (one.candidate for one in own.values()))
    if arm is None or id_ is None or not own[id_].results:
        return None
    found = _measured_here(arm.model, own[id_], f" of {arm.model}")
    candidate = public_candidate(name) or as_run(Candidate(id=name))
    if candidate.effort is None:
        profile = found.capability.model_copy(update={"candidate": candidate, "usage": Usage()})
        return replace(found, capability=profile)
    moved = with_effort(found.capability, candidate, candidate.effort)
    if (written := own[id_].usage.completion_tokens) is not None:
        share = candidate.samples * candidate.length_share / own[id_].candidate.length_share
        moved = moved.model_copy(update={"usage": Usage(completion_tokens=written * share)})
    because = f"{found.because}, moved by what effort {candidate.effort} does to models"
    return Resolved(moved, "linked", because, answers=found.answers, moved=True)


def _stored(name: str, own: Capability) -> Resolved:
    """Return a model of the store: its profile if it was measured, and its facts before public ones."""
    if own.results:
        found = _measured_here(name, own)
        profile = found.capability.model_copy(update={"candidate": public_candidate(name) or Candidate(id=name)})
        found = replace(found, capability=profile)
    else:
        found = _public(name, strict=False)
    return replace(_with_facts(found, with_newer_facts(own.candidate)), stored=own.candidate.id)


def _measured_here(name: str, own: Capability, of: str = "") -> Resolved:
    """Return a profile by answers in the store; where they are few, what is publicly known stays beside them."""
    questions = sum(result.count for result in own.results)
    found = Resolved(own, "measured", _told(questions, of), answers=questions)
    if questions >= SURE_ANSWERS:
        return found
    known = _public(name, strict=False)
    if known.basis == "average":
        return found
    because = f"{found.because}, and {known.because}"
    return replace(known, capability=_together(known.capability, own), because=because, answers=questions)


def _together(known: Capability, own: Capability) -> Capability:
    """Return a profile over the tasks of both, by all answers where a task is in both, with the usage of `own`."""
    mine = {result.task.id: result for result in own.results}
    lines = []
    for result in known.results:
        other = mine.pop(result.task.id, None)
        if other is not None:
            count = result.count + other.count
            share = (result.accuracy * result.count + other.accuracy * other.count) / count
            result = TaskResult(task=result.task, accuracy=min(share, 1.0), count=count)
        lines.append(result)
    return own.model_copy(update={"results": (*lines, *mine.values())})


def _with_facts(found: Resolved, given: Candidate) -> Resolved:
    """Let the facts that were given go before others."""
    candidate = with_own_facts(found.capability.candidate, given.stated())
    if found.basis == "average" and np.isnan(facts_of(found.capability.candidate)).all():
        # One's own facts are all that is known of it; of a public model, a limit of one's own says nothing.
        return replace(found, capability=linked_capability(candidate, expected(candidate)))
    return replace(found, capability=found.capability.model_copy(update={"candidate": candidate}))


def _public(name: str, strict: bool) -> Resolved:
    if not name.strip():
        raise InvalidInput("a model's name is empty; give provider:model, for instance openai:gpt-5-mini")
    if any(candidate.id == name for candidate in catalogue_candidates()):
        return _measured(*catalogue_profiles([name]))
    model = find_model(name)
    if model is None:
        close = ", ".join(map(repr, similar_names(name, cutoff=0.6 if strict else MISTYPED)))
        hint = f"; closest: {close}" if close else ""
        if strict:
            raise InvalidInput(f"no model {shown(name)} is known{hint}; `cit models list` shows all")
        candidate = as_run(Candidate(id=name))
        because = f"no scores of it are known: an average model{hint}"
        return Resolved(linked_capability(candidate, expected(candidate)), "average", because)
    return of_public_model(name, model)


def _measured(capability: Capability) -> Resolved:
    return Resolved(capability, "measured", CORE_TEST)


def of_public_model(name: str, model: Model) -> Resolved:
    """Return a model that is served today under the name that was given, by published scores or as an average one."""
    candidate = candidate_of(name, model)
    effort = candidate.effort
    found_scores = linked(f"{model.provider}:{model.id}", effort)
    if found_scores is None:
        because = f"fewer than two sources have scored {model.id}: an average model of its price and age"
        profile = linked_capability(candidate, expected(candidate, expected_release(model)))
        return Resolved(profile, "average", because)
    return Resolved(linked_capability(candidate, found_scores), "linked", _because(model, effort, found_scores))


def _because(model: Model, effort: str | None, found: Linked) -> str:
    general = linked(f"{model.provider}:{model.id}") or found
    scores = f"scores of {model.id} by {', '.join(general.sources)} ({facts_as_of()})"
    if effort is None:
        return scores
    if found.exact:
        return f"{scores}, at effort {effort} by {', '.join(found.sources)}"
    return f"{scores}, moved by what effort {effort} does to models"
