"""Facts of the models that are served today by their makers, and of open ones by others: limits, prices, names.

`facts.json` and `prices.json` are read when a model is first looked for; `cit_core.catalogue.build` makes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from cit_core.catalogue.aliases import DEFAULT_TAG, AmbiguousModel, date_of, effort_of, normalised, spellings, undated
from cit_core.catalogue.last_check import LastCheck, Tier, read_last_check

__all__ = [
    "AmbiguousModel",
    "Model",
    "current_models",
    "facts_as_of",
    "find_model",
    "last_check",
    "maker_of",
    "reread",
    "shipped_models",
    "similar_names",
]

PROVIDERS = {
    "google_genai": "google",
    "google_vertexai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "mistralai": "mistral",
    "x-ai": "xai",
    "meta-llama": "meta",
    "llama": "meta",
    "qwen": "alibaba",
    "dashscope": "alibaba",
    "moonshot": "moonshotai",
    "z-ai": "zai",
    "zhipuai": "zai",
    "deepseek-ai": "deepseek",
    "cohere_chat": "cohere",
}
"""Names that frameworks and resellers give to a maker."""
TAILS = re.compile(r"(-\d{4})?-preview$|(-instruct|-it)?(-fp8)?$")
QUANTIZED = re.compile(r"-fp8$")
SIZED = re.compile(r"-\d+b-\d+e(-instruct)?(-fp8)?$")
"""Size and number of experts after a name that has none besides."""
EXPERTS = re.compile(r"(?<=\db)-\d+e(?=-)|-fp8$")
"""Number of experts, which Bedrock leaves out."""
INSTRUCT = re.compile(r"-(instruct|it)(?=-\d{4}$)")
"""What some hosts leave out before the month of a release: `qwen3-235b-a22b-2507`."""
CLAUDE = re.compile(r"^claude-(?=.*[a-z])(?=.*\d)(\d(?:-\d)?|[a-z]+)-([a-z]+|\d(?:-\d)?)(-\d{8}|)$")
"""Family, number and a date: old names have the number first, newer ones the family; users write both."""
GROK = re.compile(r"^grok-[4-9].*-fast$")
"""xAI's fast models from 4 on come in two kinds, and the plain name means the one that reasons."""


@dataclass(frozen=True)
class Model:
    """Public facts about one model; None where no source has one.

    Attributes:
        id: The maker's own name.
        provider: The maker.
        aliases: Other spellings, and dated snapshots that cost the same.
        context_window: Longest input and output together [tokens].
        max_output: Longest answer [tokens].
        price_in: USD per 1M prompt tokens.
        price_out: USD per 1M completion tokens.
        price_cached: USD per 1M prompt tokens that the provider has cached.
        price_cache_write: USD per 1M prompt tokens that the provider writes to its cache.
        price_tiers: Prices of calls with long prompts, where these cost more.
        modalities: Input that it can read.
        tools: True if it can call tools.
        structured_output: True if its output can be constrained to a JSON schema.
        reasoning: True if it reasons before it answers.
        released: Day of its release, YYYY-MM-DD.
        deprecated: Day from which it is no longer served, YYYY-MM-DD.
        retired: True if a source says that its maker has retired it, whether it says the day or not.
        successor: The model that its maker recommends in its place.
        open: True if its weights are published.
        agree: True if the sources agree on its price.
        source: Source of the facts.
        url: Price page of the maker.
    """

    id: str
    provider: str
    context_window: int
    price_in: float
    price_out: float
    aliases: tuple[str, ...] = ()
    max_output: int | None = None
    price_cached: float | None = None
    price_cache_write: float | None = None
    price_tiers: tuple[Tier, ...] = ()
    modalities: tuple[str, ...] = ("text",)
    tools: bool | None = None
    structured_output: bool | None = None
    reasoning: bool | None = None
    released: str | None = None
    deprecated: str | None = None
    retired: bool = False
    successor: str | None = None
    open: bool | None = None
    agree: bool = True
    source: str = ""
    url: str | None = None
    as_of: str = ""
    """Day on which the source was read, YYYY-MM-DD; that of the shipped facts if empty."""

    @property
    def ends(self) -> str | None:
        """Return `deprecated`, or for a model that is retired without a day the day on which this was read."""
        return self.deprecated or (facts_as_of() if self.retired else None)

    def source_for(self, name: str) -> str:
        """Return the source, and whose price it is where a name says another host than the maker."""
        host = re.split("[:/]", name)[0]
        elsewhere = host != name and maker_of(host) != self.provider and " hosts" not in self.source
        return f"{self.source}, at the price of {self.provider}" if elsewhere else self.source


@cache
def current_models() -> tuple[Model, ...]:
    """List every model with facts, by provider and id; what `cit models update` found goes before what is shipped."""
    newer = last_check().models
    return tuple(
        replace(model, **newer[name]) if (name := f"{model.provider}:{model.id}") in newer else model
        for model in shipped_models()
    )


def reread() -> None:
    """Read the facts again when they are next asked for."""
    for cached in (last_check, current_models, _index):
        cached.cache_clear()


@cache
def last_check() -> LastCheck:
    """Return the facts that are newer than the shipped ones."""
    return read_last_check(facts_as_of())


@cache
def shipped_models() -> tuple[Model, ...]:
    """Return every model with facts, by provider and id."""
    read = _read("facts.json")
    sources, urls = read["sources"], read["urls"]
    more = {name: (write, tuple(map(tuple, tiers))) for name, write, tiers in _read("prices.json")["models"]}

    def model(entry: dict[str, Any]) -> Model:
        facts: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in entry.items()}
        facts["source"] = sources[entry["source"]]
        facts["url"] = urls[entry["url"]] if "url" in entry else None
        write, tiers = more.get(f"{entry['provider']}:{entry['id']}", (None, ()))
        return Model(**facts, price_cache_write=write, price_tiers=tiers)

    return tuple(model(entry) for entry in read["models"])


