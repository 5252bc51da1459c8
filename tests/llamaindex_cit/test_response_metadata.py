"""What a response says about its decision, and that the candidate's own response is left alone."""

from llama_index.core.base.llms.types import ChatMessage, ChatResponse

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router
from llamaindex_cit._response_metadata import stamped, stamps, unstamped

DECISION = Router(FakeScorer({"a": 0.9}), [Candidate(id="a")]).route("q")


def test_stamps_go_on_a_copy_and_come_off_again() -> None:
    given = ChatResponse(message=ChatMessage(content="x"), additional_kwargs={"own": 1})
    once = stamped(given, stamps("a", DECISION))
    assert once.additional_kwargs == {"own": 1, "cit_model": "a", "cit_route": DECISION.model_dump(mode="json")}
    assert given.additional_kwargs == {"own": 1}
    twice = stamped(once, stamps("b", DECISION))
    assert (twice.additional_kwargs["cit_model"], twice.additional_kwargs["cit_inner"]["cit_model"]) == ("b", "a")
    assert unstamped(twice).additional_kwargs == once.additional_kwargs
    assert unstamped(once).additional_kwargs == given.additional_kwargs
