"""Where a router's zoo and scorer come from: the shipped catalogue, or a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cit_core.records import Capability, Suite
from cit_core.router.scorer import Scorer

if TYPE_CHECKING:
    from cit_core.runtime import Outcomes
    from cit_core.store import CapabilityStore, Snapshot, StoredEvidence

__all__ = ["Opened", "Origin", "evidence_setting", "from_catalogue", "from_store", "outcomes_of"]


@dataclass(frozen=True)
class Origin:
    """What a router can be opened from again: a checkpoint and the catalogue, or a store.

    Attributes:
        checkpoint: Name or folder of a checkpoint.
        store: Address of a store; a password in it is masked.
        suite: Over whose items a store's capabilities were computed.
        evidence: Whether outcomes on similar questions correct the scorer.
    """

    checkpoint: str | None = None
    store: str | None = None
    suite: Suite | None = None
    evidence: bool = True


class Opened(NamedTuple):
    """A moment of a catalogue or a store."""

    scorer: Scorer
    capabilities: Sequence[Capability]
    version: str
    network: Scorer
    """`scorer` without evidence."""
    unmeasured: Mapping[str, str] = {}
    """Who has no outcomes, where others have: id to what to do about it."""


def from_catalogue(checkpoint: str | Path, *, evidence: bool) -> Opened:
    """The shipped models, and a checkpoint corrected by their answers to the core set.

    Raises:
        CheckpointError: If the checkpoint is missing or damaged.
        MissingExtra: If it is a run and torch is not installed.
    """
    from cit_core.catalogue import VECTORS_OF, catalogue_capabilities, core_suite
    from cit_core.router.checkpoints import open_scorer
    from cit_core.runtime import Evidence, EvidenceScorer

    suite, scorer = core_suite(), open_scorer(checkpoint)
    opened = Opened(scorer, catalogue_capabilities(), f"catalogue:{suite.name}@{suite.version}", scorer)
    if not evidence or getattr(scorer, "encoder", None) != VECTORS_OF:  # vectors of another trunk cannot be compared
        return opened
    return opened._replace(scorer=EvidenceScorer(scorer, Evidence(_core_outcomes())))


def from_store(store: CapabilityStore, scorer: Scorer | None, suite: Suite | None, *, evidence: bool) -> Opened:
    """One moment of a store, and a scorer corrected by what happened on similar questions.

    Args:
        store: Where the outcomes are.
        scorer: The shipped checkpoint if not given.
        suite: Compute capabilities over its items alone.
        evidence: Correct a scorer that makes vectors, if the store has vectors of that kind.
    """
    if scorer is None:
        from cit_core.runtime import load_scorer

        scorer = load_scorer("mini")
    encoder = getattr(scorer, "encoder", None) if evidence else None
    snapshot = store.snapshot(suite, encoder=encoder)
    network = scorer
    if snapshot.evidence is not None and len(snapshot.evidence.items):
        scorer = _corrected(scorer, snapshot.evidence, store.setting(evidence_setting(scorer)))
    return Opened(scorer, snapshot.capabilities, f"store:{snapshot.version}", network, _unmeasured(snapshot))


def evidence_setting(scorer: Scorer) -> str:
    """Name under which a store keeps what `cit calibrate --evidence` fitted for a network, in whatever version."""
    return f"evidence:{getattr(scorer, 'name', type(scorer).__name__).partition('@')[0]}"


def _unmeasured(snapshot: Snapshot) -> dict[str, str]:
    """A guess about somebody of whom nothing is known must not win against what was measured."""
    known = {capability.candidate.id for capability in snapshot.capabilities if capability.results}
    if snapshot.evidence is not None:
        some = (~np.isnan(snapshot.evidence.correct_IK)).sum(axis=0)
        known |= {id_ for id_, count in zip(snapshot.evidence.candidates, some, strict=True) if count}
    silent = [c.candidate.id for c in snapshot.capabilities if c.candidate.id not in known] if known else []
    return {id_: f"not measured yet: `cit aptitude run ... --as {id_}`, or `cit import`" for id_ in silent}


def _corrected(scorer: Scorer, stored: StoredEvidence, fitted: Any) -> Scorer:
    """With the settings that were fitted for this encoder, with the defaults if none were."""
    from cit_core.runtime import Evidence, EvidenceScorer, EvidenceSettings

    settings = EvidenceSettings()
    if fitted is not None and fitted["encoder"] == scorer.encoder:  # type: ignore[attr-defined]
        if fitted["settings"] is None:  # it did not help on this store
            return scorer
        settings = EvidenceSettings(**fitted["settings"])
    return EvidenceScorer(scorer, Evidence(outcomes_of(stored), settings))  # type: ignore[arg-type]


def outcomes_of(stored: StoredEvidence) -> Outcomes:
    """What a store holds, as evidence reads it."""
    from cit_core.runtime import Outcomes

    return Outcomes(stored.vectors_ID, stored.task_I, stored.correct_IK, stored.candidates)


def _core_outcomes() -> Outcomes:
    from cit_core.catalogue import core_responses, core_suite, core_vectors
    from cit_core.runtime import Outcomes

    suite, responses = core_suite(), core_responses()
    shots = [len(suite.items[task.id]) for task in suite.tasks]
    tasks = np.repeat(np.arange(len(shots)), shots)
    return Outcomes(core_vectors(), tasks, np.stack(list(responses.values()), axis=1), tuple(responses))
