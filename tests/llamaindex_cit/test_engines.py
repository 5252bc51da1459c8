"""Selectors where users have them: engines over real texts and databases, workflows, many calls at once."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from llama_index.core import Document, MockEmbedding, SQLDatabase, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.query_engine import NLSQLTableQueryEngine, RouterQueryEngine, SQLJoinQueryEngine
from llama_index.core.retrievers import RouterRetriever
from llama_index.core.tools import QueryEngineTool, RetrieverTool
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from llama_zoo import IDS
from sqlalchemy import create_engine, text

from cit_core.records import Candidate
from cit_core.router import Batching, FakeScorer, Router
from llamaindex_cit import CITMultiSelector, CITSelectionEvent, CITSingleSelector

TOUR = Path(__file__).parents[2] / "docs" / "tour.md"
FIVE = {"ada": "poem", "bea": "proof", "cyd": "program", "dot": "history", "eve": "law"}


class Answering(CustomLLM):
    """An LLM whose every answer is one text."""

    says: str

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.says)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: object) -> CompletionResponse:
        return CompletionResponse(text=self.says)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: object) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    """A page of this project's own documentation, cut and indexed in memory."""
    return VectorStoreIndex.from_documents([Document(text=TOUR.read_text("utf-8"))], embed_model=MockEmbedding(8))


@pytest.mark.parametrize(("query", "chosen"), [("a hard question", "large"), ("an easy question", "small")])
async def test_two_engines_that_differ_only_by_llm(router, index, query, chosen) -> None:
    tools = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=Answering(says=f"{id_} says")), name=id_) for id_ in IDS
    ]
    engine = RouterQueryEngine.from_defaults(tools, selector=CITSingleSelector(router), llm=MockLLM())
    for response in (engine.query(query), await engine.aquery(query)):
        assert str(response) == f"{chosen} says"
        assert response.source_nodes[0].text in TOUR.read_text("utf-8")
        assert response.metadata["selector_result"].decision.model == chosen


def test_a_streamed_response_carries_the_decision_too(router, index) -> None:
    tools = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=MockLLM(), streaming=True), name=id_) for id_ in IDS
    ]
    response = RouterQueryEngine(CITSingleSelector(router), tools, llm=MockLLM()).query("hard")
    assert "hard" in "".join(response.response_gen)
    assert response.metadata["selector_result"].ind == 1


async def test_a_zoo_of_five(index) -> None:
    router = Router(
        FakeScorer(lambda query, id_: 0.9 if FIVE[id_] in query else 0.5), [Candidate(id=id_) for id_ in FIVE]
    )
    tools = [
        QueryEngineTool.from_defaults(index.as_query_engine(llm=Answering(says=id_)), name=f"best at {field}")
        for id_, field in FIVE.items()
    ]
    mapping = {f"best at {field}": id_ for id_, field in FIVE.items()}
    engine = RouterQueryEngine(CITSingleSelector(router, mapping), tools, llm=MockLLM())
    for id_, field in FIVE.items():
        assert str(engine.query(f"Write a {field}.")) == str(await engine.aquery(f"Write a {field}.")) == id_


async def test_one_retriever_for_each_model(router, index) -> None:
    tools = [
        RetrieverTool.from_defaults(index.as_retriever(similarity_top_k=k), name=id_, description="the tour")
        for k, id_ in enumerate(IDS, 1)
    ]
    retriever = RouterRetriever.from_defaults(tools, selector=CITSingleSelector(router), llm=MockLLM())
    assert (len(retriever.retrieve("easy")), len(await retriever.aretrieve("hard"))) == (1, 2)


async def test_the_selector_of_a_sql_join(router, index) -> None:
    database = create_engine("sqlite://")
    with database.begin() as connection:
        connection.execute(text("create table city (name text, people integer)"))
        connection.execute(text("insert into city values ('Tokyo', 37)"))
    sql = NLSQLTableQueryEngine(
        SQLDatabase(database),
        tables=["city"],
        llm=Answering(says="select people from city"),
        embed_model=MockEmbedding(8),
        synthesize_response=False,
    )
    texts = index.as_query_engine(llm=Answering(says="from the texts"))
    engine = SQLJoinQueryEngine(
        QueryEngineTool.from_defaults(sql, name="small", description="numbers"),
        QueryEngineTool.from_defaults(texts, name="large", description="texts"),
        selector=CITSingleSelector(router),
        llm=MockLLM(),
        use_sql_join_synthesis=False,
        verbose=False,
    )
    assert "37" in str(engine.query("easy: how many people?"))
    assert str(await engine.aquery("hard: why so many?")) == "from the texts"
    database.dispose()


