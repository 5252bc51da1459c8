"""What `cit models update` has found last, in a file of the user's that is read above the shipped facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["LastCheck", "Tier", "is_fact", "read_last_check", "refreshed_file"]

REFRESHED = {
    "price_in": "price",
    "price_out": "price",
    "price_cached": "price",
    "price_cache_write": "price",
    "price_tiers": "tiers",
    "max_output": "tokens",
    "deprecated": "day",
    "successor": "text",
    "source": "text",
    "as_of": "day",
}
"""Facts that `cit models update` keeps, and of which kind each is."""
Tier = tuple[int, float, float, float | None]
"""Prompt tokens above which other prices hold, and these: in, out and cached [USD per 1M tokens]."""
TIER = ("max_output", "price_in", "price_out", "price_cached")
"""Facts of the same kinds as the parts of a tier."""
MOST_TIERS = 16
LONGEST_TEXT = 512
MOST_TOKENS = 2**63
HIGHEST_PRICE = 1e9
"""USD per 1M tokens; above it is no price."""


@dataclass(frozen=True)
class LastCheck:
    """Result of the last `cit models update`, as its file says; empty where the shipped facts are of a later day.

    Attributes:
        day: Day of the check, YYYY-MM-DD; empty if there was none.
        sources: Names and versions of the packages that were read.
        checked: `provider:id` of the models that those of them know that are newer than the shipped facts.
        models: `provider:id` to the facts that differ from the shipped ones.
        ignored: Parts of the file that are not valid and do not count.
    """

    day: str = ""
    sources: tuple[str, ...] = ()
    checked: frozenset[str] = frozenset()
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def refreshed_file() -> Path:
    """Return the file of what `cit models update` has found."""
    return platformdirs.user_data_path("cit-router", appauthor=False) / "facts.json"


def read_last_check(shipped: str) -> LastCheck:
    """Read the file of `cit models update`: nothing may fail for what is not valid in it.

    Args:
        shipped: Day of the shipped facts, YYYY-MM-DD; a file that is no later counts for nothing.
    """
    try:
        return _valid_part(json.loads(refreshed_file().read_text(encoding="utf-8")), shipped)
    except FileNotFoundError:
        return LastCheck()
    except (OSError, ValueError, RecursionError):
        return LastCheck(ignored=("all of it, which is no JSON that can be read",))


def _valid_part(read: Any, shipped: str) -> LastCheck:
    """Take what is valid; an entry with one fact that is not counts for nothing."""
    day = read.get("as_of") if isinstance(read, dict) else None
    if not isinstance(day, str) or not is_fact("as_of", day):
        return LastCheck(ignored=("all of it, which has no valid `as_of`",))
    if day <= shipped:
        return LastCheck()
    entries, sources = read.get("models"), _texts(read.get("sources"))
    if not isinstance(entries, dict):
        return LastCheck(day, sources, ignored=("`models`, which is no object",))
    models, ignored = {}, []
    for name, entry in entries.items():
        facts = {k: v for k, v in entry.items() if k in REFRESHED} if isinstance(entry, dict) else {}
        bad = [fact for fact, value in facts.items() if not is_fact(fact, value)]
        if bad or not isinstance(entry, dict):
            ignored.append(f"{name} ({', '.join(bad) or 'no object'})")
        else:
            models[name] = {k: tuple(map(tuple, v)) if k == "price_tiers" else v for k, v in facts.items()}
    checked = _texts(read["checked"]) if "checked" in read else models
    return LastCheck(day, sources, frozenset(checked), models, tuple(ignored))


def is_fact(name: str, value: object) -> bool:
    """Return whether a value can be the fact of this name, one of `REFRESHED`."""
    kind = REFRESHED[name]
    if kind == "text":
        return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable()
    if kind == "day":
        try:
            return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    if kind == "tiers":
        return isinstance(value, list | tuple) and len(value) <= MOST_TIERS and all(map(_is_tier, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == "tokens":
        return isinstance(value, int) and 0 < value < MOST_TOKENS
    return 0 <= value <= HIGHEST_PRICE  # neither is true of NaN


def _is_tier(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != len(TIER):
        return False
    named = [(name, part) for name, part in zip(TIER, value, strict=True) if name != "price_cached" or part is not None]
    return all(is_fact(name, part) for name, part in named)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if is_fact("source", text)) if isinstance(value, list) else ()
