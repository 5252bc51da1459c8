"""CITLLM where users put it: settings, query and chat engines, agents, structured outputs."""

import asyncio

import pytest
from llama_calls import DOUBLE
from llama_index.core import Document, MockEmbedding, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.llms import ChatResponse, MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_voice import Voice
from llama_zoo import IDS
from pydantic import BaseModel

from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router, Sticky
from llamaindex_cit import CITLLM, CITRouteEvent, CITSingleSelector

# LlamaIndex's agents look at all their attributes, also at those that pydantic and its own workflows have retired.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.PydanticDeprecatedSince20",
    "ignore::pydantic.PydanticDeprecatedSince211",
    "ignore:is_running called:DeprecationWarning",
)


INCREMENT = FunctionTool.from_defaults(lambda number=0: number + 1, name="increment", description="One more.")


def memory() -> ChatMemoryBuffer:
    """In memory; the one that agents make for themselves is in SQLite, and leaves its connection open."""
    return ChatMemoryBuffer.from_defaults(token_limit=3000)


class City(BaseModel):
    """A city."""

    name: str
    people: int


class Reasoning(Voice):
    """Uses its tool as ReAct agents want it, and then answers with what came of it."""

    calls_functions: bool = False

    def _reply(self, messages, tools) -> ChatResponse:
        last = messages[-1].content
        if last.startswith("Observation: "):
            said = f"Thought: I can answer.\nAnswer: {self.called} got {last.split()[-1]}"
        else:
            said = 'Thought: I need a tool.\nAction: double\nAction Input: {"number": 21}'
        return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=said))


@pytest.fixture
def voices() -> dict[str, Voice]:
    return {id_: Voice(called=id_, arguments={"number": 21}) for id_ in IDS}


@pytest.fixture
def llm(voices, router) -> CITLLM:
    return CITLLM(voices, router)


# -- engines ----------------------------------------------------------------------------------------------------------

HARD_TEXT = Document(text="A hard text. " * 40)


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"])
@pytest.mark.parametrize("chat_model", [True, False])
async def test_a_query_engine_is_routed_on_the_query_in_every_mode(voices, router, mode, chat_model, events) -> None:
    for voice in voices.values():
        voice.chat_model = chat_model
    index = SummaryIndex.from_documents([HARD_TEXT])
    engine = index.as_query_engine(llm=CITLLM(voices, router), response_mode=mode)
    for response in (engine.query("What is easy?"), await engine.aquery("What is easy?")):
        assert "small: " in str(response)
    assert not voices["large"].heard
    assert {event.decision.model for event in events if isinstance(event, CITRouteEvent)} == {"small"}


async def test_a_streaming_query_engine(llm) -> None:
    index = SummaryIndex.from_documents([HARD_TEXT])
    engine = index.as_query_engine(llm=llm, streaming=True)
    assert "".join(engine.query("What is easy?").response_gen).startswith("small: ")
    response = await engine.aquery("What is easy?")
    assert "".join([token async for token in response.async_response_gen()]).startswith("small: ")


def test_as_the_llm_of_the_settings(llm, monkeypatch) -> None:
    monkeypatch.setattr(Settings, "_llm", None)
    monkeypatch.setattr(Settings, "_prompt_helper", None)
    Settings.llm = llm
    index = VectorStoreIndex.from_documents([HARD_TEXT], embed_model=MockEmbedding(8))
    assert str(index.as_query_engine().query("What is hard?")).startswith("large: ")
    assert Settings.llm.metadata.context_window == 4000


async def test_a_chat_engine_is_routed_on_what_the_user_says(llm, voices) -> None:
    engine = ContextChatEngine.from_defaults(
        SummaryIndex.from_documents([HARD_TEXT]).as_retriever(), memory=memory(), llm=llm
    )
    assert engine.chat("easy?").response == "small: easy?"
    assert (await engine.achat("hard?")).response == "large: hard?"
    assert "".join(engine.stream_chat("easy again?").response_gen) == "small: easy again?"
    assert len(voices["small"].heard[-1][1]) > 3  # it is given the whole conversation


def test_a_selector_and_an_llm_may_share_a_router(llm, router) -> None:
    tools = [
        QueryEngineTool.from_defaults(SummaryIndex.from_documents([HARD_TEXT]).as_query_engine(llm=llm), name=id_)
        for id_ in IDS
    ]
    engine = RouterQueryEngine(selector=CITSingleSelector(router), query_engine_tools=tools, llm=llm)
    response = engine.query("easy?")
    assert str(response).startswith("small: ")
    assert response.metadata["selector_result"].decision.model == "small"


# -- structured outputs -----------------------------------------------------------------------------------------------


@pytest.fixture
def cities(llm) -> None:
    for voice, name in zip(llm.models.values(), ("Ulm", "Tokyo"), strict=True):
        voice.arguments = {"name": name, "people": 3}


CITY = PromptTemplate("Name a {kind} city.")


@pytest.mark.parametrize(("kind", "name"), [("easy", "Ulm"), ("hard", "Tokyo")])
async def test_structured_predict(llm, cities, voices, kind, name) -> None:
    wanted = City(name=name, people=3)
    assert llm.structured_predict(City, CITY, kind=kind) == wanted
    assert await llm.astructured_predict(City, CITY, kind=kind) == wanted
    structured = llm.as_structured_llm(City)
    assert structured.complete(f"Name a {kind} city.").raw == wanted
    assert (await structured.achat([ChatMessage(content=f"Name a {kind} city.")])).raw == wanted
    assert not voices["small" if kind == "hard" else "large"].heard


