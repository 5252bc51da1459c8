"""Measure the cost of a decision: ratios measured side by side in one run, medians of interleaved repeats.

    python benchmarks/decision.py [--repeats 200] [--checkpoint mini] [--output benchmarks/results]

- one decision among 16 candidates (a 48-token query, tokenising included) against one bare onnxruntime int8 forward of
  the same trunk on that query's token ids alone
- among 128 candidates against among 2
- the default router (the catalogue's, corrected by evidence) among 16, and one with 100,000 and with 1,000,000 stored
  items, against the same bare forward; and the recall of the nearest 400 of these
- `import langchain_cit` against `import langchain_core`, `RunnableRouter` in hand against `RunnableSerializable` in
  hand, and a cold process to its first decision
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from cit_core import Candidate, Capability, Router, load_scorer
from cit_core.catalogue import catalogue_capabilities, core_vectors
from cit_core.evaluate.results import Column, Result, Table, facts, write_result
from cit_core.evaluate.tables import as_rich
from cit_core.evidence import Evidence, EvidenceScorer, fit_evidence
from cit_core.outcomes import OutcomeMatrix
from cit_core.runtime import OnnxScorer

WORDS = (
    "A train leaves the station at nine and travels north at sixty miles per hour while a second train follows an hour "
    "later at eighty miles per hour on the same track so when does the second one reach the first and how far from the "
    "station are they then"
)


def query_of(scorer: OnnxScorer, tokens: int) -> str:
    """A query of exactly this many tokens, the two special ones included."""
    words = (WORDS + " " + WORDS).split()
    for count in range(1, len(words)):
        text = " ".join(words[:count])
        if len(scorer._tokenizer.encode(text).ids) == tokens:
            return text
    raise SystemExit(f"no query of {tokens} tokens in the benchmark's text")


def zoo(size: int) -> list[Capability]:
    """Return any number of candidates: catalogue profiles under new names, each with its own content hash."""
    known = catalogue_capabilities()
    return [
        Capability(
            candidate=Candidate(id=f"{known[place % len(known)].candidate.id}-{place}", notes=f"copy {place}"),
            results=known[place % len(known)].results,
        )
        for place in range(size)
    ]


def stored_items(number: int, scorer: OnnxScorer, candidates: int = 16) -> EvidenceScorer:
    """Return the scorer of a store with a number of items around the core set's vectors."""
    draw, centres = np.random.default_rng(0), core_vectors()
    kind = np.arange(number) * len(centres) // number
    vectors = centres[kind] + 0.02 * draw.standard_normal((number, centres.shape[1]), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    correct = (draw.random((number, candidates), np.float32) < 0.6).astype(np.float32)
    outcomes = OutcomeMatrix(
        item_ids=tuple(f"item-{row}" for row in range(number)),
        candidates=tuple(capability.candidate.id for capability in zoo(candidates)),
        correct_IK=correct,
        tasks=tuple(f"task-{place // 20:02}" for place in kind),
        vectors_ID=vectors.astype(np.float16),
    )
    part = outcomes.rows(draw.permutation(number)[:2000])
    fitted = fit_evidence(replace(part, instructions=tuple(f"{WORDS} {id_}" for id_ in part.item_ids)))
    weights = fitted.weights._replace(network=(0.5, 0.1), network_mean_K=np.zeros(candidates))
    return EvidenceScorer(scorer, Evidence(outcomes, replace(fitted, weights=weights)))


def recall(scorer: EvidenceScorer, number: int = 400, queries: int = 50) -> float:
    """Share of the nearest stored items that cells find."""
    neighbours = scorer.evidence._neighbours
    stored = np.asarray(neighbours._vectors_ID, np.float32)
    asked = stored[:: len(stored) // queries][:queries]
    found = neighbours.near(asked, number).rows_NJ
    shared = []
    for vector, rows in zip(asked, found, strict=True):
        nearest = np.argpartition(-(stored @ vector), number)[:number]
        nearest = nearest if neighbours._order_I is None else neighbours._order_I[nearest]
        shared.append(len(np.intersect1d(nearest, rows)) / number)
    return float(np.mean(shared))


def medians(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call, the calls taking turns so that a noisy moment hits all of them."""
    for call in calls.values():
        for _ in range(5):
            call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(values) for name, values in taken.items()}


def process_seconds(code: str, repeats: int = 7) -> float:
    """Median seconds of a fresh interpreter that runs this code."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def decisions(scorer: OnnxScorer, stored: dict[int, EvidenceScorer], repeats: int) -> dict[str, float]:
    """Medians of the calls that the ratios are made of [ms]."""
    text = query_of(scorer, 48)
    ids = np.array([scorer._tokenizer.encode(text).ids], np.int64)
    mask = np.ones_like(ids)

    def bare() -> None:
        (states,) = scorer._graphs.reader.run(None, {"ids": ids, "mask": mask})
        scorer._graphs.encoder.run(None, {"states": states, "mask": mask})

    calls: dict[str, Callable[[], object]] = {"bare trunk": bare}
    for size in (2, 16, 128):
        router = Router(scorer, zoo(size))
        calls[f"route among {size}"] = lambda router=router: router.route(text)
        calls[f"score among {size}"] = lambda router=router: scorer.score([text], router.capabilities)
    default = Router.from_pretrained(models=[c.candidate.id for c in catalogue_capabilities()[:16]])
    calls["the default router among 16"] = lambda: default.route(text)
    for number, corrected in stored.items():
        router = Router(corrected, zoo(16))
        calls[f"with {number:,} stored items among 16"] = lambda router=router: router.route(text)
    return medians(calls, repeats)


def measure(scorer: OnnxScorer, repeats: int, items: Sequence[int]) -> Result:
    """All of it, as the benchmark page shows it."""
    started = time.monotonic()
    stored = {number: stored_items(number, scorer) for number in items}
    took = decisions(scorer, stored, repeats)
    core, adapter = process_seconds("import langchain_core"), process_seconds("import langchain_cit")
    base = process_seconds("from langchain_core.runnables import RunnableSerializable")
    router = process_seconds("from langchain_cit import RunnableRouter")
    cold = process_seconds(
        "import cit_core; from cit_core.catalogue import catalogue_candidates; "
        f"cit_core.Router.from_pretrained({str(scorer.checkpoint.folder)!r}, "
        "models=[c.id for c in catalogue_candidates()]).route('Prove that 2.')"
    )
    ratios = {
        "a decision among 16 / the bare trunk": took["route among 16"] / took["bare trunk"],
        "a decision among 128 / among 2": took["route among 128"] / took["route among 2"],
        "scoring alone, among 128 / among 2": took["score among 128"] / took["score among 2"],
        "the default router among 16 / the bare trunk": took["the default router among 16"] / took["bare trunk"],
    }
    for number in items:
        ratios[f"{number:,} stored items / the bare trunk"] = (
            took[f"with {number:,} stored items among 16"] / took["bare trunk"]
        )
    recalls = {f"of the nearest 400 among {number:,}": recall(stored[number]) for number in items}
    seconds = {
        "`import langchain_cit` above `import langchain_core`": adapter - core,
        "`RunnableRouter` in hand above `RunnableSerializable` in hand": router - base,
        "a cold process to its first decision": cold,
    }
    return Result(
        experiment="decision",
        title="What a decision costs",
        question="What does routing add to one forward of the network's own trunk on the query?",
        held_out="Nothing is learned here; one query of 48 tokens, profiles of the catalogue under new names.",
        tables=(
            Table(
                f"Medians of {repeats} turns",
                (Column("call"), Column("ms", "ms")),
                tuple(took.items()),
            ),
            Table("Recall of neighbours", (Column("what"), Column("share", "ratio")), tuple(recalls.items())),
            Table("Ratios", (Column("what"), Column("measured", "ratio")), tuple(ratios.items())),
            Table("Processes", (Column("what"), Column("seconds", "precise")), tuple(seconds.items())),
        ),
        figures=(),
        facts=facts(
            shlex.join(["python", *sys.argv]), data={}, checkpoint=scorer.name, seconds=time.monotonic() - started
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--checkpoint", default="mini")
    parser.add_argument("--items", type=int, nargs="*", default=[100_000, 1_000_000], help="stored items")
    parser.add_argument("--output", type=Path, help="folder for decision.json")
    options = parser.parse_args()
    result = measure(load_scorer(options.checkpoint), options.repeats, options.items)
    if options.output is not None:
        write_result(result, options.output)
    for table in result.tables:
        Console().print(as_rich(table))


if __name__ == "__main__":
    main()
