"""Build the shipped facts, prices and links: `python -m cit_core.catalogue.build ../shared/data/more`.

Maintainers run it when the data changes; the same input gives the same bytes. The data lacks the prices of long prompts
and of what is written to a cache: they come from the price lists that it was made of, as they are installed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cit_core.arms import EFFORTS
from cit_core.catalogue.aliases import date_of, normalised, undated
from cit_core.catalogue.expectation import FACTS
from cit_core.catalogue.facts import Model, shipped_models
from cit_core.catalogue.hosts import day, going_price, hosted_entry, hosted_facts, plain_name, rounded, whole
from cit_core.catalogue.link import EFFORT_VARIANCE, Link, Observations, fit_link, interval_scale
from cit_core.catalogue.linked import Linked, linked_capability
from cit_core.catalogue.profiles import core_suite
from cit_core.catalogue.refresh import SHIPPED, Source, installed_sources
from cit_core.catalogue.score_tables import CORE, Score, observations, read_names, read_scores, served_today
from cit_core.errors import CITError, InvalidInput, MissingExtra
from cit_core.records import Candidate, Capability

__all__ = ["build_facts", "build_links", "build_prices", "profiles_in_tables", "read_facts_table"]

AS_OF = "2026-11-01"
"""Day on which the sources in the data were read."""
FEWEST_SOURCES = 2
"""A model that fewer sources have scored has no profile."""
NOT_CHAT = re.compile(
    r"(^|[-/:])(embed|embedding|moderation|rerank|tts|asr|ocr|whisper|transcribe|realtime|live|image|video|audio|"
    r"livetranslate|captioner|omni|robotics|lyria|veo|sam|computer-use|deep-research|research|fim|mt|container|ft|"
    r"davinci|babbage|sora|imagine|multi-agent|preset|learnlm|search-api|search|cyber|rosalind|"
    r"legal|law|character|translate|native|lightning|guard)([-/:.0-9]|$)"
)
"""Words in the names of models that are no public chat models."""
RESELLERS = frozenset({"perplexity", "cursor"})
"""Providers with a price list that repeats other makers' models; their own begin with one of `OWN`."""
OWN = ("sonar",)
PROVIDER = {"llama": "meta", "zhipuai": "zai"}
"""Providers with two names in the data."""


def read_facts_table(folder: Path) -> list[dict[str, Any]]:
    """Read `facts-current.parquet` as rows.

    Raises:
        InvalidInput: If the file cannot be read.
        MissingExtra: If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow, which reads Parquet files,", "data") from error
    try:
        rows: list[dict[str, Any]] = pq.read_table(folder / "facts-current.parquet").to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"{folder} needs facts-current.parquet: {error}") from error
    return rows


def build_facts(rows: Iterable[Mapping[str, Any]], as_of: str) -> dict[str, Any]:
    """Merge the rows of each chat model on its maker's own API into one entry, and those of open models of other hosts.

    Args:
        rows: Rows of (model, provider), from `read_facts_table`.
        as_of: Day on which the sources were read, YYYY-MM-DD.

    Returns:
        `{"as_of": day, "sources": [...], "urls": [...], "models": [entry, ...]}`, sorted by provider and id; an entry
        gives the places of its source and its page in the lists, and leaves out what is the default of `Model`.
    """
    spelled: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    hosted: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["makers_own_price"] and _is_chat(row):
            provider = PROVIDER.get(row["provider"], row["provider"])
            spelled.setdefault((provider, normalised(row["model"])), []).append(row)
        elif _is_chat(row):
            hosted.setdefault(plain_name(row["model"]), []).append(row)
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    known: set[tuple[str, str]] = set()
    for (provider, name), group in sorted(spelled.items(), key=lambda named: (_window(named[1]) is None, named[0])):
        entry = _entry(provider, group, hosted.get(plain_name(name), ()))
        if entry is not None and (_window(group) is not None or (provider, plain_name(name)) not in known):
            entries[provider, name] = entry
            known |= {(provider, plain) for plain in _plain_names(entry)}
    makers = {provider for provider, _ in spelled} - RESELLERS
    found = (hosted_entry(group, makers) for group in hosted.values())
    models = _with_snapshots(entries)
    models += [entry for entry in found if entry and (entry["provider"], plain_name(entry["id"])) not in known]
    return {"as_of": as_of, **_packed(sorted(models, key=lambda entry: (entry["provider"], normalised(entry["id"]))))}


def _packed(models: list[dict[str, Any]]) -> dict[str, Any]:
    """Leave out defaults, and write a source or a page that models share once: the file ships and is read at start."""
    shared = {name: sorted({entry[name] for entry in models if name in entry}) for name in ("source", "url")}
    for entry in models:
        for name in shared.keys() & entry.keys():
            entry[name] = shared[name].index(entry[name])
        for name, default in (("agree", True), ("modalities", ["text"])):
            if entry.get(name) == default:
                del entry[name]
    return {"sources": shared["source"], "urls": shared["url"], "models": models}


def _window(group: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the window that a list of its maker's models has; None if none has any."""
    columns = ("context_window", "max_input", "gp_context")
    return next((int(row[column]) for column in columns for row in group if row[column]), None)


