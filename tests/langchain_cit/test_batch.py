"""A batch goes in rounds, under time limits input by input."""

import asyncio
import time
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

from cit_core.errors import InvalidInput
from cit_core.router import Fallback
from langchain_cit import RunnableRouter
from langchain_cit._batch import Batch


def test_an_input_without_a_decision_is_its_own_error_or_everybodys(router) -> None:
    asking = RunnableRouter({"small": str.upper}, router, strict=True).asking
    outcomes = asking.decide_each(["q", ""], {}, [{}, {}])
    with pytest.raises(InvalidInput):
        Batch(asking, outcomes, return_exceptions=False)
    with Batch(asking, outcomes) as batch:
        assert batch.shares() == {"small": [0]}
        batch.take(batch.shares(), [["Q"]])
        assert batch.shares() == {}
    assert batch.results == ["Q", outcomes[1]]


def test_an_empty_message_goes_on_to_the_next_and_stays_if_all_are_empty(router) -> None:
    empty, said = RunnableLambda(lambda _: AIMessage("")), RunnableLambda(lambda _: AIMessage("said"))
    assert RunnableRouter({"small": empty, "large": said}, router).batch(["easy"])[0].text == "said"
    assert RunnableRouter({"small": empty, "large": said}, router).invoke("easy").text == "said"
    assert RunnableRouter({"small": empty, "large": empty}, router).batch(["easy"]) == [AIMessage("")]
    assert RunnableRouter({"small": empty, "large": empty}, router).invoke("easy") == AIMessage("")


def slow(value: str) -> str:
    if "slow" in value:
        time.sleep(1.5)
    return f"small {value}"


async def aslow(value: str) -> str:
    if "slow" in value:
        await asyncio.sleep(1.5)
    return f"small {value}"


@pytest.mark.parametrize("how", ["batch", "abatch", "invoke", "ainvoke"])
async def test_an_attempt_has_a_limit_for_every_input(router, how: str) -> None:
    routes: dict[str, Any] = {"small": RunnableLambda(slow, aslow), "large": lambda value: f"large {value}"}
    routing = RunnableRouter(routes, router, fallback=Fallback(attempt_timeout_s=0.3, failures=9))
    match how:
        case "batch":
            found = routing.batch(["easy", "slow", "easy too"])
        case "abatch":
            found = await routing.abatch(["easy", "slow", "easy too"])
        case "invoke":
            found = [routing.invoke(value) for value in ("easy", "slow", "easy too")]
        case _:
            found = [await routing.ainvoke(value) for value in ("easy", "slow", "easy too")]
    assert found == ["small easy", "large slow", "small easy too"]


def test_a_call_has_a_limit_over_all_its_attempts(router) -> None:
    routing = RunnableRouter({"small": slow, "large": slow}, router, fallback=Fallback(timeout_s=0.3))
    with pytest.raises(TimeoutError, match=r"nothing came within 0\.\d+ s"):
        routing.invoke("slow")
