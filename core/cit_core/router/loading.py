"""Load a router's zoo and scorer from the shipped catalogue or a store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import CheckpointError, InvalidInput, UnknownCandidate
from cit_core.messages import shown
from cit_core.records import Candidate, Capability, Suite
from cit_core.router.run_scorer import RunScorer
from cit_core.router.scorer import Scorer

if TYPE_CHECKING:
    from cit_core.evidence.answer_lengths import AnswerLengths
    from cit_core.outcomes import OutcomeMatrix
    from cit_core.store import CapabilityStore

__all__ = [
    "DEFAULT",
    "Network",
    "Opened",
    "Origin",
    "RunScorer",
    "core_outcomes",
    "from_catalogue",
    "from_store",
    "is_network",
    "is_run",
    "is_store",
    "listed_ids",
    "listed_models",
    "notes_of",
    "open_scorer",
    "open_store",
    "opened_store",
    "pick_candidates",
    "settled_store",
]

DEFAULT = "default"
"""Setting in place of an address: this user's own store."""

NO_QUESTIONS = (
    "routed by accuracies of tasks alone: the store has no text of a question; "
    "`cit import table FILE --items QUESTIONS` adds them"
)
NOTHING_COUNTS = (
    "no outcome of the store counts: its questions have neither a task nor a text; "
    "`cit import table FILE --items QUESTIONS` adds them, and `--task NAME` one for all"
)
NO_EVIDENCE = (
    "routed by profiles alone: what happened on similar questions is not used; make the router of a store with "
    "Router.from_store(...), which fits it, and see `cit calibrate`"
)


@dataclass(frozen=True)
class Origin:
    """The arguments that open a router again: a checkpoint and the catalogue, or a store.

    Attributes:
        checkpoint: Name or folder of a checkpoint.
        store: Address of a store; a password in it is masked.
        suite: The suite over which a store's capabilities were computed.
        evidence: True if outcomes on similar questions correct the scorer.
        public: True if the models were looked up in the catalogue by any name, as `Router.from_models` does.
        given: Models that came with facts of one's own.
        known_as: Name of the model for ids of one's own making.
    """

    checkpoint: str | None = None
    store: str | None = None
    suite: Suite | None = None
    evidence: bool = True
    public: bool = False
    given: tuple[Candidate, ...] = ()
    known_as: Mapping[str, str] = field(default_factory=dict)


class Opened(NamedTuple):
    """A moment of a catalogue or a store."""

    scorer: Scorer
    capabilities: Sequence[Capability]
    version: str
    network: Scorer
    """`scorer` without evidence."""
    unmeasured: Mapping[str, str] = {}
    """Candidates without outcomes, where others have some: id to the command that helps."""
    notes: tuple[str, ...] = ()
    """Warnings for every decision."""
    lengths: AnswerLengths | None = None
    """Lengths of answers, where enough were measured."""


def is_store(given: object) -> TypeGuard[CapabilityStore | str]:
    """Return whether this is a store, or looks like the address of one."""
    if isinstance(given, str):
        return given == DEFAULT or "://" in given
    from cit_core.store import CapabilityStore

    return isinstance(given, CapabilityStore)


def open_store(given: object, *, create: bool = False) -> CapabilityStore:
    """Return a store, whether it came as one, as its address or as `default`, this user's own.

    Args:
        given: Either.
        create: Make one at an address where none is.

    Raises:
        InvalidInput: If it is neither.
        StoreError: If it is not there, or cannot be opened.
    """
    from cit_core.store import CapabilityStore

    if isinstance(given, CapabilityStore):
        return given
    if isinstance(given, str) and is_store(given):
        return CapabilityStore(None if given == DEFAULT else str(given), create=create, upgrade=True)
    raise InvalidInput(
        f"store is {shown(given)}; it must be a CapabilityStore, the address of one, sqlite:///zoo.db, or 'default'"
    )


@contextmanager
def opened_store(given: object, *, create: bool = False) -> Iterator[CapabilityStore]:
    """Open a store as `open_store` does, and close it in the end; one that came open stays open."""
    store = open_store(given, create=create)
    try:
        yield store
    finally:
        if store is not given:
            store.close()


