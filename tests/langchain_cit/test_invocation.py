"""Where a candidate cannot be reached the next-best answers, in every way to call, and the trace shows it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.exceptions import ModelRateLimitError, ModelTimeoutError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig, RunnableGenerator, RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langgraph.errors import GraphInterrupt
from pydantic import Field

from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Fallback, Router
from langchain_cit import ChatCIT, RunnableRouter

REQUEST = httpx.Request("POST", "http://localhost")
ERRORS = [
    TimeoutError("t"),
    httpx.ConnectError("c"),
    openai.RateLimitError("r", response=httpx.Response(429, request=REQUEST), body=None),
    openai.InternalServerError("i", response=httpx.Response(500, request=REQUEST), body=None),
    ModelRateLimitError("m"),
    ModelTimeoutError("m"),
]
WAYS = ["invoke", "stream", "batch", "batch_as_completed", "ainvoke", "astream", "abatch", "abatch_as_completed"]


class Moody(BaseChatModel):
    """Answers with its name, or fails: before it says anything, or after so many words."""

    called: str
    error: BaseException | None = None
    after: int = 0
    asked: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "moody"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.asked.append(messages[-1].text)
        if self.error is not None:
            raise self.error
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"I am {self.called}"))])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        self.asked.append(messages[-1].text)
        for place, word in enumerate(["I ", "am ", self.called]):
            if self.error is not None and place == self.after:
                raise self.error
            yield ChatGenerationChunk(message=AIMessageChunk(word))


def zoo_of(**errors: BaseException) -> dict[str, Moody]:
    return {id_: Moody(called=id_, error=errors.get(id_)) for id_ in ("best", "second", "third")}


@pytest.fixture
def router() -> Router:
    scores = {"best": 0.9, "second": 0.6, "third": 0.3}
    return Router(FakeScorer(scores), [Candidate(id=id_) for id_ in scores])


async def answer(routing: Any, how: str, config: RunnableConfig | None = None) -> str:
    """What it says to `q` when it is called in the way named."""
    match how:
        case "invoke":
            return routing.invoke("q", config).text
        case "ainvoke":
            return (await routing.ainvoke("q", config)).text
        case "stream":
            return "".join(chunk.text for chunk in routing.stream("q", config))
        case "astream":
            return "".join([chunk.text async for chunk in routing.astream("q", config)])
        case "batch":
            return routing.batch(["q"], config)[0].text
        case "abatch":
            return (await routing.abatch(["q"], config))[0].text
        case "batch_as_completed":
            return next(iter(routing.batch_as_completed(["q"], config)))[1].text
        case "abatch_as_completed":
            (found,) = [found async for _, found in routing.abatch_as_completed(["q"], config)]
            return found.text
    raise AssertionError(how)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_the_next_best_answers(router, how: str, error: Exception) -> None:
    assert await answer(RunnableRouter(zoo_of(best=error), router), how) == "I am second"


@pytest.mark.parametrize("how", WAYS)
async def test_an_error_of_the_question_or_the_code_is_the_callers(router, how: str) -> None:
    models = zoo_of(best=ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        await answer(RunnableRouter(models, router), how)
    assert models["second"].asked == []


@pytest.mark.parametrize("how", WAYS)
async def test_fallback_on_and_max_attempts_decide(router, how: str) -> None:
    models = zoo_of(best=KeyError("b"), second=KeyError("s"))
    routing = RunnableRouter(models, router, fallback=Fallback(KeyError, max_attempts=2))
    with pytest.raises(KeyError, match="s"):
        await answer(routing, how)
    assert [len(model.asked) for model in models.values()] == [1, 1, 0]
    assert await answer(RunnableRouter(models, router, fallback=Fallback(KeyError)), how) == "I am third"
    with pytest.raises(KeyError, match="b"):
        await answer(RunnableRouter(models, router, fallback=Fallback(KeyError, max_attempts=1)), how)


@pytest.mark.parametrize("how", WAYS)
async def test_every_attempt_is_in_the_trace_inside_the_routers_run(router, listener, how: str) -> None:
    tracer = RunCollectorCallbackHandler()
    models = zoo_of(best=TimeoutError("secret"), second=TimeoutError("secret"))
    await answer(RunnableRouter(models, router), how, {"callbacks": [tracer, listener]})
    (run,) = tracer.traced_runs
    assert run.error is None
    assert [child.metadata["cit_model"] for child in run.child_runs] == ["best", "second", "third"]
    assert [f"cit_model:{id_}" in child.tags for child, id_ in zip(run.child_runs, models, strict=True)] == [True] * 3
    assert [child.error is None for child in run.child_runs] == [False, False, True]
    assert [event["name"] for event in listener.events] == ["cit_route", "cit_fallback", "cit_fallback"]
    decision, first, second = (event["data"] for event in listener.events)
    failed = {"model": "best", "error": "TimeoutError", "reason": "no answer"}
    assert first == {"decision": decision["id"], "chosen": "best", "model": "second", "failures": [failed]}
    assert second["model"] == "third"
    assert second["failures"] == [failed, {"model": "second", "error": "TimeoutError", "reason": "no answer"}]
    assert "secret" not in str(listener.events)
    assert {event["run_id"] for event in listener.events} == {run.id}


@pytest.mark.parametrize("how", ["stream", "astream"])
async def test_a_stream_that_has_begun_is_not_begun_again(router, how: str) -> None:
    models = zoo_of(best=TimeoutError("midway"))
    models["best"].after = 1
    with pytest.raises(TimeoutError, match="midway"):
        await answer(RunnableRouter(models, router), how)
    assert models["second"].asked == []


@pytest.mark.parametrize("how", ["ainvoke", "abatch"])
async def test_an_answer_that_somebody_follows_token_by_token_is_not_begun_again(router, how: str) -> None:
    models = zoo_of(best=TimeoutError("midway"))
    models["best"].after = 1
    chain = RunnableLambda(lambda _: None, afunc=lambda _, config: answer(RunnableRouter(models, router), how, config))
    seen: Counter[str] = Counter()

    async def follow() -> None:
        async for event in chain.astream_events("q", version="v2"):
            seen[event["event"]] += 1

    with pytest.raises(TimeoutError, match="midway"):
        await follow()
    assert seen["on_chat_model_stream"] == 1
    assert models["second"].asked == []


class Streaming(Moody):
    """Streams even where it is asked for an answer in one piece, as providers' models do once this is set."""

    streaming: bool = False


