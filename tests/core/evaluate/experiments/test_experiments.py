"""Each experiment on planted outcomes, where the right numbers can be worked out by hand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_tables import StubNetwork, candidates_of, text_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.capability import capability_from_results
from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput
from cit_core.evaluate.baselines import BaselineData
from cit_core.evaluate.comparison import BLIND, HINDSIGHT, SINGLE_BEST
from cit_core.evaluate.cost_metrics import arena_score
from cit_core.evaluate.experiments import overhead as overhead_module
from cit_core.evaluate.experiments.baselines import SHUFFLED, _changed_hands, baselines, reliability_figure, table_of
from cit_core.evaluate.experiments.cost import USD_PER_B, cost, prices_of
from cit_core.evaluate.experiments.onboarding import ASKED, onboarding
from cit_core.evaluate.experiments.overhead import LENGTHS, SIZES, overhead
from cit_core.evaluate.experiments.releases import coverage, releases
from cit_core.evaluate.experiments.robustness import EDITS, robustness
from cit_core.evaluate.experiments.zoos import zoos
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.predictions import EVIDENCE, MEAN_ONLY, NETWORK, TASKS_SHUFFLED
from cit_core.evaluate.results import Figure, Result, Table, facts, read_result, write_result
from cit_core.evaluate.setting import Setting
from cit_core.records import Candidate, Capability, Usage

TASK = known_tasks()[0]


def setting_of(
    correct_NK: Any,
    candidates: Sequence[Candidate],
    aptitude: Sequence[float] | None = None,
    texts: Sequence[str] | None = None,
) -> Setting:
    """Aptitude is the mean of the outcomes if not given."""
    correct = np.asarray(correct_NK, float)
    levels = correct.mean(axis=0) if aptitude is None else aptitude
    profiles = tuple(
        capability_from_results(candidate, [TASK], {TASK.id: (float(level), 20)})
        for candidate, level in zip(candidates, levels, strict=True)
    )
    instructions = tuple(texts or (f"Question {n}?" for n in range(len(correct))))
    marks = np.indices((4, len(profiles))).sum(axis=0) % 2
    known = BaselineData(
        vectors_ID=text_vectors(["a", "b", "c", "d"]),
        tasks_I=(TASK.id,) * 4,
        correct_IM=marks.astype(float),
        capabilities=profiles,
        trained=(True,) * len(profiles),
        validation_I=np.array([False, False, True, True]),
    )
    groups = tuple("odd" if n % 2 else "even" for n in range(len(correct)))
    return Setting(
        "all-models",
        "All",
        "The rest.",
        instructions,
        groups,
        correct,
        profiles,
        known,
        ("a", "b", "c", "d"),
        frozenset(),
    )


def numbers(row: Sequence[Any]) -> list[Any]:
    return [cell.mean if isinstance(cell, Interval) else cell for cell in row]


def rows_of(table: Table) -> dict[str, list[Any]]:
    return {str(row[0]): numbers(row[1:]) for row in table.rows}


def survives(tables: Sequence[Table], figures: Sequence[Figure], folder: Path) -> None:
    result = Result("x", "X", "x?", "x", tuple(tables), tuple(figures), facts("cit bench", data={}, seconds=1.0))
    assert read_result(write_result(result, folder)) == result


# ---- coverage


def test_coverage_by_hand(tmp_path: Path) -> None:
    right = {  # of ten questions
        "large": {0, 1, 2, 3, 4, 5},
        "one": {3, 6, 7, 8},
        "two": {0, 1, 2},
        "three": {0, 9},
        "untold": {4},
        "middle": {5},
    }
    sizes = {"large": 70.0, "one": 7.0, "two": 3.0, "three": 9.9, "untold": None, "middle": 10.0}
    candidates = [Candidate(id=id_, params_b=size) for id_, size in sizes.items()]
    correct = [[float(n in right[id_]) for id_ in sizes] for n in range(10)]
    table, figure = coverage(setting_of(correct, candidates))
    assert [numbers(row) for row in table.rows] == [
        [1, "two", pytest.approx(50.0), pytest.approx(30.0)],
        [2, "one", pytest.approx(100 * 4 / 6), pytest.approx(70.0)],
        [3, "three", pytest.approx(100 * 4 / 6), pytest.approx(80.0)],
    ]
    assert table.title == "Small models (under 10B) against large"
    assert "large answers 60.0 % of the questions" in table.note
    assert figure.series[0].y == pytest.approx((50.0, 100 * 4 / 6, 100 * 4 / 6))
    survives([table], [figure], tmp_path)


def test_a_small_model_that_is_the_best_does_not_cover_itself() -> None:
    correct = [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    table, _ = coverage(setting_of(correct, candidates_of(7.0, 3.0)))
    assert [numbers(row) for row in table.rows] == [[1, "model-1", pytest.approx(50.0), pytest.approx(100 / 3)]]


# ---- releases


def test_the_zoo_of_each_release_by_hand(tmp_path: Path) -> None:
    released = [3, 1, 2, 5, 4, 7, 6, None]  # the day; who has none comes last
    aptitude = [0.30, 0.50, 0.40, 0.10, 0.60, 0.70, 0.20, 0.05]
    candidates = [
        Candidate(id=f"m{k}", released=None if day is None else date(2024, 1, day)) for k, day in enumerate(released)
    ]
    correct = np.tile([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], (6, 1))  # an outcome tells who was chosen
    newest = np.tile([8.0 if day is None else day for day in released], (6, 1)) / 10
    weakest = np.tile([1 - value for value in aptitude], (6, 1))
    scores = {SINGLE_BEST: np.tile(aptitude, (6, 1)), NETWORK: newest, EVIDENCE: weakest, "unseen": newest}
    table, figure = releases(setting_of(correct, candidates, aptitude), scores)
    drawn = {series.name: [round(value / 10) for value in series.y if value is not None] for series in figure.series}
    assert drawn == {
        #            joining: m2, m0, m4, m3, m6, m5, m7
        SINGLE_BEST: [1, 1, 4, 4, 4, 5, 5],
        NETWORK: [2, 0, 4, 3, 6, 5, 7],
        EVIDENCE: [2, 0, 0, 3, 3, 6, 7],  # after m6, the five best so far leave m3 behind
        "oracle": [2, 2, 4, 4, 6, 6, 7],
    }
    assert figure.series[0].labels == ("", "", "m4", "", "", "m5", ""), "who took the lead"
    assert figure.series[0].x == (2, 3, 4, 5, 6, 7, 8)
    found = rows_of(table)
    mean = {name: 10 * sum(values) / 7 for name, values in drawn.items()}
    best = max(mean[SINGLE_BEST], mean[NETWORK])  # "unseen", a baseline, scores as the network does
    for name, value in mean.items():
        assert found[name][:2] == pytest.approx([value, value - mean[SINGLE_BEST]])
    assert [found[name][2] for name in (NETWORK, EVIDENCE)] == pytest.approx(
        [mean[NETWORK] - best, mean[EVIDENCE] - best]
    )
    assert (found[SINGLE_BEST][2], found["oracle"][2]) == (None, None), "a baseline and a bound"
    assert [table.rows[place][0] for place in table.emphasis] == [NETWORK, EVIDENCE]
    survives([table], [figure], tmp_path)


# ---- cost


def priced(usd_per_million: float | None, **given: Any) -> Candidate:
    return Candidate(price_in=usd_per_million, price_out=usd_per_million, **given)


def two_models(cheap: float | None = 1.0, dear: float | None = 10.0) -> tuple[Setting, dict[str, Any]]:
    candidates = [priced(cheap, id="weak", params_b=7.0), priced(dear, id="strong", params_b=70.0)]
    correct = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    scores = {
        SINGLE_BEST: np.tile([0.5, 0.75], (4, 1)),
        NETWORK: correct,
        "blind": np.full((4, 2), 0.5),
    }
    return setting_of(correct, candidates), scores


def test_cost_on_two_models_by_hand(tmp_path: Path) -> None:
    setting, scores = two_models()
    tables, figures = cost(setting, scores, (SINGLE_BEST, NETWORK, "blind"))
    assert [table.title.partition(":")[0] for table in tables] == ["larger-mixed", "all", "Two models"]
    assert tables[1].title == "all: 2 models, best by aptitude is right on 75.00 %"
    assert "list prices" in tables[1].note
    found = rows_of(tables[1])
    assert list(found) == ["single models, mixed at random", NETWORK, "blind"]
    weak, strong = 700e-6, 7000e-6
    mixed = (3 * weak + strong) / 4
    area = (mixed - weak) * (0.5 + 0.75) / 2 + (strong - mixed) * 0.75
    arena = 100 * max(arena_score(0.5, 1000 * weak), arena_score(0.75, 1000 * mixed))
    above_hull = 75.0 - (50.0 + 25.0 * (3 * 0.5 + 1) / 4)  # three questions are a tie: half of them go to the dear one
    nauc = ((mixed - weak) * 0.5 + (strong - mixed) * 0.75) / (strong * 0.75)
    expected = [100 * area / (strong - weak), 100 * mixed / strong, arena, above_hull, nauc]
    assert found[NETWORK] == pytest.approx(expected, rel=1e-3)
    assert found["blind"][3] == pytest.approx(0.0), "a coin stands on the hull"
    assert found["single models, mixed at random"][:2] == pytest.approx([62.5, 100.0], rel=1e-3)
    assert found["blind"][:2] == [pytest.approx(50.0), None], "it takes the cheaper one, and never gets there"
    assert rows_of(tables[2]) == {
        "content-blind": [0.5, 50.0, 100.0],
        SINGLE_BEST: [0.5, 50.0, 100.0],  # blind to the query: as a random order, in steps of a quarter
        NETWORK: [0.875, 25.0, 25.0],
        "blind": [0.5, 50.0, 100.0],
    }
    network = next(series for series in figures[1].series if series.name == NETWORK)
    assert sorted({(round(x, 4), y) for x, y in zip(network.x, network.y, strict=True)}) == [
        (0.7, 50.0),
        (round(1000 * mixed, 4), 75.0),
    ]
    assert network.x == tuple(sorted(network.x))
    survives(tables, figures, tmp_path)


def test_models_that_cost_nothing_are_compared_too(tmp_path: Path) -> None:
    setting, scores = two_models(0.0, 0.0)
    tables, figures = cost(setting, scores, (SINGLE_BEST, NETWORK))
    assert rows_of(tables[0])[NETWORK][1] is None, "no share of nothing"
    assert not figures[0].x_log
    survives(tables, figures, tmp_path)


def test_prices_are_as_measured_or_listed_else_by_size_else_unknown() -> None:
    def of(*capabilities: Capability) -> Any:
        return prices_of(capabilities)

    listed = Capability(candidate=priced(2.0, id="a", params_b=7.0))
    measured = Capability(candidate=Candidate(id="b"), usage=Usage(cost_usd=0.5))
    lengthy = Capability(candidate=priced(2.0, id="c"), usage=Usage(completion_tokens=1000))
    sized = Capability(candidate=Candidate(id="d", params_b=70.0))
    untold = Capability(candidate=Candidate(id="e"))
    assert of(listed, measured, lengthy).usd_K.tolist() == pytest.approx([0.0014, 0.5, 0.003])
    assumed = of(listed, sized, untold)
    assert assumed.usd_K.tolist() == pytest.approx([size * USD_PER_B * 700e-6 for size in (7, 70, 70)])
    assert "Prices are not known" in assumed.note
    assert of(untold, measured) is None


def test_cost_without_prices_and_sizes_is_refused() -> None:
    setting = setting_of([[1, 0], [0, 1]], candidates_of(None, None))
    with pytest.raises(InvalidInput, match="cost needs prices, costs or sizes of the candidates; `cit models add`"):
        cost(setting, {}, ())


# ---- robustness

MIXED_CASE = tuple(f"Which one is It? {n}\n(A) One\n(B) Two\n(C) Three" for n in range(12))


class Sees:
    """The second candidate, unless the text has what it looks for."""

    name = "sees"

    def __init__(self, looks_for: Any) -> None:
        self.looks_for = looks_for

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
        return np.array([[0.9, 0.2] if self.looks_for(text) else [0.1, 0.2] for text in instructions])


class Short:
    """Takes the second candidate where the text has what it looks for; reads a few tokens."""

    name = "short"
    max_tokens = 30

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
        return np.array(
            [[0.1, 0.9] if "prime" in text and "river" not in text else [0.9, 0.1] for text in instructions]
        )


def test_context_and_templates_around_a_question_flip_no_decision_for_its_question_is_found() -> None:
    texts = [f"Which of {n} and {n + 1} is a prime?" for n in range(6)]
    setting = setting_of(np.tile([1.0, 0.0], (6, 1)), candidates_of(7.0, 8.0), [0.5, 0.5], texts)
    found = rows_of(robustness(setting, "short", Short()))
    around = [edit for edit in EDITS if "context" in edit or "retrieval" in edit]
    assert len(around) == 7
    assert {edit: found[edit][0] for edit in around} == dict.fromkeys(around, 0.0)


def test_a_scorer_that_looks_at_case_alone_flips_in_upper_case_alone(tmp_path: Path) -> None:
    setting = setting_of(np.tile([1.0, 0.0], (12, 1)), candidates_of(7.0, 8.0), [0.5, 0.5], MIXED_CASE)
    table = robustness(setting, "sees", Sees(str.isupper))
    found = rows_of(table)
    assert list(found) == list(EDITS)
    for edit, (flips, accuracy, moved) in found.items():
        assert (flips, accuracy) == ((100.0, 100.0) if edit == "upper case" else (0.0, 0.0)), edit
        assert moved == pytest.approx(0.4 if edit == "upper case" else 0.0)
    survives([table], [], tmp_path)


def test_a_flip_to_a_worse_candidate_costs_accuracy_and_a_part_of_the_questions_is_enough() -> None:
    correct = np.tile([0.0, 1.0], (12, 1))
    setting = setting_of(correct, candidates_of(7.0, 8.0), [0.5, 0.5], MIXED_CASE)
    table = robustness(setting, "sees", Sees(lambda text: "User:" in text and " 1\n" in text), questions=4)
    assert table.title == "sees: 4 questions, one zoo of 2"
    assert rows_of(table)["at the end of a conversation"] == pytest.approx([25.0, -25.0, 0.8 / 8])
    assert rows_of(table)["politeness"] == [0.0, 0.0, 0.0]


def test_options_change_places_and_letters_stay() -> None:
    turn = EDITS["options in another order"]
    assert turn(MIXED_CASE[3]) == "Which one is It? 3\n(A) Two\n(B) Three\n(C) One"
    for plain in ("No options here.", "One alone:\n(A) this", ""):
        assert turn(plain) == plain


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=200))
def test_edits_keep_what_they_do_not_edit(text: str) -> None:
    assert Counter(EDITS["typos"](text)) == Counter(text), "letters change places"
    assert EDITS["typos"](text) == EDITS["typos"](text), "the same every time"
    assert EDITS["white space"](text).split() == text.split()
    for name in ("politeness", "at the end of a conversation", "after a piece of code"):
        assert text in EDITS[name](text)
    behind = EDITS["after 4,000 characters of something else"](text)
    assert behind.endswith(text)
    assert 3900 < len(behind) - len(text) < 4100


def test_typos_are_few_but_there() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 20
    differing = sum(a != b for a, b in zip(text, EDITS["typos"](text), strict=True))
    assert 0 < differing < 0.12 * len(text)


# ---- overhead


class Timed(StubNetwork):
    """Every call takes one millisecond of a clock of its own."""

    now = 0.0

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
        self.now += 0.001
        self.scored.append((len(instructions[0]), len({capability.candidate.id for capability in capabilities})))
        return np.zeros((len(instructions), len(capabilities)))


def test_one_pass_and_one_forward_for_each_candidate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scorer, repeats = Timed(), 3
    monkeypatch.setattr(overhead_module.time, "perf_counter", lambda: scorer.now)
    profiles = setting_of([[1, 0], [0, 1]], candidates_of(7.0, 8.0)).capabilities
    tables, figures = overhead(scorer, profiles, repeats=repeats)
    by_size, by_length = ({row[0]: row[1:] for row in table.rows} for table in tables)
    assert by_size == {size: (pytest.approx(1), pytest.approx(size), pytest.approx(size)) for size in SIZES}
    assert by_length == {length: (pytest.approx(1), pytest.approx(16), pytest.approx(16)) for length in LENGTHS}
    calls = Counter(scorer.scored)
    once = repeats + 1  # the first one warms up
    for size in SIZES:
        assert calls[230, size] == once, "all candidates, each one of its own"
    assert calls[230, 1] == once * sum(SIZES)
    for length in LENGTHS:
        assert calls[4 * length, 16] == once
        assert calls[4 * length, 1] == once * 16
    assert [series.ours for series in figures[0].series] == [True, False]
    assert figures[0].series[1].y == pytest.approx(SIZES)
    survives(tables, figures, tmp_path)


# ---- onboarding


def test_onboarding_asks_for_what_is_known_and_draws_what_it_is_worth(tmp_path: Path) -> None:
    """The more is known, the more often the better candidate has the higher score."""
    correct = np.tile([1.0, 0.0], (20, 1))
    base, asked_for = setting_of(correct, candidates_of(7.0, 8.0)), []

    def setting_for(asked: int, logged: int) -> Setting:
        asked_for.append((asked, logged))
        return replace(base, name=f"{asked} {logged}")

    def score(setting: Setting, name: str) -> Any:
        asked, logged = map(int, setting.name.split())
        if name in {SINGLE_BEST, "baseline"}:
            return np.tile([0.4, 0.6] if name == SINGLE_BEST else [0.5, 0.5], (20, 1))
        right = (asked // 100 if name == NETWORK else asked // 100 + logged // 10) * np.ones(20) > np.arange(20)
        return np.column_stack([right, ~right]).astype(float)

    names = (SINGLE_BEST, "baseline", NETWORK, EVIDENCE)
    tables, figures = onboarding(setting_for, score, [(0, 1)], names, (100, 500), (0, 50))
    assert asked_for == [(100, 0), (500, 0), (ASKED[-1], 0), (ASKED[-1], 50)]
    rows = [row for row in tables[0].rows if str(row[1]) in names]
    assert len(rows) == len(tables[0].rows) - 4, "and the content-blind controls"
    assert [numbers(row) for row in rows] == [
        [100, SINGLE_BEST, 0.0, 0.0, None],
        [100, "baseline", 50.0, 50.0, None],
        [100, NETWORK, 5.0, 5.0, -45.0],
        [100, EVIDENCE, 5.0, 5.0, -45.0],
        [500, SINGLE_BEST, 0.0, 0.0, None],
        [500, "baseline", 50.0, 50.0, None],
        [500, NETWORK, 25.0, 25.0, -25.0],
        [500, EVIDENCE, 25.0, 25.0, -25.0],
    ]
    assert [numbers(row)[2:] for row in tables[1].rows if row[1] == EVIDENCE] == [[50.0, 50.0, 0.0], [75.0, 75.0, 25.0]]
    assert [tables[0].rows[place][1] for place in tables[0].emphasis] == [NETWORK, EVIDENCE] * 2
    assert [series.name for series in figures[0].series] == list(names)
    assert figures[1].series[3].y == pytest.approx((50.0, 75.0))
    assert figures[1].series[3].low is not None
    assert figures[0].x_log
    assert not figures[1].x_log, "nothing logged has no logarithm"
    survives(tables, figures, tmp_path)


# ---- zoos and baselines


def compared() -> tuple[Setting, dict[str, Any]]:
    """Six models of close aptitude, small to large, and scores from blind to all-knowing."""
    draw = np.random.default_rng(0)
    correct = (draw.random((80, 6)) < 0.5).astype(float)
    setting = setting_of(correct, candidates_of(3.0, 7.0, 9.0, 20.0, 70.0, None), [0.5, 0.52, 0.54, 0.56, 0.58, 0.6])
    half_right = np.where(draw.random(correct.shape) < 0.75, correct, 1 - correct) * 0.8 + 0.1
    scores = {
        "random": np.full(correct.shape, 0.5),
        SINGLE_BEST: np.tile(setting.aptitude, (80, 1)),
        "baseline": np.clip(half_right + draw.normal(0, 0.01, correct.shape), 0, 1),
        MEAN_ONLY: np.tile(setting.aptitude, (80, 1)),
        TASKS_SHUFFLED: draw.random(correct.shape),
        NETWORK: correct * 0.9 + 0.05 + draw.random(correct.shape) / 100,
        EVIDENCE: correct * 0.9 + 0.05,
    }
    return setting, scores


def test_every_method_stands_in_every_zoo(tmp_path: Path) -> None:
    setting, scores = compared()
    accuracy, above, above_baseline = zoos(setting, scores)
    headings = [column.name for column in accuracy.columns]
    assert headings == [
        "router",
        "smaller-scale",
        "smaller-mixed",
        "middle-mixed",
        "larger-mixed",
        "high-performance",
        "all",
        "50 of similar strength",
    ]
    found, gained = rows_of(accuracy), rows_of(above)
    blind = {BLIND.format(name) for name in (NETWORK, EVIDENCE)}
    assert set(found) == {*scores, *blind, *HINDSIGHT}
    whole = headings.index("all") - 1
    assert found[SINGLE_BEST][whole] == pytest.approx(100 * setting.correct_NK[:, 5].mean())
    assert found["oracle"][whole] == pytest.approx(100 * setting.correct_NK.max(axis=1).mean())
    assert found["random"][whole] == pytest.approx(100 * setting.correct_NK.mean())
    assert found[EVIDENCE][whole] == pytest.approx(found["oracle"][whole])
    pair = headings.index("high-performance") - 1
    assert found["random"][pair] == pytest.approx(100 * setting.correct_NK[:, 4:].mean())
    for name, values in found.items():
        assert gained[name] == pytest.approx([a - b for a, b in zip(values, found[SINGLE_BEST], strict=True)])
    best = np.max([found[name] for name in ("random", SINGLE_BEST, "baseline")], axis=0)
    assert rows_of(above_baseline)[EVIDENCE] == pytest.approx(np.subtract(found[EVIDENCE], best))
    assert list(found)[-3:] == sorted(HINDSIGHT, key=lambda name: found[name][-1])
    assert [accuracy.rows[place][0] for place in accuracy.emphasis] == [n for n in found if n in (NETWORK, EVIDENCE)]
    assert "high-performance: model-4, model-5" in accuracy.note
    survives([accuracy, above], [], tmp_path)


def test_the_table_of_baselines_is_in_order_and_compares_ours_alone(tmp_path: Path) -> None:
    setting, scores = compared()
    uses = dict.fromkeys(scores, "profile") | {EVIDENCE: "responses"}
    (table,), (figure,) = baselines([setting], {setting.name: scores}, uses)
    cells = {str(row[0]): dict(zip([c.name for c in table.columns], row, strict=True)) for row in table.rows}
    competing = [name for name in cells if name not in HINDSIGHT]
    accuracy = {name: row["accuracy %"].mean for name, row in cells.items()}
    assert competing == sorted(competing, key=accuracy.__getitem__)
    assert list(cells)[: len(competing)] == competing
    blind = [BLIND.format(name) for name in (NETWORK, EVIDENCE)]
    assert set(cells) == {*scores, *blind, SHUFFLED, *HINDSIGHT}
    assert all(accuracy[name] < accuracy[EVIDENCE] - 10.0 for name in blind), "nothing but shares of models"
    assert cells[EVIDENCE]["sees of a model"] == "responses"
    assert cells["oracle"]["sees of a model"] == cells[SHUFFLED]["sees of a model"] == "–"
    for name in ("random", SINGLE_BEST, "baseline", *HINDSIGHT):
        assert cells[name]["above best baseline"] is None
    for name in (NETWORK, EVIDENCE, MEAN_ONLY, TASKS_SHUFFLED):
        assert cells[name]["above best baseline"].mean == pytest.approx(accuracy[name] - accuracy["baseline"])
    assert cells["oracle"]["gap recovered %"] == pytest.approx(100)
    assert cells[SINGLE_BEST]["gap recovered %"] == pytest.approx(0)
    assert cells[NETWORK]["AUROC"].mean == 1.0
    assert cells["random"]["AUROC"].mean == 0.5
    assert cells["random"]["Brier"].mean == pytest.approx(0.25)
    assert cells["oracle"]["AUROC"] is None
    assert re.fullmatch(r"All \(80 questions, \d+ zoos of similar strength\)", table.title)
    assert [series.name for series in figure.series] == [SINGLE_BEST, NETWORK, EVIDENCE]
    survives([table], [figure], tmp_path)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_profiles_that_changed_hands_choose_each_candidate_equally_often(seed: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    scores, correct = draw.random((7, 6)), (draw.random((7, 6)) < 0.5).astype(float)
    zoo = tuple(sorted(map(int, draw.choice(6, size, replace=False))))
    found = _changed_hands(scores, correct, [zoo, (0, 1)])
    np.testing.assert_allclose(found, [correct[:, list(zoo)].mean(axis=1), correct[:, :2].mean(axis=1)])


def test_reliability_is_drawn_of_any_table_whatever_its_name() -> None:
    setting, scores = compared()
    figure = reliability_figure(replace(setting, name="My_Own.data--held-out"), scores)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", figure.name)
    assert figure.kind == "diagonal"
    evidence = figure.series[-1]
    assert evidence.x == pytest.approx((0.05, 0.95))
    assert evidence.y == pytest.approx((0.0, 1.0))


def test_the_same_scores_make_the_same_table() -> None:
    assert table_of(*compared(), {}) == table_of(*compared(), {})
