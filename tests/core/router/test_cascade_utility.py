"""What a cascade expects of asking, checked by hand."""

import numpy as np
import pytest

from cit_core.router import Rates
from cit_core.router.cascade_utility import Reading, after_verdict, expected_cost, expected_utility

SHARP = Rates(true_positive=0.9, false_positive=0.1)


def test_expected_utility_by_hand():
    reading = Reading(SHARP, 0.0, np.full(2, 0.001))
    utility = expected_utility(np.array([0.6, 0.9]), np.array([0.01, 0.1]), 1.0, reading)
    # P(yes) = .6 x .9 + .4 x .1 = .58, P(right | yes) = .54/.58; after no .06/.42, so the other is asked: .9 - .1
    assert utility[0] == pytest.approx(0.58 * 0.54 / 0.58 + 0.42 * (0.9 - 0.1) - 0.01 - 0.001)
    spent = expected_cost(np.array([0.6, 0.9]), np.array([0.01, 0.1]), 1, reading)
    assert spent[0] == pytest.approx(0.01 + 0.001 + 0.42 * 0.1)


def test_a_verdict_on_one_tells_about_the_others():
    p = np.array([0.5, 0.8])
    assert after_verdict(p, 0, 0.1, 0.0) == pytest.approx([0.1, 0.8])
    # both = .4 + .5 x .5 x .4 = .5 clipped to .5: whatever the first gets right, the second does
    assert after_verdict(p, 0, 0.0, 0.5) == pytest.approx([0.0, (0.8 - 0.5) / 0.5])
    assert after_verdict(p, 0, 0.5, 0.5) == pytest.approx([0.5, 0.8])
