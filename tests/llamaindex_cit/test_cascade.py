"""CITLLM with a cascade: verified before it is handed on, in every way to call; tools run once; each step accounted."""

from typing import Any

import pytest
from llama_calls import CHATS, COMPLETIONS, DOUBLE, WITH_TOOLS, call, user
from llama_index.core import PromptTemplate
from llama_index.core.agent import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_voice import Voice
from llama_zoo import IDS

from cit_core.errors import InvalidInput
from cit_core.records import Candidate
from cit_core.router import Agreement, Cascade, FakeScorer, Rates, Router
from llamaindex_cit import CITLLM

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.PydanticDeprecatedSince20", "ignore::pydantic.PydanticDeprecatedSince211"
)
SHARP = Rates(true_positive=0.95, false_positive=0.05)


@pytest.fixture
def router() -> Router:
    zoo = [Candidate(id="small", price_in=1.0, price_out=1.0), Candidate(id="large", price_in=10.0, price_out=20.0)]
    return Router(FakeScorer({"small": 0.7, "large": 0.9}), zoo)


def cascade(verify: Any = None) -> Cascade:
    return Cascade(verify or (lambda question, answer: "hard" not in question), reliability=SHARP)


def text_of(response: Any, method: str) -> str:
    return response.text if "complete" in method else response.message.content


@pytest.mark.parametrize("method", CHATS + COMPLETIONS + WITH_TOOLS)
async def test_every_way_to_call(voices, router, method) -> None:
    llm = CITLLM(voices, router, cascade=cascade())
    easy = await call(llm, method, "an easy question")
    assert text_of(easy[-1], method) == "small: an easy question"
    assert [step["model"] for step in easy[-1].additional_kwargs["cit_cascade"]["steps"]] == ["small"]
    assert not voices["large"].heard
    hard = await call(llm, method, "a hard question")
    assert [text_of(one, method) for one in hard if "small" in text_of(one, method)] == []
    last = hard[-1]
    assert text_of(last, method) == "large: a hard question"
    assert (last.additional_kwargs["cit_model"], last.additional_kwargs["cit_route"]["chosen_by"]) == (
        "large",
        "cascade",
    )
    steps = last.additional_kwargs["cit_cascade"]["steps"]
    assert [(step["model"], step["accepted"]) for step in steps] == [("small", False), ("large", True)]
    if "chat" in method and "stream" not in method:  # the tokens that this candidate counts
        assert steps[0]["cost_usd"] == pytest.approx((7 * 1.0 + 3 * 1.0) / 1e6)
    if "stream" in method:
        assert len(hard) == 2


@pytest.mark.parametrize("method", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_a_step_that_fails(voices, router, method) -> None:
    voices["large"].fails_with = TimeoutError("down")
    kept = (await call(CITLLM(voices, router, cascade=cascade()), method, "a hard question"))[-1]
    assert text_of(kept, method) == "small: a hard question"
    assert kept.additional_kwargs["cit_cascade"]["steps"][1]["error"] == "TimeoutError"
    voices["large"].fails_with, voices["small"].fails_with = None, TimeoutError("down")
    voices["small"].fails_after = 1 if "stream" in method else 0  # nobody has seen its first chunk
    llm = CITLLM(voices, router, cascade=cascade())
    assert text_of((await call(llm, method, "an easy question"))[-1], method).startswith("large")


async def test_tools_run_once(voices, router) -> None:
    """The verdict on a call is there before the tool runs; the calls are read by whose answer was accepted."""
    ran, judged = [], []

    def send(number: int) -> str:
        """Send a number."""
        ran.append(number)
        return "sent"

    def verify(question: str, answer: Any) -> bool:
        judged.append((answer.model, answer.tool_calls, len(ran)))
        return not answer.tool_calls

    for voice in voices.values():
        voice.arguments = {"number": 2}
    llm = CITLLM(voices, router, cascade=cascade(verify))
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(send)], llm=llm, streaming=False)
    said = await agent.run("send it")
    assert ran == [2]
    assert judged[0] == ("small", ("send",), 0)
    assert str(said).startswith("small")
    assert llm.predict_and_call([DOUBLE], "double it").response == "4"


async def test_further_samples(voices, router) -> None:
    llm = CITLLM(voices, router, cascade=cascade(Agreement(3)))
    for number, method in enumerate(CHATS + COMPLETIONS, start=1):
        said = (await call(llm, method, "a question"))[-1]
        assert said.additional_kwargs["cit_cascade"]["steps"][0]["score"] == 1.0
        assert len(voices["small"].heard) == 3 * number


def test_engines_say_which_candidate_was_accepted(voices, router) -> None:
    llm = CITLLM(voices, router, cascade=cascade())
    prompt = PromptTemplate("{text}")
    assert llm.predict(prompt, text="a hard one") == "large: a hard one"
    assert llm.predict(prompt, text="an easy one") == "small: an easy one"


def test_bad_options(voices, router) -> None:
    with pytest.raises(InvalidInput, match="cascade is"):
        CITLLM(voices, router, cascade="yes")
    assert CITLLM({id_: Voice(called=id_) for id_ in IDS}, router).chat([user("hard")]).message.content == "large: hard"
