"""Models in lists: those that are served today and those of a store, with maker and profile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cit_core.catalogue.candidates import with_public_facts
from cit_core.catalogue.facts import AmbiguousModel, Model, current_models, find_model
from cit_core.catalogue.profiles import catalogue_capabilities
from cit_core.catalogue.resolve import CORE_TEST, of_public_model
from cit_core.records import Capability

__all__ = ["Listed", "by_accuracy", "list_model", "list_stored", "public_models"]


@dataclass(frozen=True)
class Listed:
    """A model in a list.

    Attributes:
        capability: Facts and profile; without results if nothing is known of how well it answers.
        basis: What the profile rests on: `linked` scores, the `average` of models of its price and age, a test of
            `2024`, `measured` in a store, or none.
        provider: The maker; None if it is not known.
        open: Whether the weights are published; None if no source says.
        because: Where the profile comes from, in words.
        url: Price page of the maker.
    """

    capability: Capability
    basis: Literal["linked", "average", "2024", "measured", "none"]
    provider: str | None = None
    open: bool | None = None
    because: str = ""
    url: str | None = None


def public_models() -> list[Listed]:
    """List the models that are served today, those with scores first, then ended and then measured ones of 2024."""
    found = [list_model(model) for model in current_models()] + [
        Listed(capability, "2024", open=capability.candidate.params_b is not None, because=CORE_TEST)
        for capability in catalogue_capabilities()
    ]
    return sorted(
        found,
        key=lambda one: (
            one.basis == "2024",
            one.capability.candidate.has_ended(),
            one.basis == "average",
            *by_accuracy(one.capability),
        ),
    )


def list_model(model: Model, effort: str | None = None) -> Listed:
    """List a model that is served today, or one of its arms, by the name `provider:id`."""
    found = of_public_model(f"{model.provider}:{model.id}" + (f"@{effort}" if effort else ""), model)
    basis: Literal["linked", "average"] = "average" if found.basis == "average" else "linked"
    return Listed(found.capability, basis, model.provider, model.open, found.because, model.url)


def list_stored(capability: Capability) -> Listed:
    """List a model of a store, with its maker if its name says which."""
    capability = capability.model_copy(update={"candidate": with_public_facts(capability.candidate)})
    try:
        model = find_model(capability.candidate.id)
    except AmbiguousModel:
        model = None
    basis: Literal["measured", "none"] = "measured" if capability.results else "none"
    return Listed(capability, basis, None if model is None else model.provider, None if model is None else model.open)


def by_accuracy(capability: Capability) -> tuple[float, str]:
    """Return a sort key: the most accurate first, models without a profile last, ties by id."""
    mean = capability.mean_accuracy
    return math.inf if math.isnan(mean) else -mean, capability.candidate.id
