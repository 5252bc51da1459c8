"""Refresh the facts from data that is installed, litellm's table and genai-prices: no network of our own.

What differs from the shipped facts is kept in this user's data directory and read above them; the facts of a later
release go before it. A shipped value that one of the sources still states is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cit_core.catalogue.aliases import normalised
from cit_core.catalogue.facts import Model, maker_of, refreshed_file, reread, shipped_models
from cit_core.errors import InvalidInput, MissingExtra

__all__ = ["Refreshed", "refresh_facts"]

Facts = dict[str, Any]
LITELLM_TABLE = "model_prices_and_context_window_backup.json"
LITELLM_SHIPPED = (1, 110, 2)
"""Version whose table the shipped facts were made of."""
GENAI_PROVIDERS = {"xai": "x-ai"}
"""Makers whose name in genai-prices is another."""
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
    """Read what is installed and keep what differs from the shipped facts.

    Args:
        today: Date of the facts that are kept; the current one if not given.

    Raises:
        MissingExtra: If neither package is installed.
        InvalidInput: If litellm's table cannot be read.
    """
    found = [source for source in (_litellm(), _genai_prices()) if source is not None]
    if not found:
        raise MissingExtra("genai-prices (or litellm), which knows prices,", "prices")
    day = (today or date.today()).isoformat()
    models = {}
    for model in shipped_models():
        stated = [(name, facts) for name, look in found if (facts := look(model))]
        differs = _differences(model, [facts for _, facts in stated])
        if differs:
            source = " + ".join(name for name, _ in stated)
            models[f"{model.provider}:{model.id}"] = {**differs, "source": source, "as_of": day}
    sources = tuple(name for name, _ in found)
    file = refreshed_file()
    _write(file, {"as_of": day, "sources": sources, "models": models})
    reread()
    return Refreshed(models, sources, file)


def _differences(model: Model, stated: list[Facts]) -> Facts:
    """Return the facts that the sources state otherwise than the shipped ones, the first source's where they differ."""
    differs = {}
    for name in ("price_in", "price_out", "price_cached", "max_output", "deprecated", "successor"):
        values = [facts[name] for facts in stated if facts.get(name) is not None]
        if values and getattr(model, name) not in values:
            differs[name] = values[0]
    return differs


def _litellm() -> tuple[str, Callable[[Model], Facts | None]] | None:
    """Return litellm's table as a source, if it is installed and no older than the shipped facts."""
    spec = find_spec("litellm")  # finds it without importing it, which takes seconds
    if spec is None or spec.origin is None:
        return None
    release = _version("litellm")
    if tuple(int(part) for part in release.split(".")[:3] if part.isdecimal()) < LITELLM_SHIPPED:
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


def _row(row: Mapping[str, Any] | None) -> Facts | None:
    if row is None:
        return None
    successor = row.get("successor_model")
    return {
        "price_in": _million(row.get("input_cost_per_token")),
        "price_out": _million(row.get("output_cost_per_token")),
        "price_cached": _million(row.get("cache_read_input_token_cost")),
        "max_output": row.get("max_output_tokens"),
        "deprecated": row.get("deprecation_date"),
        "successor": None if successor is None else successor.rpartition("/")[2],
    }


def _million(per_token: float | None) -> float | None:
    return None if per_token is None else round(per_token * 1e6, 6)


def _genai_prices() -> tuple[str, Callable[[Model], Facts | None]] | None:
    """Return genai-prices as a source, if it is installed."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None

    def look(model: Model) -> Facts | None:
        provider = GENAI_PROVIDERS.get(model.provider, model.provider)
        try:
            found = calc_price(Usage(input_tokens=SAMPLE, output_tokens=SAMPLE), model.id, provider_id=provider)
        except LookupError:
            return None
        if normalised(found.model.id) != normalised(model.id):  # it matches by the beginning of a name, too
            return None
        prices = (found.input_price, found.output_price)
        price_in, price_out = (round(float(usd) * 1e6 / SAMPLE, 6) for usd in prices)
        return {"price_in": price_in, "price_out": price_out}

    return f"genai-prices {_version('genai-prices')}", look


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"


def _write(file: Path, record: Mapping[str, Any]) -> None:
    """Write the file: all of it, or it stays as it was."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
