"""Measure what the shipped network reads of questions in another language, against their English originals.

    python benchmarks/languages.py

`translations.jsonl`, beside this file, has 40 questions of our own in four languages. A question's difficulty is minus
the mean of the log-odds of all models in the catalogue that sat the core test. Intervals: 95 %, over questions.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cit_core.catalogue import catalogue_capabilities
from cit_core.runtime import OnnxScorer

FILE = Path(__file__).with_name("translations.jsonl")
ORIGINAL = "en"
RESAMPLES = 2_000


def translations() -> dict[str, list[str]]:
    """Return the questions by language, in the same order in each."""
    lines = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    return {language: [line[language] for line in lines] for language in lines[0]}


def correlation(
    one_N: NDArray[np.floating], other_N: NDArray[np.floating], seed: int = 0
) -> tuple[float, float, float]:
    """Return the correlation and its 95 % interval, by resampling the questions."""
    rows_RN = np.random.default_rng(seed).integers(len(one_N), size=(RESAMPLES, len(one_N)))
    drawn = [np.corrcoef(one_N[rows], other_N[rows])[0, 1] for rows in rows_RN]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.corrcoef(one_N, other_N)[0, 1]), float(low), float(high)


def main() -> None:
    """Measure and print."""
    scorer, zoo, questions = OnnxScorer("mini"), catalogue_capabilities(), translations()
    ease = {language: scorer.read(texts, zoo)[0].mean(axis=1) for language, texts in questions.items()}
    table = Table(title=f"{len(questions[ORIGINAL])} questions, {scorer.name}")
    for name in ("language", "told as foreign", "difficulty's correlation with the original's"):
        table.add_column(name, justify="left" if name == "language" else "right")
    for language, texts in questions.items():
        foreign = sum(not scorer.reads(text) for text in texts)
        found = "{:.2f} [{:.2f}, {:.2f}]".format(*correlation(ease[ORIGINAL], ease[language]))
        table.add_row(language, f"{foreign} of {len(texts)}", found)
    Console().print(table)


if __name__ == "__main__":
    main()
