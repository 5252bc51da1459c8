"""A call that comes again with another model, before it was answered, is another middleware's."""

from types import SimpleNamespace
from typing import Any

import pytest
from langchain.agents.middleware import ModelRequest
from scripted import Scripted

from langchain_cit._unanswered import Unanswered


@pytest.fixture
def candidates() -> dict[str, Scripted]:
    return {"small": Scripted(model_name="s"), "large": Scripted(model_name="l")}


def test_only_an_unanswered_call_with_another_model_is_one_made_again(candidates) -> None:
    def call(task: str, model: str) -> Any:
        runtime = SimpleNamespace(execution_info=SimpleNamespace(task_id=task))
        return ModelRequest(model=candidates[model], messages=[], runtime=runtime)  # type: ignore[arg-type]

    unanswered = Unanswered(remembered=2)
    with unanswered.until_answered(call("a", "small")):
        pass
    assert not unanswered.is_made_again(call("a", "large"))
    for task in ("a", "b"):
        with pytest.raises(TimeoutError), unanswered.until_answered(call(task, "small")):
            raise TimeoutError
    assert unanswered.is_made_again(call("a", "large"))
    assert not unanswered.is_made_again(call("a", "small"))
    assert not unanswered.is_made_again(call("c", "large"))
    with pytest.raises(TimeoutError), unanswered.until_answered(call("c", "small")):
        raise TimeoutError
    assert [unanswered.is_made_again(call(task, "large")) for task in ("a", "b", "c")] == [False, True, True]