def _plain_names(entry: Mapping[str, Any]) -> set[str]:
    """Return what hosts may call a model that its maker sells."""
    names = {normalised(name) for name in (entry["id"], *entry.get("aliases", ()))}
    return {plain_name(form) for name in names for form in (name, undated(name), name.removesuffix("-preview"))}


def _is_chat(row: Mapping[str, Any]) -> bool:
    name = row["model"].lower()
    if row["provider"] in RESELLERS and not name.startswith(OWN):
        return False
    reads, writes = ({*(row[column] or "text").split(",")} for column in ("modalities_in", "modalities_out"))
    return "text" in reads & writes and not {"audio", "video"} & writes and not NOT_CHAT.search(name)


def _entry(provider: str, group: list[Mapping[str, Any]], hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Merge the spellings of one model: for each fact, the row with the most sources wins.

    Hosts count in two cases: the maker's lists have nothing but a price, or a single one of them has it at 0, which is
    a free tier of the maker and not what answers cost elsewhere.
    """
    best_first = sorted(group, key=lambda row: (-row["n_price_sources"], row["released"] is None, row["model"]))

    def first(*columns: str) -> Any:
        found = (row[column] for row in best_first for column in columns if row[column] not in (None, ""))
        return next(found, None)

    price_in, price_out = first("price_in", "mp_in", "gp_in"), first("price_out", "mp_out", "gp_out")
    window, source = first("context_window", "max_input", "gp_context"), first("source") or "model-prices"
    agree = bool(best_first[0]["price_in_agree"])
    if price_in == price_out == 0 and best_first[0]["n_price_sources"] < 2 and (price := going_price(hosts)):
        price_in, price_out, number = price
        source, agree = f"median of {number} hosts, {source}", False
    limits = hosted_facts(hosts) if window is None and price_in else {}
    if limits:
        window, source = limits["context_window"], f"{source}, limits as most hosts have them"
    if price_in is None or price_out is None or window is None or price_in < 0 or price_out < 0:
        return None
    successor, read = first("successor"), first("modalities_in")
    facts = {
        "id": best_first[0]["model"],
        "provider": provider,
        "context_window": int(window),
        "max_output": whole(first("max_output")),
        "price_in": rounded(price_in),
        "price_out": rounded(price_out),
        "price_cached": rounded(first("price_cache_read")),
        "modalities": read and read.split(","),
        "tools": first("tools"),
        "structured_output": first("structured_output"),
        "reasoning": first("reasoning"),
        "released": day(first("released")),
        "deprecated": day(first("deprecated")),
        "retired": first("status") == "deprecated" or None,
        "successor": successor and successor.rsplit("/", 1)[-1],
        "open": first("open_weights"),
        "agree": agree,
        "source": source,
        "url": first("source_url"),
        "aliases": sorted({row["model"] for row in group} - {best_first[0]["model"]}),
        **limits,
    }
    return {name: value for name, value in facts.items() if value not in (None, [], "")}


def _with_snapshots(entries: Mapping[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Make a dated snapshot an alias of the undated model where both cost the same, and let it fill what this lacks.

    A snapshot that is retired retires the undated name only where no list says more of this than a price.
    """
    kept: list[dict[str, Any]] = []
    for (provider, name), entry in sorted(entries.items()):
        tails = ("", "-latest", "-0") if date_of(name) else ("",)
        others = (entries.get((provider, undated(name) + tail)) for tail in tails)
        model = next((other for other in others if other is not None and other is not entry), None)
        if model is None or _terms(model) != _terms(entry):
            kept.append(entry)
            continue
        model["aliases"] = sorted({*model.get("aliases", []), entry["id"], *entry.get("aliases", [])})
        filled = {name: value for name, value in entry.items() if name != "retired" or "modalities" not in model}
        model.update({**filled, **model})
    return kept


def build_prices(models: Iterable[Model], sources: Sequence[Source], as_of: str) -> dict[str, Any]:
    """Return prices that the data lacks, each of the first source whose other prices are those of the facts.

    Args:
        models: Models with facts.
        sources: What states prices, from `installed_sources`.
        as_of: Day on which the sources were read, YYYY-MM-DD.

    Returns:
        `{"as_of": day, "sources": [...], "models": [[provider:id, of what is written to the cache, tiers], ...]}`.
    """
    found = []
    for model in models:
        stated = [look(model) for _, look in sources]
        agreed = [x for x in stated if (x.get("price_in"), x.get("price_out")) == (model.price_in, model.price_out)]
        write = next((facts["price_cache_write"] for facts in agreed if facts.get("price_cache_write")), None)
        tiers = next((facts["price_tiers"] for facts in agreed if facts.get("price_tiers")), ())
        if write or tiers:
            found.append([f"{model.provider}:{model.id}", write, tiers])
    return {"as_of": as_of, "sources": [name for name, _ in sources], "models": found}


def _terms(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return entry["price_in"], entry["price_out"]


def build_links(scores: Sequence[Score], as_of: str) -> dict[str, Any]:
    """Fit the link and keep what profiles are computed from.

    Args:
        scores: Scores from `read_scores`.
        as_of: Day on which the sources were read, YYYY-MM-DD.

    Returns:
        `tasks`: slope, offset and noise of each core task over ability; `efforts`: what an effort adds to ability, and
        `effort_deviation`, by how much that differs; `expected`: ability by facts; `models`: for each effort of a
        current model with scores in two or more sources, its ability, the standard deviation of that, and the places in
        `sources` of those that scored this effort; of all that scored the model, where no effort is named.
    """
    observed = observations(scores)
    link = fit_link(observed)
    expected = link.expectation
    efforts = [effort for effort in EFFORTS if effort in link.effort]
    added_E = _in_order([(link.effort[effort], 1.0) for effort in efforts])
    tasks = {
        task: [round(float(value[column]), 4) for value in (link.slope_C, link.offset_C, link.noise_C)]
        for column, (source, _, task) in enumerate(observed.columns)
        if source == CORE
    }
    missing = sorted({task.id for task in core_suite().tasks} - tasks.keys())
    if missing:
        raise InvalidInput(
            f"the outcomes lack core tasks: {', '.join(missing)}; they come from outcomes-mmlu-pro.parquet"
        )
    models = _linked(observed, link)
    publishers = sorted({source for entry in models for source in entry[-1]})
    return {
        "as_of": as_of,
        "interval_scale": round(interval_scale(observed), 3),
        "efforts": {effort: round(added, 3) for effort, added in zip(efforts, added_E, strict=True)},
        "effort_deviation": round(EFFORT_VARIANCE**0.5, 3),
        "expected": {
            "facts": FACTS,
            "center": expected.center_F.round(4).tolist(),
            "covariance": expected.covariance_FF.round(4).tolist(),
            "weights": expected.weight_F.round(4).tolist(),
            "level": round(expected.level, 4),
            "variance": round(expected.variance + EFFORT_VARIANCE, 4),
        },
        "tasks": {task.id: tasks[task.id] for task in core_suite().tasks},
        "sources": publishers,
        "models": [[*entry[:-1], [publishers.index(source) for source in entry[-1]]] for entry in models],
    }


def profiles_in_tables(folder: Path) -> dict[str, dict[str, Capability]]:
    """Return table to model to the profile that published scores give it, whatever its name in the table is.

    The catalogue knows the models that are served today; a network learns of older and open ones, too.

    Args:
        folder: Folder of the scores and of `model-names.parquet`.
    """
    observed = observations(read_scores(folder))
    link = fit_link(observed)
    place = {arm: number for number, arm in enumerate(observed.arms)}
    found: dict[str, dict[str, Capability]] = {}
    for (source, name), (model, effort) in read_names(folder).items():
        arm = place.get((model, effort), place.get((model, "")))
        _, outcomes, table = source.rpartition("outcomes-")
        if outcomes and arm is not None:
            ability = Linked(float(link.ability_M[arm]), float(np.sqrt(link.variance_M[arm])))
            found.setdefault(table, {})[name] = linked_capability(Candidate(id=name), ability)
    return found


def _linked(observed: Observations, link: Link) -> list[list[Any]]:
    sources: dict[tuple[str, str], set[str]] = {}
    for arm, column in zip(observed.arm_O, observed.column_O, strict=True):
        name, effort = observed.arms[arm]
        for of in {"", effort}:  # what was scored at an effort is a score of the model, too
            sources.setdefault((name, of), set()).add(observed.columns[column][0])
    found: dict[tuple[str, str], list[Any]] = {}
    for arm, (name, effort) in enumerate(observed.arms):
        model = served_today(name)
        if model is not None and len(sources[name, ""]) >= FEWEST_SOURCES:
            place = (f"{model.provider}:{model.id}", effort)
            ability, deviation = float(link.ability_M[arm]), float(np.sqrt(link.variance_M[arm]))
            if place not in found or deviation < found[place][3]:  # two spellings: the one with more scores
                found[place] = [*place, ability, deviation, sorted(sources[name, effort])]
    for scored in {scored for scored, _ in found}:
        entries = [found[scored, effort] for effort in EFFORTS if (scored, effort) in found]
        for entry, ability in zip(entries, _in_order([(entry[2], entry[3]) for entry in entries]), strict=True):
            entry[2] = ability
    rounded_ = ([*entry[:2], round(entry[2], 3), round(entry[3], 3), entry[4]] for entry in found.values())
    return sorted(rounded_, key=lambda entry: entry[:2])


def _in_order(abilities: Sequence[tuple[float, float]]) -> list[float]:
    """Let more effort be no less able: means that chance has turned around become one, weighted by their deviations."""
    from scipy.optimize import isotonic_regression

    if not abilities:
        return []
    mean_E, deviation_E = np.array(abilities).T
    in_order: list[float] = isotonic_regression(mean_E, weights=1.0 / deviation_E**2).x.tolist()
    return in_order


def _write(name: str, built: Mapping[str, Any]) -> None:
    """Write one entry of `models` a line, so that a change of one model is a change of one line."""
    head = {key: value for key, value in built.items() if key != "models"}
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in built["models"])
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1] + f',"models":[\n{lines}\n]}}\n'
    Path(str(files("cit_core.catalogue").joinpath(name))).write_text(text, encoding="utf-8")


def main() -> None:
    """Write facts.json, then prices.json and links.json, which name the models of the former."""
    folder = Path(sys.argv[1])
    _write("facts.json", build_facts(read_facts_table(folder), AS_OF))
    sources = installed_sources(date.fromisoformat(AS_OF))
    needed = [f"{name} {'.'.join(map(str, release))}" for name, release in SHIPPED.items()]
    if [name for name, _ in sources] != needed:
        raise CITError(
            f"these prices come from {' and '.join(needed)}: "
            f"pip install --no-deps {' '.join(name.replace(' ', '==') for name in needed)}"
        )
    _write("prices.json", build_prices(shipped_models(), sources, AS_OF))
    _write("links.json", build_links(read_scores(folder), AS_OF))


if __name__ == "__main__":
    main()
