"""The experiment of cascades prices models, has a content-blind row and averages its draws."""

import pytest
from bench_tables import log_table, text_vectors

from cit_core.evaluate.experiments.cascades import cascades, query_usd
from cit_core.evaluate.experiments.few import Halved
from cit_core.evaluate.experiments.ways import BLIND, ROUTING
from cit_core.outcomes import Split
from cit_core.records import Candidate, Capability


def test_prices():
    assert query_usd("some-8x7B-chat") == pytest.approx(56 * 0.01 * 700 / 1e6)
    assert query_usd("nobody knows it") is None
    told = {"mine": Capability(candidate=Candidate(id="mine", price_in=1.0, price_out=2.0))}
    assert query_usd("mine", told) == pytest.approx((500 + 2 * 200) / 1e6)


def test_the_tables_have_a_content_blind_row():
    table = log_table(models=("a-1b", "b-8b", "c-70b", "no price"), items=300)
    halved = Halved(table, text_vectors(table.instructions), Split())
    (cost, quality), (figure,) = cascades([halved], Split(), aurocs=(0.85, 1.0), knobs=10, draws=1)
    ways = [row[0] for row in cost.rows]
    assert ways == [row[0] for row in quality.rows]
    assert {BLIND, ROUTING, "cascade, AUROC 0.85", "cascade, AUROC 1"} < set(ways)
    assert cost.columns[2].name == "log (3 models)"
    mean = {row[0]: row[1].mean for row in cost.rows}
    assert mean["always the best"] == 100.0
    assert mean["cascade, AUROC 1"] <= 100.0
    assert figure.name == "cost-cascades"
    assert cascades([Halved(log_table(), text_vectors(log_table().instructions), Split())], Split()) == ((), ())


def test_draws_of_the_halves_are_averaged():
    table = log_table(models=("a-70b", "b-8b", "c-1b"), items=240)
    vectors, second = text_vectors(table.instructions), Split(seed=f"{Split().seed}-1")

    def quality_of(draws, split):
        halved = Halved(table, vectors, split)
        (cost, quality), _ = cascades([halved], split, aurocs=(1.0,), knobs=10, draws=draws)
        return next(row[1] for row in quality.rows if row[0] == "cascade, AUROC 1"), cost.note

    both, note = quality_of(2, Split())
    alone, again = quality_of(1, Split())[0], quality_of(1, second)[0]
    assert both.mean == pytest.approx((alone.mean + again.mean) / 2)
    assert alone.mean != again.mean, "the draws are the same"
    assert "2 draws" in note
