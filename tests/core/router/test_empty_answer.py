"""What came of answers with nothing in them."""

import pickle
from types import SimpleNamespace

import pytest

from cit_core.provider_errors import Fault, classify
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from cit_core.router.empty_answer import EmptyAnswer, endings_in, held_by, held_one, require_ended


def test_what_came_is_given_where_nobody_had_more_to_say() -> None:
    decision = Router(FakeScorer({"a": 0.9}), [Candidate(id="a")]).route("q")
    mine, other = Fallback().attempts(decision), Fallback().attempts(decision)
    assert held_by(EmptyAnswer(["", ""], mine), mine) == ["", ""]
    assert held_one(EmptyAnswer([""], mine), mine) == ""
    for error, asked in ((EmptyAnswer([""], other), held_by), (EmptyAnswer([], mine), held_one)):
        with pytest.raises(EmptyAnswer, match="the answer is empty"):
            asked(error, mine)


@pytest.mark.parametrize("kept_back", [False, True])
def test_it_pickles_with_what_came(kept_back: bool) -> None:
    error = EmptyAnswer(["x"], kept_back=kept_back)
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.held, copied.kind) == (str(error), ["x"], error.kind)


@pytest.mark.parametrize("ending", ["refusal", "content_filter", "FinishReason.SAFETY"])
def test_an_answer_that_is_kept_back_is_a_fault_of_the_question(ending: str) -> None:
    attempts = Fallback().attempts(Router(FakeScorer({"a": 0.9}), [Candidate(id="a")]).route("q"))
    with pytest.raises(EmptyAnswer, match="kept its answer back") as caught:
        require_ended([""], attempts, [ending], counted=True)
    assert classify(caught.value) == Fault("content_filter")
    for endings, counted in (["stop"], False), ([], True):
        require_ended([""], attempts, endings, counted=counted)
    with pytest.raises(EmptyAnswer, match="not called ended") as caught:
        require_ended([""], attempts, [], counted=False)
    assert classify(caught.value) == Fault("unavailable")


@pytest.mark.parametrize("ending", ["MALFORMED_FUNCTION_CALL", "FinishReason.UNEXPECTED_TOOL_CALL"])
def test_a_call_that_was_written_wrong_is_a_fault_of_the_model_though_it_was_counted(ending: str) -> None:
    attempts = Fallback().attempts(Router(FakeScorer({"a": 0.9}), [Candidate(id="a")]).route("q"))
    with pytest.raises(EmptyAnswer) as caught:
        require_ended([""], attempts, [ending], counted=True)
    assert classify(caught.value) == Fault("unavailable")


def test_an_ending_is_read_under_the_names_of_all_providers() -> None:
    assert (
        endings_in({"finish_reason": "stop", "usage": 1}) == endings_in(SimpleNamespace(stopReason="stop")) == ["stop"]
    )
    cut = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    assert endings_in(cut) == ["content_filter", "incomplete"], "why goes before that it did"
    assert endings_in({"status": "completed", "incomplete_details": None}) == ["completed"]
    assert endings_in({"status": "in_progress"}) == endings_in({"finish_reason": None}) == endings_in(None) == []
