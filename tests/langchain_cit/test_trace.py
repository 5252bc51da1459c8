"""A candidate's run says which decision it came from; a config says nothing of this router to one within."""

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from langchain_cit._trace import consumed, fallback_event, metadata_of, tag_of

DECISION = Router(FakeScorer({"a": 0.9, "b": 0.5}), [Candidate(id="a"), Candidate(id="b")]).route("q")


def test_the_metadata_of_a_run_is_its_decisions_and_names_who_answers_after_a_failure() -> None:
    attempts = Fallback().attempts(DECISION)
    told = {"cit_decision": DECISION.id, "cit_policy": "best"}
    assert metadata_of(DECISION, attempts) == {
        **told,
        "cit_model": "a",
        "cit_probability": 0.9,
        "cit_reason": "policy",
    }
    attempts.failed(TimeoutError("SECRET"))
    assert metadata_of(DECISION, attempts) == {
        **told,
        "cit_model": "b",
        "cit_probability": 0.5,
        "cit_reason": "fallback",
        "cit_fallback_from": "a",
    }
    assert tag_of("b") == "cit_model:b"
    assert fallback_event(DECISION, attempts)["failures"] == [
        {"model": "a", "error": "TimeoutError", "reason": "no answer"}
    ]


def test_what_was_meant_for_this_router_alone_goes_no_further() -> None:
    config = {"configurable": {"cit_model": "a", "cit_policy": "best", "mine": 1}, "tags": ["t"]}
    assert consumed(config) == {"configurable": {"cit_policy": "best", "mine": 1}, "tags": ["t"]}
    assert consumed({"tags": ["t"]}) == {"tags": ["t"]}
