"""What those who host a model say of it, where its maker's own lists are silent.

Makers do not sell all of their open models, and some lists hold nothing but a price. Hosts differ in what they say of
one model, so the commonest limit and the median price count, and only where several hosts speak.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from cit_core.catalogue.aliases import normalised
from cit_core.catalogue.facts import maker_of

__all__ = ["day", "going_price", "hosted_entry", "hosted_facts", "plain_name", "rounded", "whole"]

FEWEST_HOSTS = 4
"""A model that fewer companies sell has no going price."""
FEWEST_AGREE = 2
"""A limit of a model that fewer of its hosts state is no fact."""
OLDEST = "2025"
"""Year of release of the oldest open models: published scores of older ones mix the chat model with its base."""
KIND = re.compile(r"^meta-(?=llama)|(-\d+b-\d+e)?(-instruct|-it)?(-fp8)?(?=-\d{4}$|$)")
"""What some hosts add to the name of an open model and others leave out."""


def plain_name(name: str) -> str:
    """Return what all hosts' names of a model have in common."""
    last = re.sub(r":free$", "", name).rpartition("/")[2]
    return KIND.sub("", normalised(last)).replace("-", "")


def _commonest(values: Iterable[Any]) -> Any:
    """Return the value that occurs most often, of equals the smallest; None if there is none."""
    counts = Counter(value for value in values if value not in (None, ""))
    return min(counts, key=lambda value: (-counts[value], value), default=None)


def going_price(hosts: Iterable[Mapping[str, Any]]) -> tuple[float, float, int] | None:
    """Return median prices in and out, and of how many hosts; None where too few take money for the model."""
    paid: dict[str, Mapping[str, Any]] = {}
    for row in sorted(hosts, key=lambda row: row["model"]):
        if row["price_in"] and row["price_out"]:
            paid.setdefault(row["provider"], row)
    if len(paid) < FEWEST_HOSTS:
        return None
    return *(median(row[column] for row in paid.values()) for column in ("price_in", "price_out")), len(paid)


def hosted_facts(hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what most hosts say of a model; empty if too few agree on its window."""

    def most(column: str) -> Any:
        return _commonest(row[column] for row in hosts)

    window = most("context_window")
    if not window or len({row["provider"] for row in hosts if row["context_window"] == window}) < FEWEST_AGREE:
        return {}
    return {
        "context_window": int(window),
        "max_output": whole(most("max_output")),
        "modalities": (most("modalities_in") or "text").split(","),
        "tools": most("tools"),
        "structured_output": most("structured_output"),
        "reasoning": most("reasoning"),
        "released": day(most("released")),
        "open": most("open_weights"),
    }


def hosted_entry(hosts: Sequence[Mapping[str, Any]], makers: Iterable[str]) -> dict[str, Any] | None:
    """Merge the rows of an open model that its maker does not sell; None if it is old, or lacks a maker or a price."""
    facts, price = hosted_facts(hosts), going_price(hosts)
    paths = [re.sub(r":free$", "", row["model"]).split("/") for row in hosts]
    provider = _commonest(maker for path in paths if (maker := maker_of("".join(path[-2:-1]))) in makers)
    if not facts.get("open") or (facts["released"] or "") < OLDEST or provider is None or price is None:
        return None
    names = {normalised(path[-1]): path[-1] for path in sorted(paths)}
    id_ = names[_commonest(normalised(path[-1]) for path in paths)]
    entry = {
        "id": id_,
        "provider": provider,
        **facts,
        "price_in": rounded(price[0]),
        "price_out": rounded(price[1]),
        "agree": False,
        "source": f"median of {price[2]} hosts, {_commonest(row['source'] for row in hosts)}",
        "aliases": sorted(set(names.values()) - {id_}),
    }
    return {name: value for name, value in entry.items() if value not in (None, [], "")}


def rounded(usd: float | None) -> float | None:
    """Return a price [USD per 1M tokens] without the noise of sums; None if there is none."""
    return None if usd is None else round(float(usd), 6)


def whole(number: float | None) -> int | None:
    """Return a whole number; None for none and for 0, which lists write for none."""
    return None if not number else int(number)


def day(written: str | None) -> str | None:
    """Return a day; of a month or a year its first."""
    found = re.match(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", written or "")
    return None if found is None else f"{found[1]}-{found[2] or '01'}-{found[3] or '01'}"
