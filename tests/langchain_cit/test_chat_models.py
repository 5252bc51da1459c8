"""ChatCIT is one chat model to everything around it, and the right one of several inside."""

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, trim_messages
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableBinding, RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from langchain_core.utils.function_calling import convert_to_openai_tool
from parrot import Parrot, prefer_large_for_hard
from pydantic import BaseModel
from scripted import Scripted, every_way

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Constraints
from cit_core.records import Candidate, Decision
from cit_core.router import FakeScorer, Router
from langchain_cit import ChatCIT, RunnableRouter

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture
def candidates() -> dict[str, Scripted]:
    return {"small": Scripted(model_name="small-0125"), "large": Scripted(model_name="large-2024")}


@pytest.fixture
def chat(candidates, router) -> ChatCIT:
    return ChatCIT(candidates, router)


# -- routing, and what the answer says of it --------------------------------------------------------------------------


@pytest.mark.parametrize(("question", "chosen"), [("an easy one", "small"), ("a hard one", "large")])
async def test_whichever_way_it_is_called_the_right_candidate_answers(chat, question, chosen) -> None:
    for answer in await every_way(chat, question):
        assert answer.text == f"{chat.routes[chosen].model_name} says: {question}"
        assert answer.response_metadata["model_name"] == chat.routes[chosen].model_name
        assert Decision.model_validate(answer.response_metadata["cit_route"]).model == chosen
        assert "cit_fallback" not in answer.response_metadata


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        (Scripted(model_name="once"), "once"),
        (Scripted(model_name="often", names_every_chunk=True), "often"),
        (Parrot(called="never"), "only"),
        (Scripted(model_name="unstreamed", disable_streaming=True), "unstreamed"),
        (Scripted(model_name="4o", snapshot="4o-2024"), "4o-2024"),
    ],
    ids=["on the last chunk", "on every chunk", "on none", "has no stream", "more exactly"],
)
async def test_name_and_decision_stand_in_the_metadata_exactly_once(candidate, name) -> None:
    chat = ChatCIT({"only": candidate}, Router(FakeScorer({"only": 0.9}), [Candidate(id="only")]))
    for answer in await every_way(chat, "one two three"):
        assert answer.response_metadata["model_name"] == name
        assert answer.response_metadata["cit_route"]["model"] == "only"
    chunks = list(chat.stream("one two three"))
    assert [("cit_route" in chunk.response_metadata) for chunk in chunks].count(True) == 1
    assert "cit_route" in chunks[0].response_metadata
    assert getattr(chunks[-1], "chunk_position", "last") == "last"


async def test_unannotated_messages_are_as_the_candidate_made_them(candidates, router) -> None:
    chat = ChatCIT(candidates, router, annotate=False)
    for answer in await every_way(chat, "a hard one"):
        assert answer.response_metadata == {"model_name": "large-2024"}


async def test_the_call_is_one_run_and_its_tokens_count_once(chat) -> None:
    for way in range(4):
        usage, runs = UsageMetadataCallbackHandler(), RunCollectorCallbackHandler()
        config = {"callbacks": [usage, runs]}
        if way == 0:
            chat.invoke("hard", config)
        elif way == 1:
            await chat.ainvoke("hard", config)
        elif way == 2:
            list(chat.stream("hard", config))
        else:
            _ = [chunk async for chunk in chat.astream("hard", config)]
        assert [run.run_type for run in runs.traced_runs] == ["llm"]
        assert usage.usage_metadata["large-2024"]["total_tokens"] == len("hard") + len("large-2024 says: hard")
        assert list(usage.usage_metadata) == ["large-2024"]


