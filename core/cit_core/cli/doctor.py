"""`cit doctor`: check the installation; every fault comes with its remedy."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from statistics import median
from typing import TYPE_CHECKING

import typer

from cit_core.cli import _output
from cit_core.cli._group import REFUSED
from cit_core.cli._options import CheckpointOption, JsonOption, StoreOption
from cit_core.errors import CITError

if TYPE_CHECKING:
    from cit_core.catalogue.facts import Model
    from cit_core.router import Scorer

__all__ = ["Check", "doctor"]

NEEDED = ("onnxruntime", "tokenizers", "numpy", "pydantic", "sqlalchemy", "alembic")
OPTIONAL = {
    "langchain-core": "langchain",
    "langchain": "agents",
    "llama-index-core": "llamaindex",
    "pyarrow": "data",
    "torch": "train",
    "transformers": "train",
    "psycopg": "postgres",
    "genai-prices": "prices",
}
"""Distribution to the extra of cit-router that installs it."""
REINSTALL = "pip install --force-reinstall cit-router"
STALE_DAYS = 90
"""Age from which facts are stale."""
NEWER_DATA = "`pip install -U genai-prices`, then `cit models update`; or `pip install -U cit-router`"
NAMED = 5
"""Names that one line lists."""
TIMED = 20
"""Decisions that are timed."""


@dataclass(frozen=True)
class Check:
    """A line of the report: `remedy` is what would help, `broken` marks what does not work."""

    what: str
    found: str
    remedy: str | None = None
    broken: bool = False


def doctor(store: StoreOption = None, checkpoint: CheckpointOption = "mini", json_: JsonOption = False) -> None:
    """Check what is installed, the checkpoint, the catalogue, the store and the time of a decision."""
    checks = [*_installed(), *_works(checkpoint), _guarded("settings", _settings)]
    if not checks[-1].broken:  # they say which store
        checks += [_store(store), *_evidence(store, checkpoint), *_facts(store, date.today())]
    if json_:
        _output.as_json([asdict(check) for check in checks])
    else:
        rows = [(_mark(check), check.what, check.found, check.remedy or "") for check in checks]
        _output.show(_output.table("cit doctor", {"": "left", "what": "left", "found": "fold", "remedy": "fold"}, rows))
    if any(check.broken for check in checks):
        raise typer.Exit(REFUSED)


def _mark(check: Check) -> str:
    return "✗" if check.broken else "·" if check.remedy else "✓"


def _installed() -> Iterator[Check]:
    yield Check("python", platform.python_version())
    for name in ("cit-router", *NEEDED):
        found = _version(name)
        yield Check(name, found or "not installed", None if found else REINSTALL, broken=found is None)
    for name, extra in OPTIONAL.items():
        found = _version(name)
        yield Check(name, found or "not installed", None if found else f"pip install 'cit-router[{extra}]'")


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _works(checkpoint: str) -> Iterator[Check]:
    from cit_core.router.loading import open_scorer
    from cit_core.runtime import OnnxScorer

    scorers: list[Scorer] = []

    def load() -> Check:
        scorer = open_scorer(checkpoint)
        scorers.append(scorer)
        if not isinstance(scorer, OnnxScorer):
            return Check("checkpoint", f"{scorer.name}, a run of `cit train --preset paper`")
        return Check("checkpoint", f"{scorer.name}, sha256 {scorer.checkpoint.sha256}, every file matches its own")

    yield _guarded("catalogue", _catalogue)
    yield _guarded("checkpoint", load)
    if scorers:
        yield _guarded("decision", lambda: _decision(scorers[0]))


def _guarded(what: str, check: Callable[[], Check]) -> Check:
    """Run a check; an error becomes a broken one."""
    try:
        return check()
    except CITError as error:
        return Check(what, "broken", str(error), broken=True)
    except ImportError as error:  # installed by name, but its binary does not load here
        return Check(what, f"broken: {error}", REINSTALL, broken=True)


def _catalogue() -> Check:
    from cit_core.catalogue import catalogue_candidates, core_suite
    from cit_core.catalogue.facts import current_models
    from cit_core.catalogue.linked import linked

    suite, current, measured = core_suite(), current_models(), catalogue_candidates()
    profiles = sum(linked(f"{model.provider}:{model.id}") is not None for model in current)
    said = f"facts of {len(current)} current models, profiles of {profiles}; {len(measured)} models of 2024"
    return Check("catalogue", f"{said}, suite {suite.name} {suite.version}")


def _facts(store: str | None, today: date) -> Iterator[Check]:
    """Say how old the facts are, and which models of the settings and the store are not known or no longer served."""
    from cit_core.catalogue.facts import last_check
    from cit_core.catalogue.last_check import refreshed_file

    yield _age(today)
    if ignored := last_check().ignored:
        yield Check("facts file", f"{refreshed_file()}: ignored: {_some(ignored)}", "`cit models update`")
    in_use = _in_use(store)
    for id_, model in sorted(in_use.items()):
        if model is not None and model.ends is not None and model.ends <= today.isoformat():
            said = f"{id_}: no longer served since {model.ends}"
            remedy = (
                f"its maker recommends {model.successor}" if model.successor else "choose another: `cit models list`"
            )
            yield Check("stale model", said, remedy)
    if unknown := sorted(id_ for id_, model in in_use.items() if model is None):
        said = f"not in the catalogue, and without answers: average models: {_some(unknown)}"
        yield Check("unknown models", said, _known_names(unknown))


def _age(today: date) -> Check:
    """Say of which day the facts are: that of a check by newer data for the models it knows, else the shipped day."""
    from cit_core.catalogue.facts import current_models, facts_as_of, last_check
    from cit_core.catalogue.refresh import is_newer

    def is_old(day: str) -> bool:
        return (today - date.fromisoformat(day)).days > STALE_DAYS

    last, shipped = last_check(), facts_as_of()
    names = {f"{model.provider}:{model.id}" for model in current_models()}
    checked, newer = len(names & last.checked), [source for source in last.sources if is_newer(source)]
    if not newer or not checked:
        asked = f"; {' and '.join(last.sources)}, read on {last.day}, is no newer" if last.sources and not newer else ""
        return Check("facts", f"prices and limits of {shipped}{asked}", NEWER_DATA if is_old(shipped) else None)
    said = f"{checked} of {len(names)} models checked on {last.day} by {' and '.join(newer)}, the others of {shipped}"
    if is_old(last.day):
        return Check("facts", said, NEWER_DATA)
    others_old = checked < len(names) and is_old(shipped)
    return Check("facts", said, "for the others: `pip install -U cit-router`" if others_old else None)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _known_names(unknown: Iterable[str]) -> str:
    """Name what may have been meant by the first name that is close to one."""
    from cit_core.arms import EFFORTS
    from cit_core.catalogue.facts import similar_names

    name, close = next(((name, close) for name in unknown if (close := similar_names(name))), ("", []))
    if not close:
        return "`cit models list` shows the known ones, `cit aptitude run` measures others"
    efforts = f"; efforts: {', '.join(EFFORTS)}" if "@" in name else ""
    return f"closest to {name}: {', '.join(close)}{efforts}"


def _in_use(store: str | None) -> dict[str, Model | None]:
    """Return the public models behind the ids in the settings and the store; None for those that nothing is known of.

    A name that several makers serve, a model of 2024 and one with answers in the store are known, and left out.
    """
    from cit_core.catalogue import catalogue_candidates
    from cit_core.catalogue.aliases import find_id
    from cit_core.catalogue.facts import AmbiguousModel, find_model
    from cit_core.cli._options import open_store, reads_catalogue, settings

    names = {model.id: model.model or model.id for model in settings().models}
    measured = list(catalogue_candidates())
    with suppress(CITError):  # told by the check of the store
        if not reads_catalogue(store):
            with open_store(store) as opened:
                names |= {candidate.id: candidate.id for candidate in opened.candidates() if candidate.id not in names}
                measured += [one.candidate for one in opened.capabilities() if one.results]
    found: dict[str, Model | None] = {}
    for id_, name in names.items():
        with suppress(AmbiguousModel):
            model = find_model(name)
            if model is not None or find_id(name, measured) is None:
                found[id_] = model
    return found


def _decision(scorer: Scorer) -> Check:
    from cit_core.catalogue import catalogue_capabilities
    from cit_core.router import Router

    router = Router(scorer, catalogue_capabilities())
    times = [router.route(f"What is {number} times {number + 7}?").latency_ms for number in range(TIMED + 1)]
    typical = median(times[1:])  # the first one also reads all capabilities
    return Check("decision", f"{typical:.1f} ms among {len(router.candidates)} models (median of {TIMED})")


def _settings() -> Check:
    from cit_core.cli._options import settings, typed_store
    from cit_core.settings import CATALOGUE

    found = settings()
    store = CATALOGUE if found.store == CATALOGUE else typed_store(None)
    models = f"{len(found.models)} models" if found.models else "all models"
    return Check("settings", f"{found.path or 'no cit.toml'}: store {store}, policy {found.policy}, {models}")


def _store(url: str | None) -> Check:
    from cit_core.cli._options import is_default, open_store, settings, sqlite_file
    from cit_core.settings import CATALOGUE

    if (settings().store if url is None else url) == CATALOGUE:
        return Check("store", "none: the settings name the catalogue")
    path = sqlite_file(url)
    if is_default(url) and path is not None and not path.exists():
        return Check("store", f"none yet at {path}", "`cit import table FILE` or `cit models add ID` creates it")

    def look() -> Check:
        with open_store(url) as opened:
            counts = f"{len(opened.candidates())} models, {opened.outcome_count():,} outcomes"
            return Check("store", f"{opened.url}: {counts}, version {opened.version}")

    return _guarded("store", look)


def _evidence(url: str | None, checkpoint: str) -> Iterator[Check]:
    """Check that a store's outcomes correct the network. Fits nothing; yields nothing for a store without outcomes."""
    from cit_core.aptitude.evidence_fit import evidence_setting, fitted_on
    from cit_core.aptitude.evidence_sources import log_of
    from cit_core.cli._options import open_store, reads_catalogue, sqlite_file
    from cit_core.evidence.answer_lengths import AnswerLengths
    from cit_core.router.loading import open_scorer

    if reads_catalogue(url) or ((path := sqlite_file(url)) is not None and not path.exists()):
        return
    try:
        with open_store(url) as opened:
            if not opened.outcome_count():
                return
            scorer = open_scorer(checkpoint)
            log = log_of(opened, scorer)
            kept = opened.setting(evidence_setting(scorer))
            fitted = fitted_on(kept, log, scorer)
            texts = any(item.instruction for item in opened.items())
            url = opened.url
    except (CITError, ImportError):  # told by the other checks
        return
    if not texts:
        yield Check(
            "evidence", "profiles alone: no text of a question is stored", "cit import table FILE --items QUESTIONS"
        )
    elif fitted is None:
        yield Check(
            "evidence",
            "not fitted on what the store holds; the next router does it",
            f"cit calibrate --store {url}",
        )
    else:
        mean, error = fitted.gain
        gain = f"routing is right on {100 * mean:+.1f} +- {100 * error:.1f} points more than by level"
        lengths = AnswerLengths.from_json(kept["lengths"])
        told = "" if lengths is None else f"; lengths of answers: {lengths.deviance[0]:.0%} of the mean's error is left"
        yield Check("evidence", f"fitted on {fitted.questions:,} questions: {gain}{told}")