class Following(BaseCallbackHandler):
    """Follows tokens."""

    def on_llm_new_token(self, *_: Any, **__: Any) -> None:
        """Shows it to somebody."""


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch", "abatch"])
@pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])
async def test_pieces_that_nobody_follows_are_no_beginning(router, listener, kind: Any, how: str) -> None:
    models = {**zoo_of(), "best": Streaming(called="best", streaming=True, error=TimeoutError("midway"), after=1)}
    quiet: RunnableConfig = {"callbacks": [RunCollectorCallbackHandler(), listener, UsageMetadataCallbackHandler()]}
    assert await answer(kind(models, router), how, quiet) == "I am second"
    with pytest.raises(TimeoutError, match="midway"):
        await answer(kind(models, router), how, {"callbacks": [Following()]})


async def test_a_candidates_own_callbacks_may_follow_it(router) -> None:
    midway = Streaming(called="best", streaming=True, error=TimeoutError("midway"), after=1, callbacks=[Following()])
    with pytest.raises(TimeoutError, match="midway"):
        RunnableRouter({**zoo_of(), "best": midway}, router).invoke("q")


@pytest.mark.parametrize("kind", [RunnableRouter, ChatCIT])
@pytest.mark.parametrize("how", ["stream", "astream"])
async def test_who_dies_in_the_middle_of_every_stream_is_left_alone(router, kind: Any, how: str) -> None:
    models, fallback = zoo_of(best=TimeoutError("midway")), Fallback(failures=2)
    models["best"].after = 1
    routing = kind(models, router, fallback=fallback)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="midway"):
            await answer(routing, how)
    assert fallback.state("best") == "open"
    assert await answer(routing, how) == "I am second"


async def test_who_stops_listening_closes_the_candidates_stream_at_once(router) -> None:
    closed = []

    async def words(_: AsyncIterator[Any]) -> AsyncIterator[str]:
        try:
            for word in ("one", "two"):
                yield word
        finally:
            await asyncio.sleep(0)  # as a connection takes its time to close
            closed.append(True)

    fallback = Fallback()
    stream = RunnableRouter({"best": RunnableGenerator(words)}, router, fallback=fallback).astream("q")
    assert await anext(stream) == "one"
    await stream.aclose()
    assert (closed, fallback.state("best")) == ([True], "closed")