async def test_events_stream_tokens_once(chat) -> None:
    events = [event async for event in chat.astream_events("an easy one", version="v2")]
    text = "".join(e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream")
    assert text == "small-0125 says: an easy one"
    assert [e["event"] for e in events].count("on_chat_model_start") == 1
    assert events[-1]["data"]["output"].response_metadata["cit_route"]["model"] == "small"


def test_the_newer_event_protocol_works(chat) -> None:
    stream = chat.stream_events("a hard one", version="v3")
    assert str(stream.text) == "large-2024 says: a hard one"


# -- who answers ------------------------------------------------------------------------------------------------------


async def test_model_forces_a_candidate(chat, scorer) -> None:
    for answer in await every_way(chat.bind(model="small"), "a hard one"):
        assert answer.text == "small-0125 says: a hard one"
        assert answer.response_metadata["cit_route"]["chosen_by"] == "caller"
    assert "model" not in chat.routes["small"].heard[0]  # it is an id of ours, not a name at a provider
    with pytest.raises(ValueError, match=r"no candidate 'smal'.*closest: 'small'"):
        chat.invoke("a hard one", model="smal")


async def test_the_config_may_set_what_it_may_for_a_runnable_router(chat) -> None:
    forced = chat.with_config(configurable={"cit_model": "small"})
    for answer in await every_way(forced, "a hard one"):
        assert answer.text.startswith("small-0125")
    with pytest.raises(InvalidInput, match="cit_policy"):
        chat.invoke("x", {"configurable": {"cit_policy": "best", "cit_tradeoff": 1.0}})
    chain = ChatPromptTemplate.from_template("{q}") | chat
    assert chain.invoke({"q": "hard"}, {"configurable": {"cit_model": "small"}}).text.startswith("small-0125")
    assert {"cit_policy", "cit_tradeoff", "cit_model"} <= {spec.id for spec in chain.config_specs}


def test_a_conversation_keeps_its_candidate(candidates) -> None:
    close = Router(FakeScorer(lambda q, id_: 0.5 + 0.05 * (id_ == q.split()[-1])), list(zoo()))
    chat = ChatCIT(candidates, close, sticky="conversation")
    thread = {"configurable": {"thread_id": "t"}}
    asked = [chat.invoke(f"ask {id_}", thread).response_metadata["cit_route"]["model"] for id_ in ("small", "large")]
    assert asked == ["small", "small"]
    assert chat.invoke("ask large").response_metadata["cit_route"]["model"] == "large"


def test_context_is_the_turn_or_the_conversation(candidates, router) -> None:
    history = [HumanMessage("something hard"), AIMessage("yes?"), HumanMessage("go on")]
    assert ChatCIT(candidates, router).invoke(history).text.startswith("small")
    assert ChatCIT(candidates, router, context="conversation").invoke(history).text.startswith("large")


def test_profiles_and_candidates_say_who_can_take_a_query(router) -> None:
    routes = {"small": Scripted(model_name="s"), "large": Scripted(model_name="l", profile={"image_inputs": False})}
    with pytest.raises(NoCandidate, match="large, small: cannot read image") as caught:
        ChatCIT(routes, router, strict=True).invoke([HumanMessage(["easy", PICTURE])])
    assert caught.value.reasons["small"] == "cannot read image"
    decision = ChatCIT(routes, router).invoke([HumanMessage(["easy", PICTURE])]).response_metadata["cit_route"]
    assert (decision["model"], decision["chosen_by"]) == ("small", "default"), "the provider has the last word"


async def test_what_holds_no_text_goes_to_the_default(candidates, router) -> None:
    chat = ChatCIT(candidates, router, default="large")
    for answer in (chat.invoke(""), await chat.ainvoke([HumanMessage("")]), chat.invoke([SystemMessage("")])):
        assert answer.text.startswith("large")
    assert chat.invoke([SystemMessage("easy")]).response_metadata["cit_route"]["chosen_by"] == "policy"


def test_arguments_reach_the_candidate(chat) -> None:
    chat.bind(temperature=0).invoke("easy", seed=1)
    assert chat.routes["small"].heard == [{"temperature": 0, "seed": 1}]


class Stopping(Scripted):
    """Hears its stop words, too."""

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        return super()._generate(messages, None, run_manager, **kwargs, heard_stop=stop)


async def test_what_every_candidate_can_be_called_with_is_bound_and_the_rest_is_refused(router) -> None:
    models = {"small": Stopping(model_name="s", disable_streaming=True), "large": Scripted(model_name="l")}
    chat = ChatCIT(models, router, temperature=0, max_tokens=7, stop=["x"])
    chat.invoke("easy")
    await chat.ainvoke("easy", stop=["y"])
    assert list(chat.stream("easy", max_tokens=9))
    usual = {"temperature": 0, "max_tokens": 7, "heard_stop": ["x"]}
    assert models["small"].heard == [usual, {**usual, "heard_stop": ["y"]}, {**usual, "max_tokens": 9}]
    with pytest.raises(InvalidInput, match="ChatCIT takes no timeout: each candidate has its own; make the candidates"):
        ChatCIT(models, router, timeout=3)


@pytest.mark.parametrize(
    ("routes", "error", "says"),
    [
        ({}, InvalidInput, "at least one"),
        ({"middle": Parrot(called="m")}, UnknownCandidate, "middle"),
        ({"small": Parrot(called="s") | str}, InvalidInput, "RunnableSequence; it must be a chat model"),
        ({"small": str.upper}, InvalidInput, "RunnableLambda; it must be a chat model"),
    ],
)
def test_what_cannot_be_a_route_is_refused(router, routes, error, says) -> None:
    with pytest.raises(error, match=says):
        ChatCIT(routes, router)


# -- tools and structured output --------------------------------------------------------------------------------------


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Fact(BaseModel):
    """A fact."""

    number: int


async def test_bound_tools_reach_who_is_chosen(chat) -> None:
    bound = chat.bind_tools([add], tool_choice="any", strict=True)
    assert isinstance(bound, RunnableBinding)
    for answer in await every_way(bound, "hard: 3"):
        assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("add", {"a": 3, "b": 3})]
    heard = chat.routes["large"].heard[0]
    assert heard["tool_choice"] == "any"
    assert heard["strict"] is True
    assert heard["tools"][0]["function"]["name"] == "add"
    assert " at 0x" not in repr(bound.kwargs)  # what stands in a cache's key must be the same in every process


