"""Re-rankers beside our router: what reading every candidate's answer gains, and what it costs.

    python benchmarks/rerankers.py --data ../shared/data [--output benchmarks/results]
        [--cross ID ...] [--bi ID ...] [--known 400] [--routed 400] [--steps 60]

FORM ONLY: no table that we have holds answers, so they are scripted. MMLU-Pro's questions and outcomes are real; a
right answer is the right option's text, a wrong one is another option, drawn by question and model. A published
re-ranker is given by its id (`btan2/cappy-large`, `BAAI/bge-reranker-large`, `thenlper/gte-large`); what is always
there is MiniLM, fine-tuned on the known answers, and as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from rich.console import Console

from cit_core.catalogue import catalogue_candidates
from cit_core.evaluate.baselines import KNearest
from cit_core.evaluate.cost_metrics import queries_to_break_even
from cit_core.evaluate.experiments.cost import prices_of
from cit_core.evaluate.experiments.few import Halved, evidence_scores, known_rows, profiles
from cit_core.evaluate.metrics import paired_interval, routed
from cit_core.evaluate.results import Column, Result, Table, facts, write_result
from cit_core.evaluate.tables import as_rich
from cit_core.mini.weights import PACKAGED_TRUNK
from cit_core.outcomes import OutcomeMatrix, Split, read_outcomes
from cit_core.paper.reranker import Reranker
from cit_core.runtime import load_scorer

MODELS = 8
TESTED = 1000
"""Questions of an aptitude test, which a router pays once for each candidate."""
Scores = NDArray[np.float64]


def scripted_answers(folder: Path, table: OutcomeMatrix) -> list[list[str]]:
    """Return an answer of each model to each item: the right option where it was right, else another one."""
    read = pq.read_table(folder / "items-mmlu-pro.parquet", columns=["item_id", "options", "answer"]).to_pylist()
    of_item = {record["item_id"]: record for record in read}
    found = []
    for id_, marks_K in zip(table.item_ids, table.correct_IK, strict=True):
        options, right = of_item[id_]["options"], "ABCDEFGHIJKLMNOP".index(of_item[id_]["answer"])
        wrong = [option for place, option in enumerate(options) if place != right]
        row = []
        for model, mark in zip(table.candidates, marks_K, strict=True):
            drawn = int(hashlib.sha256(f"{id_} {model}".encode()).hexdigest()[:8], 16)
            row.append(options[right] if mark >= 0.5 else wrong[drawn % len(wrong)])
        found.append(row)
    return found


def table_of(options: argparse.Namespace) -> OutcomeMatrix:
    """Return some models, evenly over the catalogue's by accuracy, and items that all of them were measured on."""
    table = read_outcomes(options.data, "mmlu-pro")
    by_accuracy = sorted(table.candidates, key=lambda model: np.nanmean(table.correct_IK[:, table.column(model)]))
    kept = table.of_models([by_accuracy[place] for place in np.linspace(0, len(by_accuracy) - 1, MODELS).astype(int)])
    whole = kept.rows(~np.isnan(kept.correct_IK).any(axis=1))
    order = np.argsort([Split().fraction(f"rerank:{id_}") for id_ in whole.item_ids], kind="stable")
    return whole.rows(np.sort(order[: options.known + options.routed]))


def rerankers(options: argparse.Namespace, halved: Halved, answers: list[list[str]]) -> dict[str, Callable[[], Scores]]:
    """Return what scores by reading answers, by name."""
    texts, said = halved.texts(halved.routed), [answers[row] for row in halved.routed]
    pairs = [
        (halved.table.instructions[row], text, float(mark))
        for row in halved.pool
        for text, mark in dict(zip(answers[row], halved.table.correct_IK[row] >= 0.5, strict=True)).items()
    ]

    def read(name: str, kind: str, steps: int) -> Scores:
        reranker = Reranker.load(name, kind)  # type: ignore[arg-type]
        if steps:
            asked, told, marks = zip(*pairs, strict=True)
            reranker.fit(asked, told, marks, steps=steps)
        started = time.monotonic()
        scores = reranker.score(texts, said)
        TIMES[f"{Path(name).name}, {kind}"] = 1e3 * (time.monotonic() - started) / len(texts)
        return scores

    tuned = f"{Path(PACKAGED_TRUNK).name}, cross"
    found = {tuned: lambda: read(PACKAGED_TRUNK, "cross", options.steps)}
    for kind, names in (("bi", (PACKAGED_TRUNK, *options.bi)), ("cross", tuple(options.cross))):
        for name in names:
            found[f"{Path(name).name}, {kind}"] = partial(read, name, kind, 0)
    return found