def listed_models(given: object) -> list[Any]:
    """Return what `from_models` was given, as a list.

    Raises:
        InvalidInput: If it is no list, or there is nothing in it.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidInput(f"models is {shown(given)}; pass a list of models, for instance ['openai:gpt-5-mini']")
    models = list(given)
    if not models:
        raise InvalidInput("from_models needs at least one model, for instance ['openai:gpt-5-mini']")
    return models


def settled_store(setting: str | None) -> CapabilityStore | None:
    """Open the store that settings name; None for the catalogue, and where none is named and this user has no store.

    Raises:
        StoreError: If it cannot be opened.
    """
    from cit_core.settings import CATALOGUE
    from cit_core.store import CapabilityStore
    from cit_core.store.url import default_file

    if setting == CATALOGUE or (setting is None and default_file() is None):
        return None
    return CapabilityStore(None if setting in (None, DEFAULT) else setting)


def from_catalogue(checkpoint: str | Path, *, evidence: bool) -> Opened:
    """Open the shipped models, and a checkpoint corrected by their answers to the core set.

    Raises:
        CheckpointError: If the checkpoint is missing or damaged.
        MissingExtra: If it is a run and torch is not installed.
    """
    from cit_core.aptitude.evidence_sources import mean_profile
    from cit_core.catalogue import VECTORS_OF, catalogue_capabilities, core_evidence, core_suite
    from cit_core.evidence import Evidence, EvidenceScorer
    from cit_core.evidence.serialization import from_json

    suite, scorer = core_suite(), open_scorer(checkpoint)
    opened = Opened(scorer, catalogue_capabilities(), f"catalogue:{suite.name}@{suite.version}", scorer)
    if not evidence or getattr(scorer, "encoder", None) != VECTORS_OF:  # vectors of another trunk cannot be compared
        return opened
    outcomes = core_outcomes()
    corrector = Evidence(outcomes, from_json(core_evidence(), outcomes.candidates))
    return opened._replace(scorer=EvidenceScorer(scorer, corrector, mean_profile(opened.capabilities)))


def from_store(store: CapabilityStore, scorer: Scorer | None, suite: Suite | None, *, evidence: bool) -> Opened:
    """Open a snapshot of a store, and a scorer corrected by outcomes on similar questions.

    Questions without vectors get theirs, and evidence that was fitted on other outcomes is fitted again.

    Args:
        store: The store with the outcomes.
        scorer: The shipped checkpoint if not given.
        suite: Compute capabilities over its items alone.
        evidence: Correct a scorer that makes vectors.
    """
    from cit_core.catalogue.candidates import with_public_facts

    if scorer is None:
        from cit_core.runtime import load_scorer

        scorer = load_scorer("mini")
    if not evidence or not is_network(scorer):
        snapshot = store.snapshot(suite)
        unmeasured = _unmeasured(snapshot.capabilities)
        opened = Opened(scorer, snapshot.capabilities, f"store:{snapshot.version}", scorer, unmeasured)
    else:
        opened = _corrected(store, scorer, suite)
    known = any(capability.results for capability in opened.capabilities) or opened.scorer is not opened.network
    notes = () if known or not evidence or not store.unassigned() else (NOTHING_COUNTS,)
    newer = [c.model_copy(update={"candidate": with_public_facts(c.candidate)}) for c in opened.capabilities]
    return opened._replace(capabilities=newer, notes=(*opened.notes, *notes))


def _corrected(store: CapabilityStore, scorer: Network, suite: Suite | None) -> Opened:
    from cit_core.aptitude.evidence_sources import mean_profile
    from cit_core.aptitude.mapped_evidence import corrector_of
    from cit_core.evidence import EvidenceScorer

    evidence, capabilities, number, lengths = corrector_of(store, scorer, suite)
    corrected = EvidenceScorer(scorer, evidence, mean_profile(capabilities)) if evidence.candidates else scorer
    unmeasured = _unmeasured(capabilities, evidence.candidates)
    notes = () if len(evidence) or not evidence.candidates else (NO_QUESTIONS,)
    return Opened(corrected, capabilities, f"store:{number}", scorer, unmeasured, notes, lengths)


def is_network(scorer: Scorer) -> TypeGuard[Network]:
    """Return True if evidence can correct a scorer: it reads log-odds and makes vectors."""
    return all(hasattr(scorer, name) for name in ("read", "encode", "encoder"))


def notes_of(scorer: Scorer, capabilities: Sequence[Capability]) -> tuple[str, ...]:
    """Return the warnings for decisions of a router that was assembled by hand."""
    return (NO_EVIDENCE,) if is_network(scorer) and any(c.results for c in capabilities) else ()


def _unmeasured(capabilities: Sequence[Capability], with_outcomes: Collection[str] = ()) -> dict[str, str]:
    """Return candidates without outcomes where others have some, id to reason: a guess must not beat a measurement."""
    known = {capability.candidate.id for capability in capabilities if capability.results} | {*with_outcomes}
    silent = [c.candidate.id for c in capabilities if c.candidate.id not in known] if known else []
    return {id_: f"not measured yet: `cit aptitude run MODEL --as {quote(id_)}`, or `cit import`" for id_ in silent}


def core_outcomes() -> OutcomeMatrix:
    """Return the catalogue's answers to the core set, without texts."""
    from cit_core.catalogue import core_responses, core_suite, core_vectors
    from cit_core.outcomes import OutcomeMatrix

    suite, responses = core_suite(), core_responses()
    return OutcomeMatrix(
        name=suite.name,
        item_ids=suite.item_ids,
        candidates=tuple(responses),
        correct_IK=np.stack(list(responses.values()), axis=1),
        tasks=tuple(task.id for task in suite.tasks for _ in suite.items[task.id]),
        vectors_ID=core_vectors(),
    )