def test_a_candidate_is_handed_the_tools_themselves_and_they_pickle_as_json(router) -> None:
    class Curious(Scripted):
        extras: list[Any] = []  # noqa: RUF012  # pydantic copies it

        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            self.extras.extend(tool.extras for tool in tools)
            return super().bind_tools(tools, **kwargs)

    cached = tool(extras={"cache_control": {"type": "ephemeral"}})(add)
    chat = ChatCIT({"small": Curious(model_name="s")}, router)
    bound = chat.bind_tools([cached])
    bound.invoke("easy: 1")
    assert chat.routes["small"].extras == [{"cache_control": {"type": "ephemeral"}}]
    assert pickle.loads(pickle.dumps(bound.kwargs["tools"])) == [convert_to_openai_tool(add)]


def test_a_providers_own_tools_go_through_as_they_are(chat) -> None:
    native = {"type": "web_search_20250305", "name": "web_search"}
    assert chat.bind_tools([native]).kwargs["tools"] == [native]


def test_who_cannot_call_tools_is_not_chosen_for_them(router) -> None:
    chat = ChatCIT({"small": Scripted(model_name="s"), "large": Parrot(called="l")}, router)
    answer = chat.bind_tools([add]).invoke("hard: 4")
    assert answer.tool_calls[0]["args"]["a"] == 4
    assert answer.response_metadata["cit_route"]["excluded"] == {"large": "its chat model, Parrot, has no bind_tools"}
    assert chat.invoke("hard").text == "l heard hard"
    with pytest.raises(NoCandidate, match="has no bind_tools"):
        ChatCIT({"large": Parrot(called="l")}, router).bind_tools([add]).invoke("hard")


