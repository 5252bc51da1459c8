"""`cit models`: who may be chosen. The shipped catalogue is read; a store is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cit_core.cli import output
from cit_core.cli.adding import add
from cit_core.cli.describe import by_accuracy, facts_table, models_table, summary, task_table
from cit_core.cli.options import IdArgument, JsonOption, StoreOption, open_store
from cit_core.errors import UnknownCandidate

if TYPE_CHECKING:
    from cit_core.records import Capability

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Show, add and remove the LLMs that may be chosen.")


@app.command("list")
def list_(store: StoreOption = None, json_: JsonOption = False) -> None:
    """List the models of the shipped catalogue, or of a store, the most accurate first."""
    where, found = _capabilities(store)
    capabilities = sorted(found, key=by_accuracy)
    if json_:
        output.as_json([summary(capability) for capability in capabilities])
    elif capabilities:
        output.console().print(models_table(f"{len(capabilities)} models in {where}", capabilities))
    else:
        output.note("the store holds no model yet; `cit models add ID` and `cit import` put some in")


@app.command()
def show(id_: IdArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Show all that is known of one model: its facts, where they come from, and how it did task by task."""
    where, found = _capabilities(store)
    known = {capability.candidate.id: capability for capability in found}
    if id_ not in known:
        raise UnknownCandidate(id_, known, where)
    provenance = _provenance(id_) if store is None else None
    if json_:
        tasks = [{"task": r.task.id, "accuracy": r.accuracy, "count": r.count} for r in known[id_].results]
        output.as_json({**summary(known[id_]), "results": tasks, "provenance": provenance})
        return
    target = output.console()
    target.print(facts_table(known[id_].candidate, provenance))
    target.print(task_table(known[id_]))


app.command()(add)


@app.command()
def remove(id_: IdArgument, store: StoreOption = None, json_: JsonOption = False) -> None:
    """Take a model out of a store; the shipped catalogue stays as it is."""
    with open_store(store) as opened:
        opened.remove_candidate(id_)
        url = opened.url
    output.as_json({"done": "removed", "id": id_, "store": url}) if json_ else output.say(f"removed: {id_} from {url}")


def _capabilities(store: str | None) -> tuple[str, tuple[Capability, ...]]:
    """What was searched, for people and without a password, and what is in it."""
    if store is None:
        from cit_core.catalogue import catalogue_capabilities

        return "the catalogue", catalogue_capabilities()
    with open_store(store) as opened:
        return opened.url, opened.capabilities()


def _provenance(id_: str) -> dict[str, str]:
    from cit_core.catalogue import provenance

    return provenance(id_)
