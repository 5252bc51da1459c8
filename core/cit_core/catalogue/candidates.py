"""What is publicly known of a model as a candidate, under the name that an application gives it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from cit_core.arms import Arm
from cit_core.catalogue.facts import AmbiguousModel, Model, facts_as_of, find_model, maker_of
from cit_core.catalogue.last_check import Tier
from cit_core.catalogue.profiles import catalogue_candidates
from cit_core.records import Candidate, PriceTier

__all__ = ["as_run", "candidate_of", "public_candidate", "with_newer_facts", "with_own_facts", "with_public_facts"]

MARK = re.compile(r"\((.+)#([0-9a-f]{8})\)$")
"""End of the source of public facts: the name that they were found by, and a digest."""
OWN_MACHINE = re.compile(
    r"(?:ollama(?:_chat)?|(?:hosted_)?vllm|llama[._-]?(?:cpp|file)|lm[_-]?studio|sglang|tgi|localai|xinference|docker_model_runner)"
    r"[:/]",
    re.IGNORECASE,
)
"""Beginning of the name of a model on one's own machine, where nobody asks a price."""


def public_candidate(name: str) -> Candidate | None:
    """Return what is publicly known of a model under the id that was given; None if it is not known, or ambiguous."""
    old = next((candidate for candidate in catalogue_candidates() if candidate.id == name), None)
    if old is not None:
        return old
    try:
        model = find_model(name)
    except AmbiguousModel:
        return None
    return None if model is None else candidate_of(name, model)


def candidate_of(name: str, model: Model) -> Candidate:
    """Return the facts of a model under the name that was given, with the effort and the limit that this says."""
    candidate = as_run(_facts(name, model))
    told = model.source if candidate.price_in is None else model.source_for(name)
    source = f"{told}, {model.as_of or facts_as_of()} ({name}#{_digest(candidate)})"
    return candidate.model_copy(update={"source": source})


def as_run(candidate: Candidate) -> Candidate:
    """Return a candidate with the effort and the limit that its name says; what does not reason has no effort."""
    arm = Arm.of(candidate.id)
    effort = None if candidate.reasoning is False else arm.effort
    limit = min(filter(None, (candidate.max_output, arm.max_tokens)), default=None)
    return candidate.model_copy(update={"effort": effort, "max_output": limit})


def _facts(name: str, model: Model) -> Candidate:
    # A maker's free tier is no price of others who serve the model, and no price is one of one's own machine.
    maker, colon, _ = name.partition(":")
    priced = bool(model.price_in or model.price_out) or (bool(colon) and maker_of(maker) == model.provider)
    priced = priced and not OWN_MACHINE.match(name)
    return Candidate(
        id=name,
        context_window=model.context_window,
        price_in=model.price_in if priced else None,
        price_out=model.price_out if priced else None,
        modalities=model.modalities,
        tools=model.tools,
        structured_output=model.structured_output,
        released=_day(model.released),
        aliases=model.aliases,
        max_output=model.max_output,
        price_cached=model.price_cached if priced else None,
        price_cache_write=model.price_cache_write if priced else None,
        price_tiers=_tiers(model.price_tiers) if priced else (),
        reasoning=model.reasoning,
        deprecated=_day(model.ends),
        successor=model.successor,
    )


def _tiers(rows: Sequence[Tier]) -> tuple[PriceTier, ...]:
    return tuple(PriceTier(above=at, price_in=i, price_out=o, price_cached=cached) for at, i, o, cached in rows)


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)


def with_newer_facts(candidate: Candidate) -> Candidate:
    """Return a stored model with today's public facts where all that it is stored with are public; else as it is."""
    found = MARK.search(candidate.source or "")
    if found is None or found[2] != _digest(candidate):
        return candidate
    newer = public_candidate(found[1])
    return candidate if newer is None else newer.model_copy(update={"id": candidate.id, "notes": candidate.notes})


def with_public_facts(candidate: Candidate) -> Candidate:
    """Return a stored model with today's public facts, and with those that it lacks, if its id is a public name."""
    newer = with_newer_facts(candidate)
    public = public_candidate(candidate.id) if newer is candidate else None
    if public is None:
        return newer
    return with_own_facts(public, candidate.stated())


def with_own_facts(public: Candidate, own: Mapping[str, Any]) -> Candidate:
    """Let facts of one's own go before others; what is cached or long costs the same share of one's own price."""
    read, written = (_share(own.get(name), getattr(public, name)) for name in ("price_in", "price_out"))
    shares: dict[str, Any] = {}
    for name in ("price_cached", "price_cache_write"):
        if read is not None and own.get(name) is None and getattr(public, name):
            shares[name] = getattr(public, name) * read
    if own.get("price_tiers") is None and (read, written) != (None, None):
        factors = {"price_in": read, "price_out": written, "price_cached": read}
        shares["price_tiers"] = tuple(_times(tier, factors) for tier in public.price_tiers)
    return public.model_copy(update={**own, **shares})


def _share(own: float | None, public: float | None) -> float | None:
    """Return one's own price as a share of the public one; None where either is not known or the public one is 0."""
    return None if own is None or not public else own / public


def _times(tier: PriceTier, factors: Mapping[str, float | None]) -> PriceTier:
    known = {name: factor for name, factor in factors.items() if factor is not None and getattr(tier, name) is not None}
    return tier.model_copy(update={name: getattr(tier, name) * factor for name, factor in known.items()})


def _digest(candidate: Candidate) -> str:
    """Return a digest of facts, which tells whether one of them is no longer as it was found."""
    later = {"price_tiers", "price_cache_write"} - candidate.stated().keys()  # older stores have the same digest
    facts = candidate.model_dump_json(exclude={"id", "notes", "source", *later})
    return hashlib.sha256(facts.encode()).hexdigest()[:8]
