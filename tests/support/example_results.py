"""Results as experiments make them, for the tests of what is made of them; the numbers are made up."""

from __future__ import annotations

import math
from datetime import date

from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import Column, Facts, Figure, Result, Series, Table

__all__ = ["FACTS", "FIGURES", "NEW_MODELS", "RESULTS", "ROUTERS"]

FACTS = Facts(
    command="cit bench --data ../shared/data --experiment new-models",
    commit="61b4856+changes",
    data={"mmlu-pro": "21b0513ec3291610"},
    checkpoint="mini@7ee143ad",
    seed="cit-2502",
    versions={"python": "3.11.7", "cit-router": "0.1.0", "numpy": "2.4.6"},
    machine="Linux x86_64, 2 cores",
    seconds=1312.4,
    when=date(2026, 11, 22),
)

ROUTERS = Table(
    title="Zoos of similar strength (1,838 items, 3 zoos)",
    columns=(
        Column("router"),
        Column("accuracy %", "percent"),
        Column("above best by aptitude", "points"),
        Column("AUROC", "precise"),
        Column("log-loss below aptitude", "signed"),
        Column("USD a query", "usd"),
        Column("items", "count"),
        Column("decision, ms", "ms"),
        Column("of a bare forward", "ratio"),
    ),
    rows=(
        ("random", Interval(27.45, 26.14, 28.83), Interval(-4.35, -4.97, -3.77), 0.5, None, 0.000312, 1838, None, None),
        ("kNN | k=40", Interval(31.2, 29.9, 32.6), Interval(-0.59, -1.1, -0.1), 0.7, 0.0, 0.0005, 1838, 0.4, 0.1),
        (
            "mini@7ee143ad",
            Interval(33.04, 31.6, 34.5),
            Interval(1.25, 0.4, 2.1),
            Interval(0.749, 0.737, 0.76),
            Interval(0.0121, 0.009, 0.0149),
            0.000298,
            1838,
            6.08434,
            1.194,
        ),
        ("oracle", Interval(49.49, 47.5, 51.45), Interval(17.7, 16.59, 18.79), None, None, 1.25, 1838, None, None),
    ),
    note="All routers see the same `1,000` core answers of a new model; nothing else.",
    emphasis=(2,),
)

BUDGETS = tuple(0.00005 * 2.0**step for step in range(9))


def _curve(name: str, top: float, speed: float, ours: bool = False) -> Series:
    y = tuple(24 + top * (1 - math.exp(-speed * (step + 1))) for step in range(len(BUDGETS)))
    low, high = tuple(value - 1.4 for value in y), tuple(value + 1.4 for value in y)
    return Series(name, BUDGETS, y, low, high, ours)


COST_QUALITY = Figure(
    name="cost-quality",
    title="What accuracy costs: models that were in no training run",
    x_label="mean cost of a query [USD]",
    y_label="accuracy [%]",
    series=(
        _curve("mini", 30, 0.45, ours=True),
        _curve("mini with evidence", 32, 0.5, ours=True),
        _curve("kNN on trunk vectors", 27, 0.4),
        _curve("cluster accuracy", 26, 0.37),
        _curve("ridge", 26.5, 0.33),
        _curve("MLP", 25, 0.3),
        _curve("random forest", 24, 0.28),
        _curve("matrix factorisation", 23, 0.3),
        _curve("IRT", 22, 0.33),
        _curve("text only", 15, 0.3),
    ),
    x_log=True,
    note="Each line is one router over all values of `cost:`.",
)

MODELS = Figure(
    name="models",
    title="Accuracy of single models and of routers",
    x_label="mean cost of a query [USD]",
    y_label="accuracy [%]",
    kind="points",
    x_log=True,
    series=(
        Series("mini", (0.0009, 0.0021), (52.0, 56.5), (50.4, 54.9), (53.6, 58.1), True, ("cost:0.01", "best")),
        Series(
            "single models",
            (0.00004, 0.00006, 0.0002, 0.00025, 0.0009, 0.0011, 0.0035, 0.005),
            (24.0, 26.1, 33.0, 33.4, 44.0, 45.2, 55.1, None),
            labels=(
                "Llama-2-7b-hf",
                "Mistral-7B-Instruct-v0.1",
                "Qwen1.5-7B-Chat",
                "Meta-Llama-3-8B",
                "c4ai-command-r-v01",
                "Mixtral-8x7B",
                "gemini-1.5-pro-002",
                "not measured",
            ),
        ),
    ),
)

RELEASES = Figure(
    name="releases",
    title="A zoo that grows: accuracy after each release, nothing retrained",
    x_label="models released",
    y_label="accuracy [%]",
    kind="step",
    series=(
        Series(
            "mini",
            (1, 2, 3, 4, 5, 6),
            (31, 31, 36, 44, 52, 57),
            (29, 29, 34, 42, 50, 55),
            (33, 33, 38, 46, 54, 59),
            True,
        ),
        Series("always the newest", (1, 2, 3, 4, 5, 6), (31, 27, 36, 40, 35, 55)),
        Series("retrained kNN", (1, 2, 3, 4, 5, 6), (31, 31, 35, 42, None, 56)),
    ),
)

RELIABILITY = Figure(
    name="reliability",
    title="Reliability of the probabilities",
    x_label="mean probability in the bin",
    y_label="share that was right",
    kind="diagonal",
    series=(
        Series(
            "mini",
            (0.06, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.94),
            (0.05, 0.17, 0.26, 0.33, 0.46, 0.57, 0.66, 0.73, 0.86, 0.93),
            (0.03, 0.14, 0.22, 0.30, 0.42, 0.53, 0.62, 0.69, 0.83, 0.90),
            (0.07, 0.20, 0.30, 0.36, 0.50, 0.61, 0.70, 0.77, 0.89, 0.96),
            True,
        ),
        Series("kNN on trunk vectors", (0.1, 0.3, 0.5, 0.7, 0.9), (0.19, 0.34, 0.47, 0.62, 0.74)),
    ),
)

FIGURES = (COST_QUALITY, MODELS, RELEASES, RELIABILITY)

NEW_MODELS = Result(
    experiment="new-models",
    title="Models that were in no training run",
    question="Does the router choose well among models it has never seen?",
    held_out="The questions, and the models: of a new model everyone sees its answers to the core set alone.",
    tables=(ROUTERS,),
    figures=(COST_QUALITY, MODELS, RELEASES),
    facts=FACTS,
)

RESULTS = (
    NEW_MODELS,
    Result(
        experiment="reliability",
        title="Are the probabilities true?",
        question="Of the answers that are said to be right with 80 %, are 80 % right?",
        held_out="The questions.",
        tables=(),
        figures=(RELIABILITY,),
        facts=FACTS,
    ),
)