def pick_candidates(capabilities: Iterable[Capability], models: Iterable[str] | None, where: str) -> list[Capability]:
    """Return the candidates of these ids, or names of the same models, in this order; all if none are given.

    Raises:
        UnknownCandidate: If there is no such candidate.
        AmbiguousModel: If a name may mean several.
        InvalidInput: If it is not a list of ids.
    """
    from cit_core.catalogue.aliases import find_id

    known = {capability.candidate.id: capability for capability in capabilities}
    wanted = listed_ids(models)
    if wanted is None:
        return list(known.values())
    candidates = [capability.candidate for capability in known.values()]
    found = []
    for name in wanted:
        id_ = find_id(name, candidates) if isinstance(name, str) else None
        if id_ is None:
            raise UnknownCandidate(name, known, where)
        found.append(known[id_])
    return found


def listed_ids(models: object) -> list[str] | None:
    """Return the ids that `models=` was given, or None.

    Raises:
        InvalidInput: If it is no list.
    """
    if models is None:
        return None
    if isinstance(models, str):
        raise InvalidInput(f"models is one text, {shown(models)}; it must be a list of ids: [{shown(models)}]")
    if not isinstance(models, Iterable):
        raise InvalidInput(f"models is {shown(models)}; it must be a list of ids")
    return list(models)


class Network(Scorer, Protocol):
    """A scorer that evidence can correct and that gives vectors to what evidence is made of; `OnnxScorer` for one.

    A `cit_core.evidence.scorer.Reader`, without importing that: a program that only imports us waits for no numerics.
    """

    name: str
    max_tokens: int
    encoder: str

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return calibrated log-odds (N, K) and unit vectors (N, D), in one pass over the texts."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors of texts, (len(texts), D)."""


def is_run(checkpoint: str | Path) -> bool:
    """Return True for the folder of a finished paper-style run: an exported checkpoint has no model.json."""
    there = (_is_file(Path(checkpoint, name)) for name in ("model.json", "calibration.json"))
    from cit_core.runtime.checkpoint import shipped_checkpoints

    return str(checkpoint) not in shipped_checkpoints() and all(there)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its name is too long, or its folder may not be read
        return False


def open_scorer(checkpoint: str | Path = "mini") -> Network:
    """Open what every `--checkpoint` takes.

    Args:
        checkpoint: Name of a shipped checkpoint, its folder, or the folder of a run of `cit train --preset paper`.

    Raises:
        CheckpointError: If it is missing, damaged or from a newer release.
        MissingExtra: If it is a run and torch is not installed.
    """
    from cit_core.runtime import load_scorer

    if is_run(checkpoint):
        return RunScorer(checkpoint)
    recipe = Path(checkpoint, "recipe.yaml")
    if _is_file(recipe):
        raise CheckpointError(
            f"the run in {checkpoint} is not finished; to go on with it: "
            f"cit train --config {recipe} --out {checkpoint} --resume"
        )
    return load_scorer(checkpoint)
