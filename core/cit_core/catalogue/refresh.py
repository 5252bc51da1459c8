"""Refresh the facts from data that is installed, litellm's table and genai-prices: no network of our own.

What differs from the shipped facts is kept in this user's data directory and read above them; the facts of a later
release go before it. A shipped value that one of the sources still states is kept, and data that is no newer than the
shipped facts can only confirm them. Of a price that changes with the time of day the highest is kept: no discount
counts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cit_core.catalogue.aliases import normalised
from cit_core.catalogue.facts import Model, maker_of, reread, shipped_models
from cit_core.catalogue.last_check import REFRESHED, Tier, is_fact, refreshed_file
from cit_core.errors import CITError, InvalidInput, MissingExtra

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

__all__ = ["SHIPPED", "Refreshed", "Source", "installed_sources", "is_newer", "refresh_facts"]

Facts = dict[str, Any]
Source = tuple[str, Callable[[Model], Facts]]
"""Name and version of a package, and what it states of a model."""
LITELLM_TABLE = "model_prices_and_context_window_backup.json"
SHIPPED = {"litellm": (1, 110, 2), "genai-prices": (0, 2, 3)}
"""Versions whose data the shipped facts were made of. Their table names litellm's, and not that of genai-prices: 0.2.3
is the newest whose prices it has, every one of them, as 0.2.2 does; 0.2.1 has others."""
GENAI_PROVIDERS = {"xai": "x-ai"}
"""Makers whose name in genai-prices is another."""
PRICES = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens$")
SAMPLE = 1000
"""Tokens that are priced to learn a price; few enough for the lowest tier."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh has found.

    Attributes:
        models: `provider:id` to the facts that differ from the shipped ones.
        sources: Names and versions of the packages that were read.
        file: Where it is kept.
    """

    models: Mapping[str, Facts]
    sources: tuple[str, ...]
    file: Path


def refresh_facts(today: date | None = None) -> Refreshed:
    """Read what is installed and keep what differs from the shipped facts, with the day and what was checked.

    Args:
        today: Date of the facts that are kept, and day of which prices are asked; the current one if not given.

    Raises:
        MissingExtra: If neither package is installed.
        InvalidInput: If litellm's table cannot be read.
        CITError: If what is installed is older than the shipped facts, or the file cannot be written.
    """
    day = today or date.today()
    found = installed_sources(day)
    if not found:
        raise _nothing_to_read()
    models, checked = {}, []
    for model in shipped_models():
        id_ = f"{model.provider}:{model.id}"
        stated = [(name, facts) for name, look in found if (facts := _valid(look(model)))]
        if any(is_newer(name) for name, _ in stated):
            checked.append(id_)
        differs = _differences(model, [(is_newer(name), facts) for name, facts in stated])
        if differs:
            source = " + ".join(name for name, _ in stated)
            models[id_] = {**differs, "source": source, "as_of": day.isoformat()}
    sources = tuple(name for name, _ in found)
    file = refreshed_file()
    _write(file, {"as_of": day.isoformat(), "sources": sources, "checked": checked, "models": models})
    reread()
    return Refreshed(models, sources, file)


def installed_sources(day: date) -> list[Source]:
    """Return what is installed and no older than the shipped facts: name and version, and what it states of a model."""
    return [source for source in (_litellm(), _genai_prices(day)) if source is not None]


def is_newer(source: str) -> bool:
    """Return whether a package, as `genai-prices 0.2.4`, is of a later release than the shipped facts were made of."""
    name, _, release = source.rpartition(" ")
    return name in SHIPPED and _numbers(release) > SHIPPED[name]


def _nothing_to_read() -> CITError:
    if find_spec("genai_prices") is None:
        return MissingExtra("genai-prices (or litellm), which knows prices,", "prices")
    shipped = ".".join(map(str, SHIPPED["genai-prices"]))
    return CITError(
        f"genai-prices {_version('genai-prices')} is older than the shipped facts, which {shipped} agrees with; newer "
        "data: pip install -U genai-prices"
    )


def _valid(stated: Facts) -> Facts:
    """Leave out what is not stated, or is not what a fact of its name can be."""
    return {name: value for name, value in stated.items() if value is not None and is_fact(name, value)}


def _differences(model: Model, stated: list[tuple[bool, Facts]]) -> Facts:
    """Return the facts that sources state otherwise than the shipped ones: what the first newer one says.

    A source that is no newer disagrees for other reasons than time, so it can only confirm. A price of 0 is a free tier
    or a gap in a list and replaces none, as no prices of long prompts do beside the same others; and no single price
    replaces what most hosts ask.
    """
    differs: Facts = {}
    by_hosts = model.source.startswith("median of")
    for name in (fact for fact in REFRESHED if fact not in {"source", "as_of"}):
        gaps = (0,) if {"price_in", "price_out"} & differs.keys() else (0, ())
        values = [(newer, facts[name]) for newer, facts in stated if name in facts and facts[name] not in gaps]
        new = [value for newer, value in values if newer]
        if new and getattr(model, name) not in [value for _, value in values] and not (by_hosts and "price" in name):
            differs[name] = new[0]
    return differs


def _litellm() -> Source | None:
    """Return litellm's table as a source, if it is installed and no older than the shipped facts."""
    spec = find_spec("litellm")  # finds it without importing it, which takes seconds
    if spec is None or spec.origin is None:
        return None
    release = _version("litellm")
    if _numbers(release) < SHIPPED["litellm"]:
        return None
    file = Path(spec.origin).with_name(LITELLM_TABLE)
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{file} cannot be read: {error}; `cit models update` needs litellm as it was installed"
        ) from error
    known = {}
    for key, row in table.items():
        if isinstance(row, dict) and row.get("mode") in ("chat", "responses") and "litellm_provider" in row:
            known[maker_of(row["litellm_provider"]), normalised(key.rpartition("/")[2])] = row
    return f"litellm {release}", lambda model: _row(known.get((model.provider, normalised(model.id))))