async def test_structured_streams(llm, cities) -> None:
    *_, city = llm.stream_structured_predict(City, CITY, kind="hard")
    assert city.model_dump() == {"name": "Tokyo", "people": 3}
    stream = await llm.astream_structured_predict(City, CITY, kind="easy")
    *_, city = [city async for city in stream]
    assert city.model_dump() == {"name": "Ulm", "people": 3}


def test_structured_predict_without_function_calling(router) -> None:
    class Json(Voice):
        calls_functions: bool = False

        def _reply(self, messages, tools) -> ChatResponse:
            said = f'{{"name": "{self.called}", "people": 1}}'
            return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=said))

    llm = CITLLM({id_: Json(called=id_) for id_ in IDS}, router)
    assert llm.structured_predict(City, CITY, kind="hard") == City(name="large", people=1)


async def test_predict_and_call(llm, voices) -> None:
    assert llm.predict_and_call([DOUBLE], "easy").response == "42"
    assert (await llm.apredict_and_call([DOUBLE], "hard")).response == "42"
    assert [len(voices[id_].heard) for id_ in IDS] == [1, 1]


async def test_predict_and_call_needs_no_words(router) -> None:
    llm = CITLLM({id_: MockFunctionCallingLLM() for id_ in IDS}, router)
    assert llm.predict_and_call([INCREMENT]).response == "1"
    assert (await llm.apredict_and_call([INCREMENT], chat_history=[])).response == "1"


# -- agents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("question", "chosen"), [("hard: double it", "large"), ("easy: double it", "small")])
async def test_function_agent_keeps_its_route_while_tools_are_called(llm, voices, streaming, question, chosen) -> None:
    agent = FunctionAgent(tools=[DOUBLE], llm=llm, streaming=streaming, system_prompt="A hard task.")
    handler = agent.run(question, memory=memory())
    streamed = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
    output = await handler
    assert str(output) == f"{chosen}: 42"
    assert [call.tool_name for call in output.tool_calls] == ["double"]
    assert [len(voices[id_].heard) for id_ in IDS] == [2 * (id_ == chosen) for id_ in IDS]
    assert bool(streamed) == streaming


async def test_function_agent_wants_all_to_call_functions(voices, router) -> None:
    agent = FunctionAgent(tools=[DOUBLE], llm=CITLLM({**voices, "large": MockLLM()}, router))
    with pytest.raises(ValueError, match="LLM must be a FunctionCallingLLM"):
        await agent.run("easy", memory=memory())


async def test_function_agent_with_llamaindexs_own_fake(router) -> None:
    fakes = {id_: MockFunctionCallingLLM() for id_ in IDS}
    output = await FunctionAgent(tools=[INCREMENT], llm=CITLLM(fakes, router)).run("hard", memory=memory())
    assert ([str(call.tool_output) for call in output.tool_calls], str(output)) == (["1"], "Tool calls complete.")


async def test_an_agents_stream_may_be_empty(router) -> None:
    class Silent(Voice):
        def _parts(self, text: str) -> list[tuple[str, str]]:
            return []

    llm = CITLLM({"large": Silent(called="large")}, router)
    assert not (await FunctionAgent(tools=[DOUBLE], llm=llm).run("hard", memory=memory())).tool_calls


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("question", "chosen"), [("hard: double it", "large"), ("easy: double it", "small")])
async def test_react_agent_keeps_its_route_while_tools_are_called(router, streaming, question, chosen) -> None:
    voices = {id_: Reasoning(called=id_) for id_ in IDS}
    agent = ReActAgent(tools=[DOUBLE], llm=CITLLM(voices, router), streaming=streaming)
    assert str(await agent.run(question, memory=memory())) == f"{chosen} got 42"
    assert [len(voices[id_].heard) for id_ in IDS] == [2 * (id_ == chosen) for id_ in IDS]


async def test_several_agents_share_it(llm) -> None:
    first = FunctionAgent(name="first", description="d", tools=[DOUBLE], llm=llm)
    second = FunctionAgent(name="second", description="d", tools=[DOUBLE], llm=llm)
    team = AgentWorkflow(agents=[first, second], root_agent="first")
    outputs = await asyncio.gather(
        *(FunctionAgent(tools=[DOUBLE], llm=llm).run(q, memory=memory()) for q in ("hard", "easy") * 5)
    )
    assert [str(output) for output in outputs] == ["large: 42", "small: 42"] * 5
    assert team.agents["second"].llm is llm


async def test_a_named_conversation_reaches_into_an_agents_tasks(voices) -> None:
    scores = {"one": (0.8, 0.7), "two": (0.6, 0.8)}
    router = Router(FakeScorer(lambda text, id_: scores[text][IDS.index(id_)]), [Candidate(id=id_) for id_ in IDS])
    agent = FunctionAgent(tools=[DOUBLE], llm=CITLLM(voices, router, sticky=Sticky(0.3)))
    for name, text, chosen in [("7", "one", "small"), ("8", "two", "large"), ("7", "two", "small")]:
        with agent.llm.conversation(name):
            handler = agent.run(text, memory=memory())
        assert str(await handler) == f"{chosen}: 42"
