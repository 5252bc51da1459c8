"""What came of answers with nothing in them."""

import pickle
from types import SimpleNamespace

import pytest

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from cit_core.router.empty_answer import EmptyAnswer, endings_in, held_by, held_one


def test_what_came_is_given_where_nobody_had_more_to_say() -> None:
    decision = Router(FakeScorer({"a": 0.9}), [Candidate(id="a")]).route("q")
    mine, other = Fallback().attempts(decision), Fallback().attempts(decision)
    assert held_by(EmptyAnswer(["", ""], mine), mine) == ["", ""]
    assert held_one(EmptyAnswer([""], mine), mine) == ""
    for error, asked in ((EmptyAnswer([""], other), held_by), (EmptyAnswer([], mine), held_one)):
        with pytest.raises(EmptyAnswer, match="the answer is empty"):
            asked(error, mine)


def test_it_pickles_with_what_came() -> None:
    copied = pickle.loads(pickle.dumps(EmptyAnswer(["x"])))
    assert (str(copied), copied.held) == (str(EmptyAnswer()), ["x"])


def test_an_ending_is_read_under_the_names_of_all_providers() -> None:
    assert (
        endings_in({"finish_reason": "stop", "usage": 1}) == endings_in(SimpleNamespace(stopReason="stop")) == ["stop"]
    )
    assert endings_in({"finish_reason": None}) == endings_in(None) == []
