"""What a router knows of tables by published scores: the questions' difficulty shows, unknown models take no part."""

from dataclasses import replace

import numpy as np
import pytest
from bench_tables import log_table

from cit_core.calibration import sigmoid
from cit_core.errors import InvalidInput
from cit_core.evaluate.experiments.current import HULL, current
from cit_core.outcomes import Split

MODELS = ("gpt-4o", "gpt-4o-mini", "o3-mini", "nobody knows it")


class Oracle:
    """A network that knows how hard each question is, and of models what their profile says."""

    def __init__(self, table, weight=1.0):
        self.easiness = dict(zip(table.instructions, table.correct_IK.mean(axis=1), strict=True))
        self.weight = weight
        self.asked = None

    def score(self, instructions, capabilities):
        self.asked = [capability.candidate.id for capability in capabilities]
        level = np.array([capability.mean_accuracy for capability in capabilities])
        easy = np.array([self.easiness[text] for text in instructions])[:, None]
        return sigmoid(np.log(level / (1 - level)) + self.weight * 4 * (easy - 0.5))


def table_of(models=MODELS, items=200):
    return replace(log_table(models=models, items=items), name="made")


def test_difficulty_is_told_above_the_level_and_its_absence_too():
    table = table_of()
    known, blind = Oracle(table), Oracle(table, weight=0.0)
    (told, height, cost, quality), figures = current([table], known, Split())
    row, mean = told.rows
    columns = {column.name: at for at, column in enumerate(told.columns)}
    assert known.asked == sorted(MODELS[:3])
    assert row[:3] == ("made", 3, 200)
    assert row[columns["AUROC"]].mean > row[columns["AUROC of the level"]].mean + 0.1
    assert row[columns["above the level's"]].low > 0.0
    assert mean[3:] == row[3:], "the mean of one table is that table"
    assert height.rows[0][1].mean > 0.0
    assert height.rows[0][1:] == height.rows[1][1:]
    (flat, level, *_), _ = current([table], blind, Split())
    assert level.rows[0][1] == pytest.approx((0.0, 0.0, 0.0)), "who looks at no question is on the hull of the levels"
    assert flat.rows[0][columns["above the level's"]] == pytest.approx((0.0, 0.0, 0.0))
    assert flat.rows[0][columns["above it"]] == pytest.approx((0.0, 0.0, 0.0))
    ways = [
        "always the best", "content-blind mixture", "content-blind mixture by published levels", "routing",
    ]  # fmt: skip
    assert [row[0] for row in cost.rows] == [row[0] for row in quality.rows] == ways
    assert figures == ()


def test_models_known_by_published_scores_alone_stay_in_the_order_of_their_levels():
    table = table_of()

    class Contrary(Oracle):
        def score(self, instructions, capabilities):
            return 1.0 - super().score(instructions, capabilities)

    (told, *_), _ = current([table], Contrary(table), Split())
    columns = {column.name: at for at, column in enumerate(told.columns)}
    assert told.rows[0][columns["above it"]] == pytest.approx((0.0, 0.0, 0.0))
    assert told.rows[0][columns["AUROC"]].mean < 0.5


def test_small_tables_have_no_cost_and_unknown_ones_are_refused():
    small = table_of(items=20)
    tables, _ = current([small], Oracle(small), Split())
    assert [table.title for table in tables] == ["By published scores alone: 1 tables", HULL]
    strange = table_of(models=("nobody", "knows", "them"))
    with pytest.raises(InvalidInput, match="cit models list"):
        current([strange], Oracle(strange), Split())