def test_a_candidate_is_told_no_more_than_the_call_says(router) -> None:
    class Plain(Scripted):
        def bind_tools(self, tools: Any) -> Any:  # knows no tool_choice
            return super().bind_tools(tools)

    bound = ChatCIT({"small": Plain(model_name="s")}, router).bind_tools([add])
    assert bound.invoke("easy: 2").tool_calls[0]["args"] == {"a": 2, "b": 2}


def test_a_model_that_makes_a_chain_of_itself_is_told_where_to_go(router) -> None:
    class Chained(Scripted):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return super().bind_tools(tools, **kwargs) | str

    with pytest.raises(InvalidInput, match=r"Chained.bind_tools made RunnableSequence.*use RunnableRouter"):
        ChatCIT({"small": Chained(model_name="s")}, router).bind_tools([add]).invoke("easy")


async def test_structured_output(chat) -> None:
    structured = chat.with_structured_output(Fact)
    assert structured.invoke("hard: 42") == Fact(number=42)
    assert await structured.ainvoke("easy: 7") == Fact(number=7)
    raw = chat.with_structured_output(Fact, include_raw=True).invoke("easy: 7")
    assert raw["raw"].response_metadata["cit_route"]["model"] == "small"


# -- cache ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def global_cache() -> Iterator[InMemoryCache]:
    cache = InMemoryCache()
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


def test_candidates_keep_their_own_cache_and_routing_goes_on(chat, scorer, global_cache) -> None:
    first, second = chat.invoke("hard"), chat.invoke("hard")
    assert first.text == second.text
    assert len(chat.routes["large"].heard) == 1
    assert len(scorer.calls) == 2
    assert len(global_cache._cache) == 1
    decisions = [answer.response_metadata["cit_route"]["id"] for answer in (first, second)]
    assert len(set(decisions)) == 2
    assert "cit_route" not in str(global_cache._cache)


async def test_who_wants_no_cache_gets_none(router, global_cache) -> None:
    chat = ChatCIT({"small": Scripted(model_name="s", cache=False)}, router)
    await chat.ainvoke("easy")
    await chat.ainvoke("easy")
    assert len(chat.routes["small"].heard) == 2


def test_a_cache_of_the_router_itself_tells_routers_apart(candidates, scorer, global_cache) -> None:
    zoo_ = list(zoo())
    one = ChatCIT(candidates, Router(scorer, zoo_), cache=True)
    other = ChatCIT(candidates, Router(scorer, zoo_, constraints=Constraints(deny={"large"})), cache=True)
    assert one.invoke("hard").text.startswith("large")
    assert other.invoke("hard").text.startswith("small")
    assert one.invoke("hard", model="small").text.startswith("small")


# -- what it is to the rest of LangChain ------------------------------------------------------------------------------


def zoo() -> Iterator[Candidate]:
    yield from (Candidate(id="small"), Candidate(id="large"))


def test_it_shows_that_profile_and_a_given_one_stands(router) -> None:
    profiles = {"small": {"tool_calling": True, "max_input_tokens": 9}, "large": {"tool_calling": True}}
    routes = {id_: Scripted(model_name=id_, profile=profile) for id_, profile in profiles.items()}
    assert ChatCIT(routes, router).profile == {"tool_calling": True, "max_input_tokens": 9}
    assert ChatCIT(routes, router, profile={"tool_calling": False}).profile == {"tool_calling": False}
    assert ChatCIT({"small": Parrot(called="s")}, router).profile is None


def test_traces_know_the_forced_candidate_and_else_the_router(chat) -> None:
    assert chat._get_ls_params()["ls_model_name"] == "cit-router"
    assert chat._get_ls_params()["ls_provider"] == "cit-router"
    forced = chat._get_ls_params(model="small", stop=["."])
    assert (forced["ls_provider"], forced["ls_model_name"]) == ("scripted", "small-0125")
    assert forced["ls_stop"] == ["."]


