"""`cit models`: the LLMs that may be chosen. The shipped catalogue is read; a store is read and written."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._model_tables import (
    facts_table,
    models_table,
    source_summary,
    sources_table,
    summary,
    task_table,
)
from cit_core.cli._options import CATALOGUE, IdArgument, JsonOption, StoreOption, open_store, reads_catalogue
from cit_core.errors import InvalidInput, UnknownCandidate

if TYPE_CHECKING:
    from cit_core.catalogue.model_lists import Listed
    from cit_core.records import Candidate, PriceTier
    from cit_core.store import CapabilityStore

__all__ = ["add", "app"]

UPDATES_SHOWN = 20
app = typer.Typer(no_args_is_help=True, help="Show, add and remove the LLMs that may be chosen.")


@app.command("list")
def list_(
    store: StoreOption = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Only of this maker: openai, google, ...")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Only models with published weights.")] = False,
    max_price: Annotated[
        float | None,
        typer.Option("--max-price", metavar="USD", min=0.0, help="Only with at most this price per 1M answer tokens."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="YYYY-MM-DD", help="Only released on this day or later.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="List also the models of the catalogue without published scores.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """List the models of a store, or of the shipped catalogue: today's first, the most accurate first."""
    where, found = _listed(store)
    day = _day(since)
    fits = [one for one in found if _fits(one, provider, day, max_price, open_=open_)]
    shown = fits if all_ or not reads_catalogue(store) else [one for one in fits if one.basis != "average"]
    if json_:
        _output.as_json([summary(one) for one in shown])
        return
    if shown:
        _output.show(models_table(f"{len(shown)} models in {where}", shown))
    if len(fits) > len(shown):
        _output.note(f"{len(fits) - len(shown)} more without published scores: cit models list --all")
    if shown and reads_catalogue(store):
        _output.note(
            "accuracy: on the core tasks; linked: from published scores; 2024: of an older test, kept for it"
            + ("; average: of models of its price and age" if all_ else "")
        )
        if any(one.capability.candidate.has_ended() for one in shown):
            _output.note("ended: its maker no longer serves it")
    if not found:
        _output.note("the store holds no model; `cit models add ID` and `cit import` add some")
    elif not fits:
        makers = ", ".join(sorted({one.provider for one in found if one.provider}))
        _output.note(f"no model fits; makers: {makers or 'not known'}")
    others = [] if day is None else [one for one in found if _fits(one, provider, None, max_price, open_=open_)]
    undated = sum(one.capability.candidate.released is None for one in others)
    if undated:
        _output.note(f"{undated} more whose day of release is not known")


def _fits(one: Listed, provider: str | None, since: date | None, max_price: float | None, *, open_: bool) -> bool:
    """Return whether a model passes the filters; what is not known does not."""
    from cit_core.catalogue.facts import maker_of

    candidate = one.capability.candidate
    return (
        (provider is None or one.provider == maker_of(provider))
        and (not open_ or one.open is True)
        and (max_price is None or (candidate.price_out is not None and candidate.price_out <= max_price))
        and (since is None or (candidate.released is not None and candidate.released >= since))
    )


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"--since {text!r} is no day; write it as 2026-01-31") from None


@app.command()
def show(
    id_: IdArgument,
    store: StoreOption = None,
    all_: Annotated[bool, typer.Option("--all", help="Show the accuracy on every task.")] = False,
    json_: JsonOption = False,
) -> None:
    """Show one model: its facts, their sources, and its accuracy task by task. Any name of a public model works."""
    one, provenance = _find(id_, store)
    if json_:
        tasks = [{"task": r.task.id, "accuracy": r.accuracy, "count": r.count} for r in one.capability.results]
        _output.as_json({**summary(one), "results": tasks, "provenance": provenance, "because": one.because})
        return
    _output.show(facts_table(one, provenance))
    _output.show(task_table(one, all_=all_))


