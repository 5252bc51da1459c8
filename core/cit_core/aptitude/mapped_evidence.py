"""Evidence on many questions, kept in the user's cache: every process maps the same files, and reads no outcomes.

A folder is of one version of a store. It is derived, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import platformdirs

from cit_core.aptitude.evidence_fit import FitReport, Network, evidence_of, evidence_setting
from cit_core.aptitude.evidence_sources import log_of
from cit_core.evidence import Evidence, neighbours
from cit_core.evidence.answer_lengths import AnswerLengths
from cit_core.records import Capability, Suite

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["Corrector", "corrector_of"]

FORMAT = 1
"""Another number for arrays of another meaning; another release has files of its own."""
UNFINISHED_S = 3600
"""Age from which on nobody writes an unfinished folder any more [s]."""
_log = logging.getLogger(__name__)


class Corrector(NamedTuple):
    """What routes by a store, beside the network."""

    evidence: Evidence
    capabilities: tuple[Capability, ...]
    version: int
    """Version of the store."""
    lengths: AnswerLengths | None


def corrector_of(store: CapabilityStore, scorer: Network, suite: Suite | None = None) -> Corrector:
    """Return the evidence of a store, fitted if need be; that on many questions is mapped from the cache."""
    if suite is None and (found := _mapped(store, scorer)) is not None:
        return found
    report = evidence_of(store, scorer)
    is_large = len(report.log.outcomes) >= neighbours.CELLS_FROM
    if is_large and report.refreshed:  # what others will read: rounded, and all of one version
        report = evidence_of(store, scorer)
    log = report.log if suite is None else log_of(store, scorer, suite)
    evidence = Evidence(log.outcomes, report.fitted, profiles=log.profiles)
    if is_large and suite is None and not report.refreshed:
        evidence = _kept(store, scorer, report, evidence)
    return Corrector(evidence, log.capabilities, log.version, report.lengths)


def _mapped(store: CapabilityStore, scorer: Network) -> Corrector | None:
    """Return the evidence of the store's version of now, if it is in the cache."""
    stamp = store.stamp()
    folder = _folder(store, scorer, stamp)
    if folder is None or not folder.exists() or (evidence := Evidence.load(folder)) is None:
        return None
    snapshot, kept = store.snapshot(), store.setting(evidence_setting(scorer))
    if store.stamp(snapshot.version) != stamp or not isinstance(kept, dict):
        return None
    return Corrector(evidence, snapshot.capabilities, snapshot.version, AnswerLengths.from_json(kept["lengths"]))


def _kept(store: CapabilityStore, scorer: Network, report: FitReport, evidence: Evidence) -> Evidence:
    """Return evidence mapped from the cache; as it is, in this process's own memory, if the cache cannot be written."""
    folder = _folder(store, scorer, store.stamp(report.log.version))
    if folder is None:
        return evidence
    reason: OSError | None = None
    try:
        evidence.save(folder)
    except OSError as error:  # or another process was faster
        reason = error
    if (mapped := Evidence.load(folder)) is None:
        _log.warning("evidence is kept in the memory of each process, the cache cannot be written: %s", reason)
        return evidence
    _remove_others(folder)
    return mapped


def _remove_others(folder: Path) -> None:
    """Remove the folders of other versions, and what a process that was killed had not finished."""
    key = folder.name.partition("-")[0]
    unfinished = [one for one in folder.parent.glob(f".{key}-*") if time.time() - one.stat().st_mtime > UNFINISHED_S]
    for old in [*folder.parent.glob(f"{key}-*"), *unfinished]:
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)  # whoever has mapped it keeps it


def _folder(store: CapabilityStore, scorer: Network, stamp: str) -> Path | None:
    """Return where the evidence of one version of a store is; None for a user without a home folder."""
    cache = platformdirs.user_cache_path("cit-router", appauthor=False)
    told = "\n".join([store.url, scorer.name, scorer.encoder, _release(), str(FORMAT)])
    name = f"{hashlib.sha256(told.encode()).hexdigest()[:16]}-{stamp}"
    return cache / "evidence" / name if cache.is_absolute() else None


def _release() -> str:
    try:
        return version("cit-router")
    except PackageNotFoundError:  # run from its sources
        return ""