def test_it_streams_if_a_candidate_does(router) -> None:
    whole = {id_: Scripted(model_name=id_, disable_streaming=True) for id_ in ("small", "large")}
    chat = ChatCIT(whole, router)
    assert [type(piece) for piece in chat.stream("hard")] == [AIMessage]
    streams_but_for_tools = Scripted(model_name="s", disable_streaming="tool_calling")
    partly = ChatCIT({"small": streams_but_for_tools}, router)
    assert len(list(partly.stream("easy one"))) > 2
    assert [type(piece) for piece in partly.bind_tools([add]).stream("easy: 1")] == [AIMessage]
    mixed = ChatCIT({**whole, "small": Scripted(model_name="s")}, router)
    assert len(list(mixed.stream("easy one"))) > 2
    assert next(mixed.stream("hard")).text == "large says: hard"


def test_a_common_output_version_is_the_routers(router) -> None:
    old = {"small": Scripted(model_name="s"), "large": Scripted(model_name="l")}
    new = {id_: Scripted(model_name=id_, output_version="v1") for id_ in ("small", "large")}
    assert isinstance(ChatCIT(new, router).invoke("easy").content, list)
    assert all(isinstance(chunk.content, list) for chunk in ChatCIT(new, router).stream("easy"))
    assert isinstance(ChatCIT({**old, "small": new["small"]}, router).invoke("hard").content, str)
    assert isinstance(ChatCIT(old, router, output_version="v1").invoke("hard").content, list)


def test_it_pickles_and_shows_no_candidate_in_dumps(chat) -> None:
    again = pickle.loads(pickle.dumps(chat))
    assert again.invoke("hard").text == "large-2024 says: hard"
    assert "routes" not in chat.model_dump()
    assert chat.to_json()["type"] == "not_implemented", "its router was put together from parts"


def test_a_router_may_be_a_candidate_of_another(chat, router) -> None:
    answer = RunnableRouter({"small": Parrot(called="p"), "large": chat}, router).invoke("hard")
    assert answer.text == "large-2024 says: hard"
    nested = ChatCIT({"small": Parrot(called="p"), "large": chat}, router)
    assert nested.invoke("hard", model="large").text == "large-2024 says: hard"


class Counting(Scripted):
    """Has a tokenizer of its own: so many tokens for a character."""

    tokens: int

    def get_token_ids(self, text: str) -> list[int]:
        return [ord(character) for character in text] * self.tokens

    def get_num_tokens_from_messages(self, messages: Any, tools: Any = None) -> int:
        return sum(self.get_num_tokens(message.text) for message in messages) + (10 * len(tools) if tools else 0)


def test_tokens_are_counted_by_the_candidate_that_needs_the_most(router) -> None:
    chat = ChatCIT({id_: Counting(model_name=id_, tokens=n) for id_, n in {"small": 3, "large": 2}.items()}, router)
    assert chat.get_num_tokens("four") == 12
    assert chat.get_token_ids("ab") == [97, 98] * 3
    messages = [HumanMessage("four"), AIMessage("a")]
    assert chat.get_num_tokens_from_messages(messages) == 15
    assert chat.get_num_tokens_from_messages(messages, tools=[add]) == 25
    assert trim_messages(messages, max_tokens=5, token_counter=chat) == messages[1:]
    own = ChatCIT(chat.routes, router, custom_get_token_ids=lambda text: [1] * len(text))
    assert (own.get_num_tokens("four"), own.get_token_ids("ab")) == (4, [1, 1])
    assert own.get_num_tokens_from_messages([HumanMessage("four")]) == len("Human: four")


