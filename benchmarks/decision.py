"""What a decision costs: ratios measured side by side in one run, medians of interleaved repeats.

    python benchmarks/decision.py [--repeats 200] [--checkpoint mini] [--output benchmarks/results]

- one decision among 16 candidates (a 48-token query, tokenising included) against one bare onnxruntime int8 forward of
  the same trunk on that query's token ids alone
- among 128 candidates against among 2
- what 100,000 stored items add to a decision, against the same bare forward
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
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from cit_core import Candidate, Capability, Router, load_scorer
from cit_core.catalogue import catalogue_capabilities
from cit_core.evaluate.results import Column, Result, Table, facts, write_result
from cit_core.evaluate.tables import as_rich
from cit_core.evidence import Evidence
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
    """As many candidates as asked for: catalogue profiles under new names, each with its own content hash."""
    known = catalogue_capabilities()
    return [
        Capability(
            candidate=Candidate(id=f"{known[place % len(known)].candidate.id}-{place}", notes=f"copy {place}"),
            results=known[place % len(known)].results,
        )
        for place in range(size)
    ]


def stored_items(number: int, scorer: OnnxScorer, candidates: int = 16) -> Evidence:
    """Evidence on items around a thousand centres, as texts of a thousand kinds have."""
    draw, width = np.random.default_rng(0), len(scorer.encode(["width"])[0])
    vectors = np.repeat(draw.standard_normal((1000, width), np.float32), number // 1000, axis=0)
    vectors += draw.standard_normal(vectors.shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Evidence(
        OutcomeMatrix(
            item_ids=tuple(f"item-{row}" for row in range(number)),
            candidates=tuple(capability.candidate.id for capability in zoo(candidates)),
            correct_IK=(draw.random((number, candidates)) < 0.6).astype(np.float64),
            tasks=tuple(f"task-{row // (number // 50):02}" for row in range(number)),
            vectors_ID=vectors.astype(np.float16),
        )
    )


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


def decisions(scorer: OnnxScorer, repeats: int) -> dict[str, float]:
    """Medians of the calls that the ratios are made of [ms]."""
    text = query_of(scorer, 48)
    ids = np.array([scorer._tokenizer.encode(text).ids], np.int64)
    mask = np.ones_like(ids)

    def bare() -> None:
        (states,) = scorer._reader.run(None, {"ids": ids, "mask": mask})
        scorer._encoder.run(None, {"states": states, "mask": mask})

    calls: dict[str, Callable[[], object]] = {"bare trunk": bare}
    for size in (2, 16, 128):
        router = Router(scorer, zoo(size))
        calls[f"route among {size}"] = lambda router=router: router.route(text)
        calls[f"score among {size}"] = lambda router=router: scorer.score([text], router.capabilities)
    evidence, sixteen = stored_items(100_000, scorer), [capability.candidate.id for capability in zoo(16)]
    log_odds, vectors = scorer.read([text], zoo(16))
    calls["evidence of 100,000 items"] = lambda: evidence.update(log_odds, vectors, sixteen)
    return medians(calls, repeats)


def measure(scorer: OnnxScorer, repeats: int) -> Result:
    """All of it, as the benchmark page shows it."""
    started = time.monotonic()
    took = decisions(scorer, repeats)
    core, adapter = process_seconds("import langchain_core"), process_seconds("import langchain_cit")
    base = process_seconds("from langchain_core.runnables import RunnableSerializable")
    router = process_seconds("from langchain_cit import RunnableRouter")
    cold = process_seconds(
        f"import cit_core; cit_core.Router.from_pretrained({str(scorer.checkpoint.folder)!r}).route('Prove that 2.')"
    )
    ratios = {
        "a decision among 16 / the bare trunk": took["route among 16"] / took["bare trunk"],
        "a decision among 128 / among 2": took["route among 128"] / took["route among 2"],
        "scoring alone, among 128 / among 2": took["score among 128"] / took["score among 2"],
        "evidence of 100,000 items / the bare trunk": took["evidence of 100,000 items"] / took["bare trunk"],
    }
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
    parser.add_argument("--output", type=Path, help="folder for decision.json")
    options = parser.parse_args()
    result = measure(load_scorer(options.checkpoint), options.repeats)
    if options.output is not None:
        write_result(result, options.output)
    for table in result.tables:
        Console().print(as_rich(table))


if __name__ == "__main__":
    main()