TIMES: dict[str, float] = {}
"""Milliseconds that a way itself takes for a query, by name; the answers' time is not in it."""


def result(options: argparse.Namespace) -> Result:
    started = time.monotonic()
    table, scorer = table_of(options), load_scorer("mini")
    halved = Halved(table, np.asarray(scorer.encode(table.instructions), np.float32), Split())
    answers = scripted_answers(options.data, halved.table)
    correct_NK = halved.table.correct_IK[halved.routed]
    texts, capabilities = halved.texts(halved.routed), profiles(halved.table, halved.pool)
    known = known_rows(halved, halved.pool, np.random.default_rng(0).random(len(halved.pool)) < 0.2, capabilities)
    level_K = halved.table.correct_IK[halved.pool].mean(axis=0)

    def timed(name: str, score: Callable[[], Scores]) -> Scores:
        began = time.monotonic()
        found = np.asarray(score(), np.float64)
        TIMES.setdefault(name, 1e3 * (time.monotonic() - began) / len(texts))
        return found

    reads = rerankers(options, halved, answers)
    ways: dict[str, Callable[[], Scores]] = {
        "best by level": lambda: np.tile(level_K, (len(texts), 1)),
        "random": lambda: np.full(correct_NK.shape, 0.5),
        "k nearest neighbours": lambda: KNearest().fit(known, halved.encode).score(texts, capabilities),
        "evidence": lambda: np.asarray(evidence_scores(halved, halved.pool, halved.routed), np.float64),
        **reads,
        "oracle": lambda: correct_NK,
    }
    scores = {name: timed(name, way) for name, way in ways.items()}
    facts_of = {candidate.id: candidate for candidate in catalogue_candidates()}
    priced = [each.model_copy(update={"candidate": facts_of[each.candidate.id]}) for each in capabilities]
    prices = prices_of(priced)
    usd_K = np.ones(len(priced)) if prices is None else prices.usd_K
    single = routed(scores["best by level"], correct_NK)
    everything, once = float(usd_K.sum()), TESTED * float(usd_K.sum())
    rows = []
    for name, given in scores.items():
        cost = everything if name in reads else float(usd_K[given.argmax(axis=1)].mean())
        value_N, free = routed(given, correct_NK), name in ("random", "oracle")
        rows.append(
            (
                name,
                "yes" if name in reads else "no",
                paired_interval(100.0 * value_N),
                paired_interval(100.0 * (value_N - single)),
                None if free else 1000.0 * cost,
                None if free else TIMES[name],
                None if name in reads or free else queries_to_break_even(once, cost, everything),
            )
        )
    columns = (
        Column("router"),
        Column("reads all answers"),
        Column("accuracy %", "percent"),
        Column("above best by level", "points"),
        Column("USD of 1,000 queries", "usd"),
        Column("ms of a query, without answers", "ms"),
        Column("queries to break even", "count"),
    )
    return Result(
        experiment="rerankers",
        title="Re-rankers read every answer",
        question="What does it gain to read all candidates' answers, and what does it cost?",
        held_out="Half of the questions by a seeded hash. Form only: the answers are scripted from who was right.",
        tables=(
            Table(
                f"MMLU-Pro, {MODELS} models, {len(texts)} questions",
                columns,
                tuple(rows),
                note="Right answers are the right option, wrong ones others. Break even: queries after which testing "
                f"{TESTED:,} questions of each model, paid once, has cost less than answers of all models. "
                f"{'' if prices is None else prices.note}".strip(),
                emphasis=(3,),
            ),
        ),
        figures=(),
        facts=facts(
            shlex.join(["python", *sys.argv]), data={"mmlu-pro": table.digest()}, seconds=time.monotonic() - started
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cross", nargs="+", default=[], help="published cross-encoders with one score")
    parser.add_argument("--bi", nargs="+", default=[], help="published bi-encoders")
    parser.add_argument("--known", type=int, default=400)
    parser.add_argument("--routed", type=int, default=400)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--output", type=Path, help="folder for rerankers.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    whole = result(options)
    if options.output is not None:
        write_result(whole, options.output)
    for table in whole.tables:
        Console().print(as_rich(table))


if __name__ == "__main__":
    main()
