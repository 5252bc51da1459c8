"""Route questions about pictures, of which caption, OCR text and size are known: do they help to choose?

Weights of the features were chosen on some of the questions (`CHOSEN_ON`), which are never routed here.

Axes: I items, N items that are routed, K candidates, R repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import sigmoid
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import KNearest
from cit_core.evaluate.baselines.baseline_data import BaselineData
from cit_core.evaluate.baselines.protocol import one_thread
from cit_core.evaluate.comparison import ORACLE, SINGLE_BEST, content_blind
from cit_core.evaluate.experiments.few import BLIND, profiles
from cit_core.evaluate.log_settings import measured_alike
from cit_core.evaluate.metrics import auroc, paired_interval, routed
from cit_core.evaluate.results import Cell, Column, Figure, Table
from cit_core.evidence import Evidence
from cit_core.outcomes import OutcomeMatrix, Split, read_outcomes
from cit_core.pictures import Picture, with_pictures

__all__ = ["HELD_OUT", "PICTURED", "Pictured", "pictures", "read_pictured"]

PICTURED = "mathvista"
"""Table of questions about pictures."""
GUESSERS = frozenset({"random_guess", "frequent_guess"})
SEEING = (
    "bard",
    "idefics_9b_instruct",
    "instruct_blip2_vicuna_13b",
    "llama_adapter_v2",
    "llava_llama_2_13b",
    "llavar",
    "minigpt4_llama2",
    "mplugowl_7b_ft",
)
"""Candidates of it that look at the picture; some of the others read caption and OCR text."""
CHOSEN_ON = 0.3
"""Share of the questions that the features' weights were chosen on."""
FOLDS, REPEATS = 3, 10
HELD_OUT = (
    f"A third of the questions at a time, {REPEATS} times, of those {1 - CHOSEN_ON:.0%} (by a seeded hash) on which "
    "nothing was chosen; the others are known."
)
TEXT, FACTS, ALL, SHUFFLED = (
    "evidence, question alone",
    "evidence, kind and size too",
    "evidence, caption and OCR too",
    "evidence, captions shuffled",
)
NEAREST, NEAREST_ALL = "k nearest neighbours", "k nearest neighbours, caption and OCR too"

Array = NDArray[np.floating]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Pictured:
    """Questions about pictures, with what is known of the pictures.

    Attributes:
        table: Outcomes; everyone was measured on everything.
        pictures: Picture of each item.
    """

    table: OutcomeMatrix
    pictures: tuple[Picture, ...]


