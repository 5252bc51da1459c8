"""Measure the cost of a decision: ratios measured side by side in one run, medians of interleaved repeats.

    python benchmarks/decision.py [--repeats 200] [--checkpoint mini] [--output benchmarks/results]

- one decision among 16 candidates (a 48-token query, tokenising included) against one bare onnxruntime int8 forward of
  the same trunk on that query's token ids alone
- among 128 candidates against among 2
- the default router (the catalogue's, corrected by evidence) among 16, and one with 100,000 and with 1,000,000 stored
  items, against the same bare forward; and the recall of the nearest 400 of these
- with `--memory N`, this alone: the memory of one and of four processes that decide by N stored items, each with arrays
  of its own and mapped from one folder; decisions by both in turn; recall against whole float32 vectors
- `import langchain_cit` against `import langchain_core`, `RunnableRouter` in hand against `RunnableSerializable` in
  hand, and a cold process to its first decision
"""

from __future__ import annotations

import argparse
import copy
import shlex
import statistics
import subprocess
import sys
import tempfile
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


def vectors_around(number: int, seed: int = 0) -> np.ndarray:
    """Return unit vectors around the core set's."""
    centres = core_vectors().astype(np.float32)
    vectors = centres[np.arange(number) * len(centres) // number]
    vectors += 0.02 * np.random.default_rng(seed).standard_normal(vectors.shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def stored_items(number: int, scorer: OnnxScorer, candidates: int = 16) -> EvidenceScorer:
    """Return the scorer of a store with a number of items around the core set's vectors."""
    draw, vectors = np.random.default_rng(1), vectors_around(number)
    kind = np.arange(number) * len(core_vectors()) // number
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


def true_recall(scorer: EvidenceScorer, items: int, number: int = 400, queries: int = 50) -> tuple[float, float]:
    """Return the shares of the nearest by float32 that float16 finds, among all and in cells."""
    stored, asked = vectors_around(items), vectors_around(queries, seed=2)
    by_cells = scorer.evidence._neighbours.near(asked, number).rows_NJ
    shared = []
    halved = stored.astype(np.float16).astype(np.float32)
    for vector, rows in zip(asked, by_cells, strict=True):
        nearest, rounded = (np.argpartition(-(each @ vector), number)[:number] for each in (stored, halved))
        shared.append([len(np.intersect1d(nearest, others)) / number for others in (rounded, rows)])
    whole, found = np.mean(shared, axis=0)
    return float(whole), float(found)


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


def memory_mb(process: int | str = "self") -> dict[str, float]:
    """Return a process's own memory and its share of mapped files [MB], by /proc."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"own": kb["Pss_Anon"] / 1e3, "files": kb["Pss_File"] / 1e3}


def unmapped(evidence: Evidence) -> Evidence:
    """Return evidence with arrays of its own."""
    made = copy.copy(evidence)
    made._neighbours = copy.copy(evidence._neighbours)
    for part in (made, made._neighbours):
        vars(part).update({k: np.array(v) for k, v in vars(part).items() if isinstance(v, np.ndarray)})
    return made


def decider(folder: str, kind: str) -> None:
    """Be a process that decides by evidence: nothing, arrays of its own, or mapped ones; wait until it is measured."""
    scorer = load_scorer("mini")
    router: Router = Router(scorer, zoo(16))
    if kind != "without":
        evidence = Evidence.load(Path(folder))
        assert evidence is not None
        evidence = unmapped(evidence) if kind == "own" else evidence
        router = Router(EvidenceScorer(scorer, evidence), zoo(16))
        for part in (evidence, evidence._neighbours):  # every page: no query brings more into memory
            for array in (one for one in vars(part).values() if isinstance(one, np.ndarray)):
                array.reshape(-1).view(np.uint8)[::4096].sum()
    router.route(WORDS)
    print("ready", flush=True)
    sys.stdin.read()


def memory(number: int, scorer: OnnxScorer, repeats: int) -> None:
    """Measure what N stored items take, and what mapping them changes."""
    made = stored_items(number, scorer)
    whole, in_cells = true_recall(made, number)
    with tempfile.TemporaryDirectory() as base:
        made.evidence.save(folder := Path(base) / "evidence")
        del made
        mapped = Evidence.load(folder)
        assert mapped is not None
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"{number:,} stored items, 16 candidates: files of {size:.0f} MB")
        print(f"recall of the nearest 400 by whole float32: float16 {whole:.4f}, float16 in cells {in_cells:.4f}")
        kinds = {"own": unmapped(mapped), "mapped": mapped}
        routers = {name: Router(EvidenceScorer(scorer, one), zoo(16)) for name, one in kinds.items()}
        text = query_of(scorer, 48)
        assert routers["own"].route(text).ranking == routers["mapped"].route(text).ranking
        calls: dict[str, Callable[[], object]] = {
            name: lambda one=one: one.route(text) for name, one in routers.items()
        }
        took = medians(calls, repeats)
        print("a decision [ms]: " + ", ".join(f"{name} {ms:.2f}" for name, ms in took.items()))
        del mapped, kinds, routers, calls
        for kind, processes in (("without", 1), ("own", 1), ("own", 4), ("mapped", 1), ("mapped", 4)):
            started = [
                subprocess.Popen(
                    [sys.executable, __file__, "--decider", str(folder), kind],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
                for _ in range(processes)
            ]
            for one in started:
                assert one.stdout is not None
                one.stdout.readline()
            found = [memory_mb(one.pid) for one in started]
            for one in started:
                one.communicate()
            total = {name: sum(each[name] for each in found) for name in ("own", "files")}
            print(f"{processes} x {kind:<8} own {total['own']:6.0f} MB, mapped files {total['files']:6.0f} MB (PSS)")


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
    parser.add_argument("--memory", type=int, metavar="N", help="measure the memory of N stored items alone")
    parser.add_argument("--decider", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.decider:
        decider(*options.decider)
        return
    if options.memory:
        memory(options.memory, load_scorer(options.checkpoint), options.repeats)
        return
    result = measure(load_scorer(options.checkpoint), options.repeats, options.items)
    if options.output is not None:
        write_result(result, options.output)
    for table in result.tables:
        Console().print(as_rich(table))


if __name__ == "__main__":
    main()
