"""`cit models`: the LLMs that may be chosen. The shipped catalogue is read; a store is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import _output
from cit_core.cli._model_tables import (
    by_accuracy,
    facts_table,
    models_table,
    source_summary,
    sources_table,
    summary,
    task_table,
)
from cit_core.cli._options import IdArgument, JsonOption, StoreOption, open_store, reads_catalogue
from cit_core.errors import InvalidInput, UnknownCandidate

if TYPE_CHECKING:
    from cit_core.records import Candidate, Capability
    from cit_core.store import CapabilityStore

__all__ = ["add", "app"]

app = typer.Typer(no_args_is_help=True, help="Show, add and remove the LLMs that may be chosen.")


@app.command("list")
def list_(store: StoreOption = None, json_: JsonOption = False) -> None:
    """List the models of the shipped catalogue, or of a store, the most accurate first."""
    where, found = _capabilities(store)
    capabilities = sorted(found, key=by_accuracy)
    if json_:
        _output.as_json([summary(capability) for capability in capabilities])
    elif capabilities:
        _output.show(models_table(f"{len(capabilities)} models in {where}", capabilities))
    else:
        _output.note("the store holds no model; `cit models add ID` and `cit import` add some")


@app.command()
def show(id_: IdArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Show one model: its facts, their sources, and its accuracy task by task."""
    where, found = _capabilities(store)
    known = {capability.candidate.id: capability for capability in found}
    if id_ not in known:
        raise UnknownCandidate(id_, known, where)
    provenance = _provenance(id_) if reads_catalogue(store) else None
    if json_:
        tasks = [{"task": r.task.id, "accuracy": r.accuracy, "count": r.count} for r in known[id_].results]
        _output.as_json({**summary(known[id_]), "results": tasks, "provenance": provenance})
        return
    _output.show(facts_table(known[id_].candidate, provenance))
    _output.show(task_table(known[id_]))


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


def _capabilities(store: str | None) -> tuple[str, tuple[Capability, ...]]:
    """Return the name of what was searched, without a password, and the capabilities in it."""
    if reads_catalogue(store):
        from cit_core.catalogue import catalogue_capabilities

        return "the catalogue", catalogue_capabilities()
    with open_store(store) as opened:
        return opened.url, opened.capabilities()


def _provenance(id_: str) -> dict[str, str]:
    from cit_core.catalogue import provenance

    return provenance(id_)


@app.command()
def add(
    id_: IdArgument,
    store: StoreOption = None,
    context_window: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum of input and output together, in tokens.")
    ] = None,
    price_in: Annotated[float | None, typer.Option(metavar="USD", help="USD per 1M prompt tokens.")] = None,
    price_out: Annotated[float | None, typer.Option(metavar="USD", help="USD per 1M completion tokens.")] = None,
    params_b: Annotated[
        float | None, typer.Option(metavar="N", help="Total number of parameters, in billions.")
    ] = None,
    released: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Release date.")] = None,
    tools: Annotated[bool | None, typer.Option(help="Whether the model can call tools.", show_default=False)] = None,
    structured_output: Annotated[
        bool | None, typer.Option(help="Whether the model can be bound to a JSON schema.", show_default=False)
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
    from cit_core.catalogue import catalogue_candidates
    from cit_core.records import Candidate

    with store.transaction() as writer:
        there = next((candidate for candidate in writer.candidates() if candidate.id == id_), None)
        begin = [there] if there is not None and replace else [c for c in catalogue_candidates() if c.id == id_]
        candidate = Candidate(**{"id": id_, **(begin[0].model_dump() if begin else {}), **facts})
        if there is not None and there != candidate and not replace:
            raise InvalidInput(f"{id_!r} is in {store.url} with other facts; --replace changes the facts that you give")
        writer.add_candidates([candidate], replace=replace)
        outcomes = copy_profile(writer, id_) if from_catalogue else 0
    return "added" if there is None else "unchanged" if there == candidate else "changed", candidate, outcomes