def read_pictured(folder: Path, name: str = PICTURED) -> Pictured:
    """Read outcomes and the columns caption, ocr, image_width and image_height of their items.

    Raises:
        InvalidInput: If a file is not there or lacks a column.
        MissingExtra: If pyarrow is not installed.
    """
    table = read_outcomes(folder, name)
    table = measured_alike(table.of_models([id_ for id_ in table.candidates if id_ not in GUESSERS]))
    import pyarrow.parquet as pq

    columns = ["item_id", "caption", "ocr", "image_width", "image_height"]
    try:
        rows = pq.read_table(folder / f"items-{name}.parquet", columns=columns).to_pylist()
        of_item = {row["item_id"]: _picture(row) for row in rows}
    except (KeyError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise InvalidInput(f"items-{name}.parquet needs the columns {', '.join(columns)}") from error
    return Pictured(table, tuple(of_item[id_] for id_ in table.item_ids))


def _picture(row: Mapping[str, Any]) -> Picture:
    told = Picture.of(None, row["caption"] or "", row["ocr"] or "")
    return replace(told, width=row["image_width"], height=row["image_height"])


def pictures(
    given: Pictured,
    encode: Encode,
    split: Split,
    repeats: int = REPEATS,
    tell: Callable[[str], None] | None = None,
) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Accuracy of each way to choose, among the candidates that see and among all.

    Args:
        given: The questions.
        encode: Unit vectors of texts.
        split: Its seed decides what is routed.
        repeats: Draws of the folds.
        tell: Told what is being done.
    """
    table = given.table
    seeing = [id_ for id_ in table.candidates if id_ in SEEING]
    zoos = {"those that see": seeing, "all": list(table.candidates)}
    texts, vectors = _texts(given), _vectors(given, encode)
    may = np.array([split.fraction(f"pictures:{id_}") >= CHOSEN_ON for id_ in table.item_ids])
    made = []
    for title, zoo in zoos.items():
        if len(zoo) < 2:
            continue
        found = []
        for seed in range(repeats):
            if tell is not None:
                tell(f"{table.name}, {title}: repeat {seed + 1} of {repeats}")
            found.append(_repeat(table.of_models(zoo), texts, vectors, may, seed))
        made.append(_table(f"{table.name}: {title} ({len(zoo)} candidates)", table.of_models(zoo), found, may))
    return tuple(made), ()


def _texts(given: Pictured) -> dict[str, tuple[str, ...]]:
    """Return what each variant of the evidence reads of every item."""
    questions, shown = given.table.instructions, given.pictures
    order = np.random.default_rng(0).permutation(len(shown))
    facts = tuple(Picture(one.width, one.height, one.caption, one.text) for one in shown)
    return {
        TEXT: tuple(questions),
        FACTS: tuple(_first_line(with_pictures(q, [one])) for q, one in zip(questions, facts, strict=True)),
        ALL: tuple(with_pictures(q, [one]) for q, one in zip(questions, shown, strict=True)),
        SHUFFLED: tuple(with_pictures(q, [shown[at]]) for q, at in zip(questions, order, strict=True)),
    }


def _first_line(text: str) -> str:
    """Return a question and the line that tells kind and size of its picture."""
    question, mark, said = text.partition("\n\n[picture")
    return question + mark + said.partition("\n")[0]


def _vectors(given: Pictured, encode: Encode) -> dict[str, NDArray[np.float32]]:
    pairs = zip(given.table.instructions, given.pictures, strict=True)
    joined = [f"{question}\n{one.caption}\n{one.text}" for question, one in pairs]
    return {NEAREST: encode(given.table.instructions), NEAREST_ALL: encode(joined)}


def _repeat(
    table: OutcomeMatrix,
    texts: Mapping[str, Sequence[str]],
    vectors: Mapping[str, NDArray[np.float32]],
    may: NDArray[np.bool_],
    seed: int,
) -> dict[str, Array]:
    """Return scores (N, K) of every way for the items that may be routed, each in the fold that leaves it out."""
    fold_I = np.random.default_rng(seed).permutation(len(may)) % FOLDS
    found: dict[str, Array] = {}
    for fold in range(FOLDS):
        asked = np.flatnonzero(may & (fold_I == fold))
        known = np.flatnonzero(~(may & (fold_I == fold)))
        for name, scores in _scores(table, texts, vectors, known, asked).items():
            found.setdefault(name, np.zeros(table.correct_IK.shape))[asked] = scores
    return {name: scores[may] for name, scores in found.items()}


def _scores(
    table: OutcomeMatrix,
    texts: Mapping[str, Sequence[str]],
    vectors: Mapping[str, NDArray[np.float32]],
    known: NDArray[np.intp],
    asked: NDArray[np.intp],
) -> dict[str, Array]:
    level_K = table.correct_IK[known].mean(axis=0)
    found: dict[str, Array] = {SINGLE_BEST: np.tile(level_K, (len(asked), 1))}
    capabilities = profiles(table, known)
    validation_I = np.random.default_rng(0).random(len(known)) < 0.25
    for name, vectors_ID in vectors.items():
        data = BaselineData(
            vectors_ID=vectors_ID[known],
            tasks_I=tuple(table.tasks[row] for row in known),
            correct_IM=table.correct_IK[known],
            capabilities=capabilities,
            trained=(True,) * len(capabilities),
            validation_I=validation_I,
        )
        fitted = KNearest().fit(data, lambda _texts, of=vectors_ID: of[asked])  # type: ignore[misc]
        found[name] = np.asarray(fitted.score([""] * len(asked), capabilities), np.float64)
    of_question = vectors[NEAREST]
    for name, read in texts.items():
        log = replace(table.rows(known), instructions=tuple(read[row] for row in known), vectors_ID=of_question[known])
        with one_thread():
            odds = Evidence(log).log_odds(of_question[asked], [read[row] for row in asked])
        found[name] = np.asarray(sigmoid(odds))
    return found


def _table(title: str, table: OutcomeMatrix, found: Sequence[Mapping[str, Array]], may: NDArray[np.bool_]) -> Table:
    correct_NK = table.correct_IK[may]
    values = {name: np.mean([routed(one[name], correct_NK) for one in found], axis=0) for name in found[0]}
    values[BLIND] = np.mean([content_blind(one[ALL], correct_NK) for one in found], axis=0)
    values[ORACLE] = correct_NK.max(axis=1)
    rows: list[tuple[Cell, ...]] = []
    for name, value_N in values.items():
        told = [auroc(one[name], correct_NK) for one in found] if name in found[0] else None
        rows.append(
            (
                name,
                paired_interval(100.0 * value_N),
                None if name == SINGLE_BEST else paired_interval(100.0 * (value_N - values[SINGLE_BEST])),
                None if name == TEXT else paired_interval(100.0 * (value_N - values[TEXT])),
                None if told is None else float(np.mean(told)),
            )
        )
    best = table.candidates[int(table.correct_IK.mean(axis=0).argmax())]
    return Table(
        title=title,
        columns=(
            Column("router"),
            Column("accuracy %", "percent"),
            Column("above single best", "points"),
            Column("above the question alone", "points"),
            Column("AUROC", "precise"),
        ),
        rows=tuple(rows),
        note=f"{may.sum():,} questions, each routed {len(found)} times by what is known of about "
        f"{len(may) - may.sum() // FOLDS:,} others; intervals over questions. Best on all {len(may):,}: {best}, "
        f"{100.0 * table.correct_IK.mean(axis=0).max():.1f} %. No pictures are read, no network: evidence alone. "
        "Content-blind: shares of models of the evidence with caption and OCR, drawn without a look at the question.",
        emphasis=tuple(place for place, row in enumerate(rows) if row[0] == ALL),
    )
