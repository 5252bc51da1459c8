"""Every scorer's probabilities in a setting: the slow part of the benchmark, kept on disk as it is done.

All that follows - zoos, tables, curves - is arithmetic on these matrices.

Axes: N items, K candidates, I known items, M known models.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cit_core
from cit_core.aptitude.evidence_fit import fit_log
from cit_core.aptitude.evidence_sources import Log, mean_profile
from cit_core.evaluate.baselines import Baseline, BaselineData, baselines
from cit_core.evaluate.setting import Setting
from cit_core.evidence import Evidence, EvidenceScorer
from cit_core.outcomes import OutcomeMatrix
from cit_core.records import Capability
from cit_core.router import Scorer
from cit_core.router.loading import Network

__all__ = [
    "EVIDENCE",
    "MEAN_ONLY",
    "NETWORK",
    "TASKS_SHUFFLED",
    "Method",
    "encoded",
    "encoded_methods",
    "keep",
    "methods",
    "predict",
    "with_evidence",
]

NETWORK = "mini"
EVIDENCE = "mini + evidence"
MEAN_ONLY = "mini, capability mean only"
TASKS_SHUFFLED = "mini, accuracies shuffled among tasks"
CHUNK = 64
"""Texts that are encoded between two reports of progress."""

Scores = NDArray[np.float64]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Method:
    """A way to score, by name."""

    name: str
    uses: str
    """`profile`, or `responses`: then a candidate needs outcomes of its own, item by item."""
    score: Callable[[Setting], Scores]
    """(N, K) probabilities."""
    version: str = ""
    """Anything else that the scores depend on: the checkpoint, or the choices of a baseline."""


def methods(scorer: Network, encode: Encode, *, chosen: Sequence[Baseline] | None = None) -> tuple[Method, ...]:
    """Return all baselines, the network alone and with evidence, and its two controls.

    Args:
        scorer: The network under test.
        encode: Its vectors; may look them up.
        chosen: Baselines in place of all.
    """

    def asked(one: Scorer, setting: Setting, capabilities: Sequence[Capability]) -> Scores:
        return np.asarray(one.score(setting.instructions, capabilities), np.float64)

    def network(change: Callable[[Capability], Capability]) -> Callable[[Setting], Scores]:
        return lambda setting: asked(scorer, setting, [change(c) for c in setting.capabilities])

    def learned(baseline: Baseline) -> Callable[[Setting], Scores]:
        fitted: list[tuple[BaselineData, Scorer]] = []  # the last one: settings with the same data follow each other

        def score(setting: Setting) -> Scores:
            if not fitted or fitted[0][0] is not setting.known:
                fitted[:] = [(setting.known, baseline.fit(setting.known, encode))]
            return asked(fitted[0][1], setting, setting.capabilities)

        return score

    def evidence(setting: Setting) -> Scores:
        return asked(with_evidence(setting, scorer), setting, setting.capabilities)

    fitted = tuple(
        Method(baseline.name, baseline.uses, learned(baseline), repr(vars(baseline)))
        for baseline in (baselines() if chosen is None else chosen)
    )
    return (
        *fitted,
        Method(MEAN_ONLY, "profile", network(mean_only), scorer.name),
        Method(TASKS_SHUFFLED, "profile", network(tasks_shuffled), scorer.name),
        Method(NETWORK, "profile", network(lambda capability: capability), scorer.name),
        Method(EVIDENCE, "responses", evidence, scorer.name),
    )


def encoded_methods(name: str, encode: Encode, chosen: Sequence[Baseline]) -> tuple[Method, ...]:
    """Return baselines on vectors of another encoder: `roberta-base + MLP` and the like (table 2 of the paper).

    Args:
        name: The encoder, as tables show it.
        encode: Texts to unit vectors.
        chosen: The baselines.
    """
    told: dict[str, NDArray[np.float32]] = {}

    def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
        missing = tuple(dict.fromkeys(text for text in texts if text not in told))
        told.update(zip(missing, encode(missing) if missing else (), strict=True))
        return np.stack([told[text] for text in texts])

    def learned(baseline: Baseline) -> Callable[[Setting], Scores]:
        def score(setting: Setting) -> Scores:
            known = replace(setting.known, vectors_ID=vectors(setting.known_instructions))
            fitted = baseline.fit(known, vectors)
            return np.asarray(fitted.score(setting.instructions, setting.capabilities), np.float64)

        return score

    return tuple(Method(f"{name} + {one.name}", one.uses, learned(one), f"{name} {vars(one)!r}") for one in chosen)


def predict(
    setting: Setting,
    all_methods: Sequence[Method],
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Scores]:
    """Score with every method, one by one; scores in `folder` are read.

    Args:
        setting: The setting to route.
        all_methods: Methods to score.
        folder: Folder for the scores; each is written when it is done, so that a stopped run resumes.
        tell: Called with the name of the step.
    """
    found: dict[str, Scores] = {}
    for method in all_methods:
        if tell is not None:
            tell(f"{setting.name}: {method.name}")
        path = (
            None if folder is None else folder / f"{setting.name}-{_slug(method.name)}-{_digest(setting, method)}.npy"
        )
        if path is not None and path.exists():
            found[method.name] = np.load(path, allow_pickle=False)
            continue
        found[method.name] = method.score(setting)
        if path is not None:
            keep(path, found[method.name])
    return found


def encoded(
    table: OutcomeMatrix, scorer: Network, folder: Path | None, tell: Callable[[str], None]
) -> NDArray[np.float32]:
    """Return the vectors of a table's items, from the folder where they are there.

    Args:
        table: The items.
        scorer: Makes the vectors.
        folder: Keeps them; nothing is kept if not given.
        tell: Told what is being done.
    """
    path = None
    if folder is not None:
        texts = hashlib.sha256("\n".join(table.instructions).encode("utf-8", "replace")).hexdigest()[:16]
        path = folder / f"vectors-{table.name}-{texts}-{scorer.encoder}.npy"
        if path.exists():
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
    chunks = []
    for start in range(0, len(table), CHUNK):
        chunks.append(scorer.encode(table.instructions[start : start + CHUNK]))
        tell(f"{table.name}: {min(start + CHUNK, len(table)):,} of {len(table):,} questions encoded")
    vectors = np.concatenate(chunks)
    if path is not None:
        keep(path, vectors)
    return vectors


def keep(path: Path, array: NDArray[np.floating]) -> None:
    """Write an array: all of it, or no file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def mean_only(capability: Capability) -> Capability:
    """Return the control with a model's mean accuracy on every task."""
    mean = capability.mean_accuracy
    results = tuple(result.model_copy(update={"accuracy": mean}) for result in capability.results)
    return capability.model_copy(update={"results": results})