def facts_as_of() -> str:
    """Return day on which the sources of the facts were read, YYYY-MM-DD."""
    return str(_read("facts.json")["as_of"])


def find_model(name: str) -> Model | None:
    """Find the model that a name means.

    Args:
        name: Name in an application; `cit_core.catalogue.aliases.spellings` says which forms are read. An effort
            as in `gpt-5-mini@low` is left out.

    Returns:
        None if no model has this name.

    Raises:
        AmbiguousModel: If several makers serve different models under it and the name gives no maker.
    """
    index, bare = _index(), effort_of(name)[0]
    readings = [] if DEFAULT_TAG.match(bare.strip().lower()) else spellings(bare)
    literal = [(provider, index.get(form, ())) for provider, form in readings]
    snapshots = [(provider, _with_snapshot(form)) for provider, form in readings]
    for provider, found in (*literal, *snapshots):
        maker = PROVIDERS.get(provider or "", provider)
        of_maker = [model for model in found if model.provider == maker]
        candidates = of_maker or list(found)
        if len(candidates) == 1:
            return candidates[0]
        makers = _makers(candidates)
        if len(makers) == 1:
            return makers[0]
        if candidates:
            choices = ", ".join(sorted(f"{model.provider}:{model.id}" for model in candidates))
            raise AmbiguousModel(f"{name!r} may be one of {choices}; write the one that is meant")
    return None


def _with_snapshot(form: str) -> tuple[Model, ...]:
    """Return the models of the undated name that a dated name without facts may be a snapshot of.

    A whole date marks a snapshot of the model that has the undated name itself, not of its other snapshots. A month and
    a day mark a release that may have other weights: `deepseek-r1-0528` is not `deepseek-r1`. Either may be the day on
    which the model was released.
    """
    bare, date = undated(form), date_of(form)
    if date is None:
        return _index().get(bare, ()) if bare != form else ()
    return tuple(
        model
        for model in _index().get(bare, ())
        if (model.released or "").replace("-", "").endswith(date)
        or (len(date) > len("MMDD") and bare in _own_name(model) | _other_names(model))
    )


def maker_of(provider: str) -> str:
    """Return our name of a maker, whatever a framework or a reseller calls it."""
    name = provider.strip().lower()
    return PROVIDERS.get(name, name)


def similar_names(name: str, number: int = 3, cutoff: float = 0.6) -> list[str]:
    """List known names close to one that is not known, the closest first; a cutoff of 1 is the name itself."""
    close = get_close_matches(normalised(effort_of(name)[0].rpartition(":")[2]), _index(), number, cutoff)
    return list(dict.fromkeys(model.id for form in close for model in _index()[form]))[:number]


def _makers(candidates: Iterable[Model]) -> list[Model]:
    """Keep those served by the maker itself where others serve the same name."""
    found = list(candidates)
    return [
        model for model in found if any(normalised(model.id).startswith(own) for own in _OWN.get(model.provider, ()))
    ]


_OWN: Mapping[str, tuple[str, ...]] = {
    "alibaba": ("qwen", "qvq", "qwq"),
    "deepseek": ("deepseek",),
    "moonshotai": ("kimi", "moonshot"),
    "zai": ("glm",),
    "mistral": ("mistral", "ministral", "magistral", "codestral", "devstral", "pixtral", "voxtral", "open-mi"),
    "minimax": ("minimax",),
    "tencent": ("hy", "hunyuan"),
    "meta": ("llama", "muse"),
}
"""Beginnings of the names of makers' own models, where a maker also serves others'."""


@cache
def _read(name: str) -> dict[str, Any]:
    text = files("cit_core.catalogue").joinpath(name).read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


@cache
def _index() -> dict[str, tuple[Model, ...]]:
    """Index models by every normalised form of their names; own names go before aliases, these before undated forms."""
    found: dict[str, list[Model]] = {}
    for names in (_own_name, _other_names, _undated_names, _short_names):
        before = {key: {model.provider for model in models} for key, models in found.items()}
        for model in current_models():
            for key in names(model):
                if model.provider not in before.get(key, ()):
                    found.setdefault(key, []).append(model)
    return {key: _newest_of_each(models) for key, models in found.items()}


def _own_name(model: Model) -> set[str]:
    return {normalised(model.id)}


def _other_names(model: Model) -> set[str]:
    return {normalised(alias) for alias in model.aliases}


def _undated_names(model: Model) -> set[str]:
    return {undated(normalised(name)) for name in (model.id, *model.aliases)}


def _short_names(model: Model) -> set[str]:
    """Return names without the tails of open models, and other orders and kinds that makers' names come in."""
    whole = {normalised(name) for name in (model.id, *model.aliases)}
    bare = {TAILS.sub("", undated(name)) for name in whole} | {name.removesuffix("-preview") for name in whole}
    bare |= {part.sub("", name) for part in (QUANTIZED, SIZED, EXPERTS, INSTRUCT) for name in whole}
    turned = {f"claude-{found[2]}-{found[1]}{found[3]}" for name in bare | whole if (found := CLAUDE.match(name))}
    reasoning = {f"{name}-reasoning" for name in bare if GROK.match(name)}
    return bare | turned | reasoning


def _newest_of_each(models: list[Model]) -> tuple[Model, ...]:
    """Return the newest model of each provider: an undated name means the latest snapshot."""
    newest: dict[str, Model] = {}
    for model in models:
        known = newest.get(model.provider)
        if known is None or (model.released or "", model.id) > (known.released or "", known.id):
            newest[model.provider] = model
    return tuple(newest.values())