@pytest.mark.parametrize("how", WAYS)
async def test_an_interrupt_of_a_graph_is_no_failure(router, how: str) -> None:
    fallback = Fallback(fallback_on=Exception)
    models = zoo_of(best=GraphInterrupt())
    with pytest.raises(GraphInterrupt):
        await answer(RunnableRouter(models, router, fallback=fallback), how)
    assert (models["second"].asked, fallback.state("best")) == ([], "closed")


async def test_chunks_come_as_they_are_made(router) -> None:
    """The first chunk is handed on before the second is asked for."""
    made = []

    def words(_: Iterator[Any]) -> Iterator[str]:
        for word in ("one", "two"):
            made.append(word)
            yield word

    async def awords(_: AsyncIterator[Any]) -> AsyncIterator[str]:
        for word in ("one", "two"):
            made.append(word)
            yield word

    routing = RunnableRouter({"best": RunnableGenerator(words, awords)}, router)
    stream = routing.stream("q")
    assert (next(stream), made) == ("one", ["one"])
    assert list(stream) == ["two"]
    made.clear()
    astream = routing.astream("q")
    assert (await anext(astream), made) == ("one", ["one"])
    assert [chunk async for chunk in astream] == ["two"]


async def test_a_stream_of_nothing_is_an_answer(router) -> None:
    def nothing(_: Iterator[Any]) -> Iterator[str]:
        yield from ()

    async def anothing(_: AsyncIterator[Any]) -> AsyncIterator[str]:
        for word in ():
            yield word

    routing = RunnableRouter({"best": RunnableGenerator(nothing, anothing)}, router)
    assert list(routing.stream("q")) == []
    assert [chunk async for chunk in routing.astream("q")] == []


def sometimes(name: str, *bad: str) -> RunnableLambda:
    """Fails for some inputs; notes each batch that it is given."""

    def act(value: str) -> str:
        if value in bad:
            raise TimeoutError(value)
        return f"{name} {value}"

    class Noting(RunnableLambda):
        def batch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
            self.batches.append(list(inputs))
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)

        async def abatch(self, inputs, config=None, *, return_exceptions=False, **kwargs):
            self.batches.append(list(inputs))
            return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)

    noting = Noting(act)
    noting.batches = []
    return noting


@pytest.mark.parametrize("how", ["batch", "abatch"])
async def test_in_a_batch_what_failed_goes_to_the_next_as_one_batch(how: str) -> None:
    scores = {"best": 0.9, "second": 0.6, "third": 0.3}
    scorer = FakeScorer(scores)
    router = Router(scorer, [Candidate(id=id_) for id_ in scores])
    routes = {"best": sometimes("best", "b", "c", "d"), "second": sometimes("second", "d"), "third": sometimes("third")}
    routing = RunnableRouter(routes, router, fallback=Fallback(failures=99))
    if how == "batch":
        answers = routing.batch(["a", "b", "c", "d"])
    else:
        answers = await routing.abatch(["a", "b", "c", "d"])
    assert answers == ["best a", "second b", "second c", "third d"]
    assert [route.batches for route in routes.values()] == [[["a", "b", "c", "d"]], [["b", "c", "d"]], [["d"]]]
    assert scorer.calls == [("a", "b", "c", "d")]


async def test_in_a_batch_each_input_has_its_own_last_error(router) -> None:
    routes = {id_: sometimes(id_, "b") for id_ in ("best", "second", "third")}
    routing = RunnableRouter(routes, router, strict=True)
    for found in (
        routing.batch(["a", "b", ""], return_exceptions=True),
        await routing.abatch(["a", "b", ""], return_exceptions=True),
    ):
        assert found[0] == "best a"
        assert [type(error) for error in found[1:]] == [TimeoutError, InvalidInput]
    with pytest.raises(TimeoutError):
        routing.batch(["a", "b"])