def tasks_shuffled(capability: Capability) -> Capability:
    """Return the control with the right level and wrong tasks: a model's accuracies change places among its tasks."""
    seed = int.from_bytes(hashlib.sha256(capability.candidate.id.encode()).digest()[:4], "big")
    order = np.random.default_rng(seed).permutation(len(capability.results))
    results = tuple(
        result.model_copy(update={"accuracy": capability.results[other].accuracy})
        for result, other in zip(capability.results, order, strict=True)
    )
    return capability.model_copy(update={"results": results})


def with_evidence(setting: Setting, scorer: Network) -> Scorer:
    """Return the network corrected by the known outcomes, as `Router.from_store` corrects it on a store with these."""
    log = setting.log or log_of(setting)
    evidence = Evidence(log.outcomes, fit_log(log, scorer), profiles=log.profiles)
    return EvidenceScorer(scorer, evidence, mean_profile(log.capabilities))


def log_of(setting: Setting) -> Log:
    """Return the setting's known outcomes in the form that evidence reads."""
    known = setting.known
    outcomes = OutcomeMatrix(
        name="known",
        item_ids=tuple(f"{row}" for row in range(len(known.tasks_I))),
        candidates=tuple(capability.candidate.id for capability in known.capabilities),
        correct_IK=known.correct_IM,
        tasks=tuple(known.tasks_I),
        instructions=tuple(setting.known_instructions),
        vectors_ID=known.vectors_ID,
    )
    return Log(outcomes, None, tuple(known.capabilities), 0)


def _digest(setting: Setting, method: Method) -> str:
    known = setting.known
    profiles = (capability.fingerprint for capability in (*setting.capabilities, *known.capabilities))
    words = (method.version, *setting.instructions, *setting.known_instructions, *known.tasks_I, *profiles)
    told = hashlib.sha256("\n".join(words).encode("utf-8", "replace"))
    told.update(_code())
    for part in (known.correct_IM, known.vectors_ID, known.validation_I, known.trained_M):
        told.update(part.tobytes())
    if setting.log is not None:
        told.update("\n".join((*setting.log.outcomes.item_ids, *setting.log.outcomes.tasks)).encode())
        told.update("\n".join(capability.fingerprint for capability in setting.log.capabilities).encode())
        told.update(setting.log.outcomes.correct_IK.tobytes())
    return told.hexdigest()[:12]


@cache
def _code() -> bytes:
    """Return a hash of the code that makes scores: scores kept by another version are not read."""
    folder = Path(cit_core.__file__).parent
    sources = sorted(
        [
            *folder.glob("evaluate/baselines/*.py"),
            *folder.glob("runtime/*.py"),
            *folder.glob("evidence/*.py"),
            *folder.glob("aptitude/evidence_*.py"),
            Path(__file__),
        ]
    )
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).digest()


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())