def test_an_option_that_there_is_not_is_refused(candidates, router) -> None:
    with pytest.raises(InvalidInput, match="ChatCIT has no option 'stiky'; closest: 'sticky'"):
        ChatCIT(candidates, router, stiky="conversation")
    chat = ChatCIT(candidates, router, name="n", tags=["t"], metadata={"m": 1}, disable_streaming=True, verbose=False)
    assert chat.tags == ["t"]


async def test_what_a_config_sets_counts_for_its_own_events_too(chat) -> None:
    forced: Any = {"configurable": {"cit_model": "large"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain calls them beta
        stream = chat.stream_events("easy", forced, version="v3")
        astream = await chat.astream_events("easy", forced, version="v3")
        assert stream.output.text == "large-2024 says: easy"
        assert (await astream.output).text == "large-2024 says: easy"
        events = [event async for event in chat.astream_events("easy", forced, version="v2")]
    assert events[-1]["data"]["output"].text == "large-2024 says: easy"


async def test_nothing_blocks_the_event_loop(chat) -> None:
    with blockbuster_ctx():
        assert (await chat.ainvoke("hard")).text == "large-2024 says: hard"
        assert [c async for c in chat.astream("hard")]


async def test_many_calls_at_once_each_get_their_own_answer(candidates) -> None:
    chat = ChatCIT(candidates, Router(FakeScorer(prefer_large_for_hard), list(zoo())))
    questions = [f"{'hard' if place % 3 else 'easy'} {place}" for place in range(300)]
    answers = await chat.abatch(questions)
    for question, answer in zip(questions, answers, strict=True):
        name = "large-2024" if "hard" in question else "small-0125"
        assert answer.text == f"{name} says: {question}"
        assert answer.response_metadata["model_name"] == name


async def test_the_run_has_the_name_of_the_candidate(candidates, router) -> None:
    chat = ChatCIT(candidates, router)
    tracer = RunCollectorCallbackHandler()
    config: Any = {"callbacks": [tracer]}
    chat.invoke("hard", config)
    await chat.ainvoke("hard", config)
    list(chat.stream("hard", config))
    assert [chunk async for chunk in chat.astream("hard", config)]
    chat.batch(["hard"], config)
    chat.bind_tools([{"type": "function", "function": {"name": "f"}}]).invoke("hard", config)
    chat.invoke("easy", config, model="large")
    told = [run.metadata for run in tracer.traced_runs]
    expected = candidates["large"]._get_ls_params()
    assert len(told) == 7
    for one in told:
        assert {name: one[name] for name in ("ls_model_name", "ls_provider")} == {
            name: expected[name] for name in ("ls_model_name", "ls_provider")
        }


def test_a_decision_is_made_once_for_a_call(candidates, router, scorer) -> None:
    chat = ChatCIT(candidates, router)
    chat.invoke("easy")
    list(chat.stream("easy"))
    assert len(scorer.calls) == 2


class Answer(BaseModel):
    """An answer."""

    text: str


class Native(Scripted):
    """A chat model with ways of its own to a structured output."""

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
        if kwargs.get("method") == "json_mode" and self.model_name == "s":
            raise NotImplementedError
        return self | RunnableLambda(lambda message: (message.response_metadata["model_name"], kwargs))


async def test_the_method_of_a_structured_output_is_the_candidates_own_or_refused(router) -> None:
    chat = ChatCIT({"small": Native(model_name="s"), "large": Native(model_name="l")}, router)
    schema = chat.with_structured_output(Answer, method="json_schema", strict=True)
    given = {"include_raw": False, "method": "json_schema", "strict": True}
    assert schema.invoke("easy") == ("s", given)
    assert await schema.ainvoke("hard") == ("l", given)
    assert chat.with_structured_output(Answer, method="json_mode").invoke("easy")[0] == "l", "the other cannot"
    with pytest.raises(InvalidInput, match="method is 'json'; it must be one of 'function_calling', 'json_mode', "):
        chat.with_structured_output(Answer, method="json")
