"""Events about decisions: one for each, without the text of the query."""

from llama_calls import user

from llamaindex_cit import CITRouteEvent, CITSelectionEvent, CITSingleSelector


def test_every_decision_is_one_event_that_quotes_nothing(llm, router, events) -> None:
    llm.chat([user("a hard SECRET")])
    CITSingleSelector(router).select(["small", "large"], "an easy SECRET")
    ours = [event for event in events if isinstance(event, CITRouteEvent | CITSelectionEvent)]
    assert [event.class_name() for event in ours] == ["CITRouteEvent", "CITSelectionEvent"]
    assert [event.decision.model for event in ours] == ["large", "small"]
    assert "SECRET" not in "".join(event.model_dump_json() for event in ours)