class Routed(Event):
    """Which tool is to answer, and how sure that is."""

    index: int
    probability: float


class Answer(Workflow):
    """Asks a selector in one step and its choice in the next."""

    def __init__(self, router: Router) -> None:
        super().__init__(timeout=30)
        self.selector = CITSingleSelector(router)
        self.llms = [Answering(says=id_) for id_ in IDS]

    @step
    async def select(self, event: StartEvent) -> Routed:
        result = await self.selector.aselect(IDS, event.query)
        return Routed(index=result.ind, probability=result.decision.probability)

    @step
    async def ask(self, event: Routed) -> StopEvent:
        answer = await self.llms[event.index].acomplete("q")
        return StopEvent(result=f"{answer.text} {event.probability}")


async def test_a_step_of_a_workflow(router) -> None:
    answers = await asyncio.gather(*(Answer(router).run(query=query) for query in ("hard", "easy", "hard")))
    assert answers == ["large 0.9", "small 0.9", "large 0.9"]


async def test_the_combining_llms_tokens_are_counted_and_selecting_costs_none(router, index) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = MockLLM(callback_manager=CallbackManager([counter]))
    tools = [QueryEngineTool.from_defaults(index.as_query_engine(llm=MockLLM()), name=id_) for id_ in IDS]
    RouterQueryEngine(CITSingleSelector(router), tools, llm=llm).query("hard")
    assert counter.total_llm_token_count == 0
    RouterQueryEngine(CITMultiSelector(router, margin=1), tools, llm=llm).query("hard")
    assert counter.total_llm_token_count > 0


# -- many at once, and the event loop ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batching", [None, Batching(max_wait_s=0.005)])
async def test_two_hundred_at_once_do_not_mix(router, events, batching) -> None:
    selector = CITSingleSelector(Router(router.scorer, router.candidates, batching=batching))
    queries = [f"{'hard' if number % 3 else 'easy'} {number}" for number in range(200)]
    results = await asyncio.gather(*(selector.aselect(IDS[:: 1 if n % 2 else -1], q) for n, q in enumerate(queries)))
    for number, (query, result) in enumerate(zip(queries, results, strict=True)):
        order = IDS[:: 1 if number % 2 else -1]
        assert order[result.ind] == result.decision.model == ("large" if "hard" in query else "small")
    assert len([event for event in events if isinstance(event, CITSelectionEvent)]) == 200
    assert len({result.decision.id for result in results}) == 200


async def test_the_event_loop_goes_on_while_a_scorer_thinks(index) -> None:
    entered, released = threading.Event(), threading.Event()

    def score(_: str, __: str) -> float:
        entered.set()
        assert released.wait(30)
        return 0.5

    selector = CITSingleSelector(Router(FakeScorer(score), [Candidate(id=id_) for id_ in IDS]))
    selecting = asyncio.create_task(selector.aselect(IDS, "q"))
    while not entered.is_set():
        await asyncio.sleep(0)
    assert not selecting.done()  # the loop runs here, in the middle of the scorer's work
    released.set()
    assert (await selecting).ind in {0, 1}


async def test_nothing_in_it_blocks_the_event_loop(index) -> None:
    """Blockbuster raises where the loop's own thread would sleep, read a file or wait for a lock."""

    def score(_: str, id_: str) -> float:
        time.sleep(0.001)
        TOUR.read_text("utf-8")
        return 0.9 if id_ == "large" else 0.1

    router = Router(FakeScorer(score), [Candidate(id=id_) for id_ in IDS])
    with blockbuster_ctx():
        assert (await CITSingleSelector(router).aselect(IDS, "q")).ind == 1
        assert (await CITMultiSelector(router).aselect(IDS, "q")).inds == [1]
