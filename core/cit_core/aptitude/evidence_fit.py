"""Keep a store's evidence fitted: vectors of its questions, and a corrector that is learned from its outcomes.

Called whenever outcomes are added, and by routers on a store with missing or outdated evidence.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.evidence_sources import Log, log_of, mean_profile, with_texts
from cit_core.aptitude.item_vectors import encode_items
from cit_core.errors import StoreError
from cit_core.evidence import Reader
from cit_core.evidence.answer_lengths import AnswerLengths, fit_answer_lengths
from cit_core.evidence.fitting import Fitted, NetworkReading, fit_evidence
from cit_core.evidence.serialization import from_json, to_json

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore


class Network(Reader, Protocol):
    """A scorer that evidence can correct and that makes vectors; `OnnxScorer` is one."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors of texts, (len(texts), D)."""


__all__ = [
    "FitReport",
    "Network",
    "evidence_of",
    "evidence_setting",
    "fit_lengths",
    "fit_log",
    "fit_store",
    "fitted_on",
]

READ, FOLDS = 300, 4
"""Questions on which the network is evaluated, and folds: each is read without the outcomes of its own fold."""
GROWN = 0.1
"""Share of new outcomes, or of corrected ones, from which on evidence is fitted again."""

Progress = Callable[[str, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitReport:
    """The evidence of a store."""

    log: Log
    fitted: Fitted
    refreshed: bool
    """True if it was fitted now, False if the stored one was used."""
    lengths: AnswerLengths | None = None
    """Lengths of answers, where enough were measured."""


def evidence_setting(scorer: object) -> str:
    """Name under which a store keeps what was fitted for a network, in whatever version."""
    return f"evidence:{getattr(scorer, 'name', type(scorer).__name__).partition('@')[0]}"


def fit_store(
    store: CapabilityStore,
    scorer: Network,
    *,
    anew: bool = False,
    questions: int = READ,
    seed: int = 0,
    progress: Progress | None = None,
) -> FitReport:
    """Give every item a vector, fit evidence unless the stored one is up to date, and keep it in the store.

    Args:
        store: The store with outcomes.
        scorer: The network to correct.
        anew: Fit even if the stored evidence is up to date.
        questions: Maximum number of questions that the network reads, to measure its accuracy.
        seed: Seed of draws and folds.
        progress: Called with the name of a step and the number of items it has covered.
    """
    tell = progress or (lambda _what, _count: None)
    encode_items(store, scorer, progress=lambda done: tell("items encoded", done))
    log = log_of(store, scorer)
    kept: Any = None if anew else store.setting(evidence_setting(scorer))
    fitted = fitted_on(kept, log, scorer)
    if fitted is not None:
        return FitReport(log, fitted, refreshed=False, lengths=AnswerLengths.from_json(kept["lengths"]))
    read = with_texts(store, log)
    fitted = fit_log(read, scorer, questions=questions, seed=seed, progress=tell)
    if not _made_of(log, scorer)["measured"]:  # nothing to keep: a store that was refused everything stays empty
        return FitReport(log, fitted, refreshed=True)
    lengths = fit_lengths(store, read, seed=seed)
    kept = {**to_json(fitted, log.outcomes.candidates), "made_of": _made_of(log, scorer)}
    kept["lengths"] = None if lengths is None else lengths.to_json()
    with store.transaction() as writer:
        writer.set_setting(evidence_setting(scorer), kept, replace=True)
    return FitReport(log._replace(version=store.version), fitted, refreshed=True, lengths=lengths)


def fit_lengths(store: CapabilityStore, log: Log, *, seed: int = 0) -> AnswerLengths | None:
    """Fit the lengths of answers to the questions of a log with texts; None where too few were counted."""
    outcomes = log.outcomes
    tokens_IK = store.completion_tokens(outcomes)
    return fit_answer_lengths(outcomes.vectors_ID, outcomes.instructions, tokens_IK, outcomes.candidates, seed=seed)


def fit_log(
    log: Log, scorer: Network, *, questions: int = READ, seed: int = 0, progress: Progress | None = None
) -> Fitted:
    """Fit evidence on a log, with what the network says of some of its questions."""
    rows = _drawn(log, questions, seed)
    network = _network_reading(log, scorer, rows) if len(rows) >= FOLDS else None
    if progress is not None:
        progress("items read", len(rows))
    return fit_evidence(log.outcomes, network=network, profiles=log.profiles, seed=seed)


def fitted_on(kept: Any, log: Log, scorer: object) -> Fitted | None:
    """Return the stored evidence if it was fitted for this network on nearly the same log, else None."""
    if not isinstance(kept, dict) or not kept.keys() >= {"made_of", "lengths"}:
        return None
    then, now = kept["made_of"], _made_of(log, scorer)
    if then["encoder"] != now["encoder"] or then["scorer"] != now["scorer"]:
        return None
    if set(now["measured"]) - set(then["measured"]) or set(then["measured"]) - set(now["measured"]):
        return None
    changed = sum(
        abs(now["right"][id_] - right) for id_, right in then.get("right", {}).items()
    )  # a file was corrected
    if max(abs(now["outcomes"] - then["outcomes"]), changed) > GROWN * then["outcomes"]:
        return None
    return from_json(kept, log.outcomes.candidates)


def _made_of(log: Log, scorer: object) -> Mapping[str, Any]:
    known_IK = ~np.isnan(log.outcomes.correct_IK)
    sums_K = np.asarray(np.nansum(log.outcomes.correct_IK, axis=0, dtype=np.float64))
    some_K = np.asarray(known_IK.any(axis=0))
    told = zip(log.outcomes.candidates, sums_K.tolist(), some_K, strict=True)
    right = {id_: round(right, 3) for id_, right, some in told if some}
    return {
        "encoder": getattr(scorer, "encoder", None),
        "scorer": getattr(scorer, "name", None),
        "measured": list(right),
        "right": right,
        "outcomes": int(known_IK.sum()),
    }


def _drawn(log: Log, questions: int, seed: int) -> NDArray[np.intp]:
    """Return rows of questions with a text and an answer."""
    answered_I = ~np.isnan(log.outcomes.correct_IK).all(axis=1)
    with_text_I = np.array([bool(text) for text in log.outcomes.instructions], bool)
    usable = np.flatnonzero(answered_I & with_text_I) if len(with_text_I) else np.zeros(0, np.intp)
    return np.random.default_rng(seed).permutation(usable)[:questions]


def _network_reading(log: Log, scorer: Network, rows: NDArray[np.intp]) -> NetworkReading:
    """Return log-odds of a draw of questions; a candidate's profile then lacks the outcomes of the question's fold."""
    together = np.concatenate([_read(log, scorer, fold) for fold in np.array_split(rows, FOLDS)])
    return NetworkReading(rows, together[:, :-1], together[:, -1])


def _read(log: Log, scorer: Network, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    capabilities = log.capabilities_without(rows)
    texts: Sequence[str] = [log.outcomes.instructions[row] for row in rows]
    return scorer.read(texts, [*capabilities, mean_profile(capabilities)])[0]


def evidence_of(store: CapabilityStore, scorer: Network) -> FitReport:
    """Fit a store's evidence for a router, as `fit_store`; of a store that cannot be written, fit and keep nothing."""
    try:
        return fit_store(store, scorer)
    except StoreError as error:
        _log.warning("evidence of %s is not kept, and fitted again for the next router: %s", store.url, error)
    log = with_texts(store, log_of(store, scorer))
    return FitReport(log, fit_log(log, scorer), refreshed=True, lengths=fit_lengths(store, log))
