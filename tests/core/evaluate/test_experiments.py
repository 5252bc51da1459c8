"""The held-out comparison looks at held-out items alone, counts right, and sees who reads profiles and who does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from outcome_tables import SHARED, made_up_table, needs_shared_data, some_items

from cit_core.catalogue import catalogue_candidates
from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.evaluate import Comparison, Row, held_out
from cit_core.evaluate.baselines import BestByAptitude
from cit_core.records import Capability
from cit_core.router import FakeScorer
from cit_core.runtime import load_scorer
from cit_core.train.data import OutcomeTable, Split, catalogue_profiles, read_outcomes, similar_zoos

PARTS = ("test", "test", "train", "train")
"""Whose models the four comparisons are about."""


class ByProfile:
    """Reads profiles and nothing else: the outcome of the candidate whose profile it is given."""

    name = "oracle"

    def __init__(self, table: OutcomeTable) -> None:
        self._rows = {text: row for row, text in enumerate(table.instructions)}
        self._table = table
        self._model = {c.fingerprint: c.candidate.id for c in catalogue_profiles(table.models)}

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        columns = [self._table.column(self._model[capability.fingerprint]) for capability in capabilities]
        return self._table.correct_IM[np.ix_([self._rows[text] for text in instructions], columns)]


@pytest.fixture(scope="module")
def table() -> OutcomeTable:
    """Every question stands once."""
    made_up = made_up_table([candidate.id for candidate in catalogue_candidates()], tasks=20, items_of_task=12)
    return replace(made_up, instructions=made_up.item_ids, questions=made_up.item_ids)


def row(comparison: Comparison, start: str) -> Row:
    return next(row for row in comparison.rows if row.router.startswith(start))


def test_four_comparisons_of_five_routers(table: OutcomeTable) -> None:
    comparisons = held_out(table, BestByAptitude())
    assert [comparison.title for comparison in comparisons] == [
        "unseen items, unseen models, all 6",
        "unseen items, unseen models, zoos of similar strength",
        "unseen items, models of the training run, all 13",
        "unseen items, models of the training run, zoos of similar strength",
    ]
    test = Split().items(table.item_ids)["test"]
    for comparison, part in zip(comparisons, PARTS, strict=True):
        assert comparison.items == len(test)
        assert comparison.models == Split().models(table.models)[part]
        names = [found.router for found in comparison.rows]
        assert names == [
            "random",
            BestByAptitude.name,
            f"{BestByAptitude.name}, shuffled capability",
            names[3],
            "oracle",
        ]
    assert [comparison.zoos for comparison in comparisons[::2]] == [1, 1]


def test_a_scorer_sees_test_questions_alone_and_their_outcomes_alone_count(table: OutcomeTable) -> None:
    scorer = FakeScorer(lambda text, model: (hash_of(text) + hash_of(model)) % 101 / 101)
    expected = held_out(table, scorer)
    rows = Split().items(table.item_ids)["test"]
    assert set(scorer.calls) == {tuple(table.instructions[row] for row in rows)}
    poisoned = table.correct_IM.copy()
    poisoned[Split().items(table.item_ids)["train"]] = 7.0
    assert held_out(replace(table, correct_IM=poisoned), scorer) == expected
    flipped = table.correct_IM.copy()  # validation outcomes fit the baseline of levels, and nothing else
    flipped[Split().items(table.item_ids)["validation"]] *= 0.5
    for before, after in zip(expected, held_out(replace(table, correct_IM=flipped), scorer), strict=True):
        assert after.rows == before.rows


def hash_of(text: str) -> int:
    return sum(place * ord(letter) for place, letter in enumerate(text, start=1))


def test_random_and_oracle_are_the_mean_and_the_best_of_each_item(table: OutcomeTable) -> None:
    rows = Split().items(table.item_ids)["test"]
    for comparison in held_out(table, BestByAptitude()):
        aptitude_K = BestByAptitude().score([""], catalogue_profiles(comparison.models))[0]
        zoos = [tuple(range(len(aptitude_K)))] if "all" in comparison.title else similar_zoos(aptitude_K)
        assert comparison.zoos == len(zoos)
        correct_NK = table.correct_IM[rows][:, [table.column(model) for model in comparison.models]]
        mean = np.mean([correct_NK[:, list(zoo)].mean() for zoo in zoos])
        best = np.mean([correct_NK[:, list(zoo)].max(axis=1).mean() for zoo in zoos])
        fixed = np.mean([correct_NK[:, max(zoo, key=lambda k: aptitude_K[k])].mean() for zoo in zoos])
        assert row(comparison, "random").accuracy.mean == pytest.approx(100 * mean)
        assert row(comparison, "oracle").accuracy.mean == pytest.approx(100 * best)
        assert row(comparison, BestByAptitude.name).accuracy.mean == pytest.approx(100 * fixed)
        assert row(comparison, "oracle").above_random.mean == pytest.approx(100 * (best - mean))
        assert row(comparison, "oracle").above_aptitude.mean == pytest.approx(100 * (best - fixed))


def test_whoever_knows_the_outcomes_is_the_oracle_and_shuffling_takes_it_all(table: OutcomeTable) -> None:
    for comparison in held_out(table, ByProfile(table)):
        best, control = comparison.rows[3], comparison.rows[2]
        assert best.router == "oracle"
        assert best.accuracy == comparison.rows[4].accuracy
        assert best.ranking is not None
        assert control.ranking is not None
        assert best.ranking.mean == 100.0
        assert control.ranking.mean == pytest.approx(50.0, abs=0.5)
        assert control.accuracy.mean == pytest.approx(row(comparison, "random").accuracy.mean, abs=0.5)
        assert comparison.ranking_above_shuffled.low > 45
        assert bool(comparison.probabilities) == (comparison.zoos == 1)
        for name, perfect in {"AUROC": 1.0, "Brier": 0.0, "ECE": 0.0}.items() if comparison.probabilities else ():
            assert comparison.probabilities[name] == (perfect, perfect, perfect)


def test_a_scorer_that_does_not_read_profiles_is_not_hurt_by_shuffling(table: OutcomeTable) -> None:
    for comparison in held_out(table, FakeScorer(lambda text, _: hash_of(text) % 97 / 97)):
        control, ours = comparison.rows[2:4]
        assert ours.ranking is not None
        assert control.ranking is not None
        assert ours.accuracy.mean == pytest.approx(row(comparison, "random").accuracy.mean), "ties share"
        assert control.accuracy == pytest.approx(ours.accuracy)
        assert control.ranking == pytest.approx(ours.ranking)
        assert comparison.ranking_above_shuffled == pytest.approx((0.0, 0.0, 0.0))


def test_an_item_that_somebody_was_not_asked_is_left_out(table: OutcomeTable) -> None:
    rows = Split().items(table.item_ids)["test"]
    correct = table.correct_IM.copy()
    correct[rows[:4], table.column(Split().models(table.models)["test"][2])] = np.nan
    found = held_out(replace(table, correct_IM=correct), BestByAptitude())
    assert [comparison.items for comparison in found] == [len(rows) - 4] * 2 + [len(rows)] * 2


def test_a_question_that_also_stands_in_the_training_part_is_left_out(table: OutcomeTable) -> None:
    parts = Split().items(table.item_ids)
    questions = list(table.questions)
    for test_row, seen_row in zip(parts["test"][:3], [*parts["train"][:2], parts["validation"][0]], strict=True):
        questions[test_row] = questions[seen_row]
    questions[parts["test"][4]] = questions[parts["test"][5]]  # twice, but held out both times
    found = held_out(replace(table, questions=tuple(questions)), BestByAptitude())
    assert {comparison.items for comparison in found} == {len(parts["test"]) - 3}


def test_what_cannot_be_compared_is_refused(table: OutcomeTable) -> None:
    renamed = replace(table, models=("gpt-17", *table.models[1:]))
    with pytest.raises(UnknownCandidate, match="no candidate 'gpt-17'"):
        held_out(renamed, BestByAptitude(), Split(test_models=22))
    with pytest.raises(InvalidInput, match="'made-up' has no test item that all 6 unseen models were measured on"):
        held_out(some_items(table, Split().items(table.item_ids)["train"]), BestByAptitude())


@needs_shared_data
def test_the_shipped_network_beats_chance_and_its_shuffled_self_on_what_it_has_never_seen() -> None:
    real = read_outcomes(SHARED, "mmlu-pro")
    rows = Split().items(real.item_ids)["test"]
    some = np.sort(np.random.default_rng(0).choice(rows, 150, replace=False))
    comparisons = held_out(some_items(real, some), load_scorer("mini"))
    for comparison in comparisons:
        control, ours = comparison.rows[2:4]
        assert control.router == f"{ours.router}, shuffled capability"
        assert ours.above_random.low > 0, comparison.title
        assert ours.accuracy.mean > control.accuracy.mean, comparison.title
        assert comparison.ranking_above_shuffled.low > 0, comparison.title
    assert comparisons[0].probabilities["AUROC"].low > 0.6