def _row(row: Mapping[str, Any] | None) -> Facts:
    if row is None:
        return {}
    ranges = _ranges(row.get("tiered_pricing"))
    row = {**row, **{name: row.get(name, ranges[0].get(name)) for name in PRICES if ranges}}
    successor = row.get("successor_model")
    return {
        "price_in": _million(row.get("input_cost_per_token")),
        "price_out": _million(row.get("output_cost_per_token")),
        "price_cached": _million(row.get("cache_read_input_token_cost")),
        "price_cache_write": _million(row.get("cache_creation_input_token_cost")),
        "price_tiers": _tiers(row, ranges),
        "max_output": row.get("max_output_tokens"),
        "deprecated": row.get("deprecation_date"),
        "successor": successor.rpartition("/")[2] if isinstance(successor, str) else None,
    }


def _ranges(given: object) -> list[Mapping[str, Any]]:
    """Return the ranges of prompt tokens with prices of their own, the lowest first."""
    found = [tier for tier in given if isinstance(tier, dict)] if isinstance(given, list) else []
    starts = [(tier["range"][0], tier) for tier in found if isinstance(tier.get("range"), list) and tier["range"]]
    numbers = [(start, tier) for start, tier in starts if isinstance(start, int | float)]
    return [tier for _, tier in sorted(numbers, key=itemgetter(0))]


def _tiers(row: Mapping[str, Any], ranges: Iterable[Mapping[str, Any]]) -> tuple[Tier, ...]:
    """Return the prices of long prompts, in whichever of its two forms the table has them."""
    found: list[Mapping[str, Any]] = [
        {
            "range": [int(above[1]) * 1000],
            **{name: row.get(f"{name}_above_{above[1]}k_tokens", row.get(name)) for name in PRICES},
        }
        for key in row
        if (above := ABOVE.match(key))
    ]
    tiers = []
    for tier in (*found, *ranges):
        price_in, price_out, cached = (_million(tier.get(name)) for name in PRICES)
        if (start := int(tier["range"][0])) and price_in and price_out:
            tiers.append((start, price_in, price_out, cached))
    return tuple(sorted(tiers, key=itemgetter(0)))


def _million(per_token: object) -> float | None:
    return round(per_token * 1e6, 6) if isinstance(per_token, int | float) else None


def _genai_prices(day: date) -> Source | None:
    """Return genai-prices as a source, if it is installed and no older than the shipped facts."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    release = _version("genai-prices")
    if _numbers(release) < SHIPPED["genai-prices"]:
        return None
    usage = Usage(input_tokens=SAMPLE, output_tokens=SAMPLE)

    def look(model: Model) -> Facts:
        provider = GENAI_PROVIDERS.get(model.provider, model.provider)

        def at(moment: datetime) -> Any:
            return calc_price(usage, model.id, provider_id=provider, genai_request_timestamp=moment)

        try:
            found = at(_moment(day, time(0)))
        except LookupError:
            return {}
        if normalised(found.model.id) != normalised(model.id):  # it matches by the beginning of a name, too
            return {}
        of_day = [found, *map(at, _changes(found.model, day))]
        dearest = max(of_day, key=lambda one: one.input_price)
        return {
            "price_in": _million(float(dearest.input_price) / SAMPLE),
            "price_out": _million(float(max(one.output_price for one in of_day)) / SAMPLE),
            "price_cache_write": _base(dearest.model_price.cache_write_mtok),
            "price_tiers": _genai_tiers(dearest.model_price),
        }

    return f"genai-prices {release}", look


def _genai_tiers(prices: ModelPrice) -> tuple[Tier, ...]:
    """Return the prices of long prompts of a model in genai-prices."""
    of_kind = [getattr(prices, kind) for kind in ("input_mtok", "output_mtok", "cache_read_mtok")]
    starts = sorted({tier.start for price in of_kind for tier in getattr(price, "tiers", ())})

    def at(price: Any, start: int) -> float | None:
        reached = [tier.price for tier in getattr(price, "tiers", ()) if tier.start <= start]
        return _base(reached[-1] if reached else price)

    return tuple((start, *(at(price, start) for price in of_kind)) for start in starts)


def _base(price: Any) -> float | None:
    price = getattr(price, "base", price)
    return None if price is None else float(price)


def _changes(model: ModelInfo, day: date) -> list[datetime]:
    """List the moments of a day at which a price by the time of day begins or ends."""
    from genai_prices.types import TimeOfDateConstraint

    prices = model.prices if isinstance(model.prices, list) else []
    hours = [price.constraint for price in prices if isinstance(price.constraint, TimeOfDateConstraint)]
    return [_moment(day, clock) for constraint in hours for clock in (constraint.start_time, constraint.end_time)]


def _moment(day: date, clock: time) -> datetime:
    """Return a time of day on a day of UTC; one without a zone is of UTC."""
    moment = datetime.combine(day, clock, clock.tzinfo or timezone.utc).astimezone(timezone.utc)
    return datetime.combine(day, moment.timetz())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:3] if part.isdecimal())


def _write(file: Path, record: Mapping[str, Any]) -> None:
    """Write the file: all of it, or it stays as it was."""
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise CITError(
            f"{file} cannot be written: {error.strerror or error}; keep it where you may write, and set the same for "
            "later commands: XDG_DATA_HOME=/path cit models update"
        ) from error
