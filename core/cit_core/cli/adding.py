"""`cit models add`: a model, its facts and, from the catalogue, its answers become part of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cit_core.cli import output
from cit_core.cli.options import IdArgument, JsonOption, StoreOption, open_store
from cit_core.errors import InvalidInput

if TYPE_CHECKING:
    from cit_core.records import Candidate
    from cit_core.store import CapabilityStore

__all__ = ["add"]


def add(
    id_: IdArgument,
    store: StoreOption = None,
    context_window: Annotated[int | None, typer.Option(help="Longest input and output together [tokens].")] = None,
    price_in: Annotated[float | None, typer.Option(help="USD per 1M prompt tokens.")] = None,
    price_out: Annotated[float | None, typer.Option(help="USD per 1M completion tokens.")] = None,
    params_b: Annotated[float | None, typer.Option(help="Parameters in all [billions].")] = None,
    released: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Day of its release.")] = None,
    tools: Annotated[bool | None, typer.Option(help="Whether it can call tools.", show_default=False)] = None,
    structured_output: Annotated[
        bool | None, typer.Option(help="Whether it can be held to a JSON schema.", show_default=False)
    ] = None,
    modality: Annotated[
        list[str] | None, typer.Option(help="What it reads: text, image, audio, video, pdf; once for each.")
    ] = None,
    license_: Annotated[str | None, typer.Option("--license", help="Its licence.")] = None,
    notes: Annotated[str | None, typer.Option(help="Free text; becomes part of its capability.")] = None,
    from_catalogue: Annotated[
        bool, typer.Option("--from-catalogue", help="Copy its answers on the core set too, so that it is measured.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change a model that is there; other facts stay.")] = False,
    json_: JsonOption = False,
) -> None:
    """Put a model into a store. Facts that are not given come from the catalogue if it knows the model."""
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
        output.as_json({"done": done, "candidate": record, "new_outcomes": outcomes, "store": url})
    else:
        output.say(f"{done}: {id_} in {url}" + (f", with {outcomes:,} new outcomes" if from_catalogue else ""))


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
    """Everything in one transaction; returns what was done, the candidate, and how many outcomes are new."""
    from cit_core.aptitude.importers.catalogue import copy_profile
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