@pytest.mark.parametrize("how", ["batch_as_completed", "abatch_as_completed"])
async def test_as_completed_scores_once_and_says_which(how: str) -> None:
    scorer = FakeScorer({"best": 0.9, "second": 0.1})
    router = Router(scorer, [Candidate(id="best"), Candidate(id="second")])
    routing = RunnableRouter({"best": sometimes("best", "b"), "second": sometimes("second")}, router, strict=True)
    values = ["a", "b", "", "c"]
    if how == "batch_as_completed":
        found = dict(routing.batch_as_completed(values, return_exceptions=True))
    else:
        found = {place: out async for place, out in routing.abatch_as_completed(values, return_exceptions=True)}
    assert [found[place] for place in (0, 1, 3)] == ["best a", "second b", "best c"]
    assert isinstance(found[2], InvalidInput)
    assert scorer.calls == [("a", "b", "c")]


# -- the cool-down ----------------------------------------------------------------------------------------------------


def test_who_is_down_is_left_alone_then_probed_and_the_event_says_so(router, listener) -> None:
    now = [0.0]
    models = zoo_of(best=TimeoutError())
    fallback = Fallback(failures=2, cool_down_s=60, clock=lambda: now[0])
    routing = RunnableRouter(models, router, fallback=fallback)
    for _ in range(5):
        assert routing.invoke("q").text == "I am second"
    assert len(models["best"].asked) == 2
    routing.invoke("q", {"callbacks": [listener]})
    route, after = (event["data"] for event in listener.events)
    assert route["model"] == "best"
    assert (after["model"], after["failures"]) == ("second", [])
    models["best"].error = None
    now[0] = 60.0
    assert routing.invoke("q").text == "I am best"
    assert fallback.state("best") == "closed"


@pytest.mark.parametrize("how", WAYS)
async def test_an_answer_closes_the_breaker_in_every_way_to_call(router, how: str) -> None:
    now = [0.0]
    fallback = Fallback(failures=1, cool_down_s=60, clock=lambda: now[0])
    models = zoo_of(best=TimeoutError())
    routing = RunnableRouter(models, router, fallback=fallback)
    await answer(routing, how)
    assert fallback.state("best") == "open"
    models["best"].error, now[0] = None, 60.0
    assert await answer(routing, how) == "I am best"
    assert fallback.state("best") == "closed"


async def test_one_fallback_may_serve_several_routers(router) -> None:
    fallback = Fallback(failures=1)
    down, up = zoo_of(best=TimeoutError()), zoo_of()
    await RunnableRouter(down, router, fallback=fallback).ainvoke("q")
    assert (await RunnableRouter(up, router, fallback=fallback).ainvoke("q")).text == "I am second"
    assert (await RunnableRouter(up, router).ainvoke("q")).text == "I am best"


async def test_copies_of_a_router_share_its_cool_downs(router) -> None:
    models = zoo_of(best=TimeoutError())
    routing = RunnableRouter(models, router, fallback=Fallback(failures=1))
    routing.with_config(tags=["x"]).invoke("q")
    routing.bind(stop=["x"]).invoke("q")
    await routing.with_retry().ainvoke("q")
    assert len(models["best"].asked) == 1


async def test_a_cancelled_call_asks_nobody_else_and_says_nothing_against_the_candidate(router) -> None:
    asked = []

    async def forever(value: str) -> str:
        asked.append(value)
        await asyncio.sleep(3600)
        return value

    routes = {id_: RunnableLambda(lambda x: x, forever) for id_ in ("best", "second")}
    fallback = Fallback(lambda _: True, failures=1)
    task = asyncio.create_task(RunnableRouter(routes, router, fallback=fallback).ainvoke("q"))
    while not asked:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked == ["q"]
    assert fallback.state("best") == "closed"


async def test_a_cancelled_batch_gives_its_probe_back(router) -> None:
    now, asked = [0.0], []

    async def slowly(value: str) -> str:
        asked.append(value)
        if len(asked) == 1:
            raise TimeoutError
        await asyncio.sleep(3600)
        return value

    routes = {"best": RunnableLambda(slowly), "second": RunnableLambda(lambda _: "second")}
    fallback = Fallback(failures=1, cool_down_s=60, clock=lambda: now[0])
    routing = RunnableRouter(routes, router, fallback=fallback)
    assert await routing.ainvoke("q") == "second"
    now[0] = 60.0
    task = asyncio.create_task(routing.abatch(["q"]))
    while len(asked) < 2:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fallback.attempts(await router.aroute("q")).model == "best", "the next call is the probe"