def _find(id_: str, store: str | None) -> tuple[Listed, dict[str, str] | None]:
    """Return a model of the store, or else of the catalogue if no store was named; and its provenance there."""
    from cit_core.catalogue import catalogue_capabilities, provenance
    from cit_core.catalogue.aliases import effort_of, find_id
    from cit_core.catalogue.facts import find_model
    from cit_core.catalogue.model_lists import Listed, list_model

    where, found = ("", []) if reads_catalogue(store) else _listed(store)
    known = {one.capability.candidate.id: one for one in found}
    if stored := find_id(id_, [one.capability.candidate for one in found]):
        return known[stored], None
    if store is not None and not reads_catalogue(store):
        raise UnknownCandidate(id_, known, where)
    for capability in catalogue_capabilities():
        if capability.candidate.id == id_:
            return Listed(capability, "2024", open=capability.candidate.params_b is not None), provenance(id_)
    model = find_model(id_)
    if model is None:
        where, public = _listed(CATALOGUE)
        raise UnknownCandidate(id_, [*known, *(one.capability.candidate.id for one in public)], where)
    return list_model(model, effort_of(id_)[1]), None


@app.command()
def remove(id_: IdArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Remove a model and its outcomes from a store."""
    with open_store(store) as opened:
        opened.remove_candidate(id_)
        url = opened.url
    _output.as_json({"done": "removed", "id": id_, "store": url}) if json_ else _output.say(
        f"removed: {id_} from {url}"
    )


@app.command()
def update(json_: JsonOption = False) -> None:
    """Refresh prices, limits and end of service from installed `genai-prices` or litellm. Opens no connection."""
    from cit_core.catalogue.refresh import is_newer, refresh_facts

    done = refresh_facts()
    if json_:
        _output.as_json({"models": done.models, "sources": done.sources, "file": str(done.file)})
        return
    for name, facts in list(done.models.items())[:UPDATES_SHOWN]:
        told = ", ".join(f"{fact} {value}" for fact, value in facts.items() if fact not in ("source", "as_of"))
        _output.say(f"{name}: {told}")
    if len(done.models) > UPDATES_SHOWN:
        _output.say(f"… and {len(done.models) - UPDATES_SHOWN} more")
    _output.say(
        f"{len(done.models)} models differ from the shipped facts, by {' and '.join(done.sources)}: {done.file}"
    )
    if not any(map(is_newer, done.sources)):
        _output.note("no source is newer than the shipped facts; newer data: pip install -U genai-prices")


@app.command()
def sources(
    store: StoreOption = None,
    remove_: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Remove this source and all its outcomes.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """List where the outcomes of a store come from, or remove a source."""
    with open_store(store) as opened:
        if remove_ is not None:
            opened.remove_source(remove_)
        found, url = opened.sources(), opened.url
    if json_:
        done = {} if remove_ is None else {"done": "removed", "id": remove_}
        _output.as_json({**done, "sources": [source_summary(source) for source in found], "store": url})
    elif remove_ is not None:
        _output.say(f"removed: {remove_} from {url}")
    elif found:
        _output.show(sources_table(f"{len(found)} sources in {url}", found))
    else:
        _output.note("the store holds no outcome; `cit import` and `cit aptitude run` add some")


def _listed(store: str | None) -> tuple[str, list[Listed]]:
    """Return the name of what was searched, without a password, and the models in it."""
    from cit_core.catalogue.model_lists import by_accuracy, list_stored, public_models

    if reads_catalogue(store):
        return "the catalogue", public_models()
    with open_store(store) as opened:
        return opened.url, [list_stored(one) for one in sorted(opened.capabilities(), key=by_accuracy)]


@app.command()
def add(
    id_: IdArgument,
    store: StoreOption = None,
    context_window: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum of input and output together, in tokens.")
    ] = None,
    price_in: Annotated[float | None, typer.Option(metavar="USD", help="USD per 1M prompt tokens.")] = None,
    price_out: Annotated[float | None, typer.Option(metavar="USD", help="USD per 1M completion tokens.")] = None,
    price_cached: Annotated[
        float | None, typer.Option(metavar="USD", help="USD per 1M prompt tokens that the provider has cached.")
    ] = None,
    price_cache_write: Annotated[
        float | None,
        typer.Option(metavar="USD", help="USD per 1M prompt tokens that are written to a cache."),
    ] = None,
    price_tier: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ABOVE:IN:OUT[:CACHED]",
            help="Prices of calls with more than ABOVE prompt tokens, as 200000:2.5:15:0.25. Repeatable.",
        ),
    ] = None,
    max_output: Annotated[int | None, typer.Option(metavar="N", help="Longest answer, in tokens.")] = None,
    params_b: Annotated[
        float | None, typer.Option(metavar="N", help="Total number of parameters, in billions.")
    ] = None,
    released: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Release date.")] = None,
    tools: Annotated[bool | None, typer.Option(help="Whether the model can call tools.", show_default=False)] = None,
    structured_output: Annotated[
        bool | None, typer.Option(help="Whether the model can be bound to a JSON schema.", show_default=False)
    ] = None,
    reasoning: Annotated[
        bool | None, typer.Option(help="Whether the model thinks before it answers.", show_default=False)
    ] = None,
    modality: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Input it reads: text, image, audio, video or pdf. Repeatable."),
    ] = None,
    license_: Annotated[str | None, typer.Option("--license", metavar="NAME", help="Licence.")] = None,
    notes: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Free text; becomes part of the capability.")
    ] = None,
    from_catalogue: Annotated[
        bool,
        typer.Option("--from-catalogue", help="Copy the model's answers on the core set too, so that it is measured."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change the given facts of a model that is in the store.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Add a model to a store. Facts that are not given come from the catalogue if it knows the model."""
    given: dict[str, Any] = {
        "context_window": context_window,
        "price_in": price_in,
        "price_out": price_out,
        "price_cached": price_cached,
        "price_cache_write": price_cache_write,
        "price_tiers": tuple(map(_tier, price_tier)) if price_tier else None,
        "max_output": max_output,
        "reasoning": reasoning,
        "params_b": params_b,
        "released": released,
        "tools": tools,
        "structured_output": structured_output,
        "modalities": tuple(modality) if modality else None,
        "license": license_,
        "notes": notes,
    }
    facts = {name: value for name, value in given.items() if value is not None}
    _check(id_, facts, from_catalogue)  # refused before a store is made for it
    with open_store(store, create=True) as opened:
        done, candidate, outcomes = _save(opened, id_, facts, replace=replace, from_catalogue=from_catalogue)
        url = opened.url
    if json_:
        record = candidate.model_dump(mode="json")
        _output.as_json({"done": done, "candidate": record, "new_outcomes": outcomes, "store": url})
    else:
        _output.say(f"{done}: {id_} in {url}" + (f", with {outcomes:,} new outcomes" if from_catalogue else ""))


def _tier(written: str) -> PriceTier:
    from cit_core.errors import InvalidInput
    from cit_core.records import PriceTier

    parts = written.split(":")
    try:
        above, read, out, cached = parts if len(parts) > 3 else [*parts, ""]
        prices = {"price_in": float(read), "price_out": float(out), "price_cached": float(cached) if cached else None}
        return PriceTier(above=int(above), **prices)
    except ValueError as error:
        raise InvalidInput(
            f"--price-tier {written!r} is not ABOVE:IN:OUT or ABOVE:IN:OUT:CACHED; 2.5 USD in and 15 out above 200,000 "
            "prompt tokens are --price-tier 200000:2.5:15"
        ) from error


def _check(id_: str, facts: dict[str, Any], from_catalogue: bool) -> None:
    from cit_core.catalogue import catalogue_candidates
    from cit_core.errors import UnknownCandidate
    from cit_core.records import Candidate

    Candidate(id=id_, **facts)
    known = [candidate.id for candidate in catalogue_candidates()]
    if from_catalogue and id_ not in known:
        raise UnknownCandidate(id_, known, "the catalogue")


def _save(
    store: CapabilityStore, id_: str, facts: dict[str, Any], *, replace: bool, from_catalogue: bool
) -> tuple[str, Candidate, int]:
    """Save everything in one transaction; return what was done, the candidate, and the number of new outcomes."""
    from cit_core.aptitude.importers.catalogue_answers import copy_profile
    from cit_core.catalogue.candidates import public_candidate, with_newer_facts, with_own_facts
    from cit_core.records import Candidate

    with store.transaction() as writer:
        there = next((candidate for candidate in writer.candidates() if candidate.id == id_), None)
        [begin] = [there] if there is not None and replace else [public_candidate(id_)]
        own = Candidate(id=id_, **facts)
        candidate = with_own_facts(begin or own, {name: getattr(own, name) for name in own.model_fields_set})
        newer = there is not None and with_newer_facts(there) == candidate  # public facts that have changed
        if there is not None and there != candidate and not replace and not newer:
            raise InvalidInput(f"{id_!r} is in {store.url} with other facts; --replace changes the facts that you give")
        writer.add_candidates([candidate], replace=replace or newer)
        outcomes = copy_profile(writer, id_) if from_catalogue else 0
    return "added" if there is None else "unchanged" if there == candidate else "changed", candidate, outcomes
