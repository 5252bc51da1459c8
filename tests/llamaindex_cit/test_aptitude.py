"""A LlamaIndex LLM as the one who is asked: its text, its tokens wherever a provider puts them, and its errors."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, MessageRole
from llama_index.core.llms import CustomLLM, MockLLM

from cit_core.aptitude.clients import Answer, client
from cit_core.aptitude.clients import factory as clients
from cit_core.aptitude.suites import save_suite
from cit_core.errors import InvalidInput, Refused, Transient
from cit_core.records import Suite, Task
from cit_core.router import FakeScorer, Router
from cit_core.store import CapabilityStore
from llamaindex_cit.aptitude import LLMClient, aaptitude_test, aptitude_test, from_string


class Scripted(CustomLLM):
    """Gives one response, or raises one error, and keeps what it was asked."""

    gives: Any = None
    called: str = "scripted-7b"
    reasoning_effort: str | None = None
    asked: list[Any] = []  # noqa: RUF012  # pydantic copies it

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.called)

    async def achat(self, messages: Any, **_: Any) -> ChatResponse:
        self.asked.append(list(messages))
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives  # type: ignore[no-any-return]

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        raise NotImplementedError


def response(text: str | None, **facts: Any) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), **facts)


async def ask(gives: Any, **options: Any) -> Answer:
    return await LLMClient(Scripted(gives=gives), **options).ask("Q?", key="k")


@pytest.mark.parametrize(
    "facts",
    [
        {"raw": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}},
        {"raw": SimpleNamespace(usage=SimpleNamespace(prompt_tokens=5, completion_tokens=2))},
        {"raw": {"usage": SimpleNamespace(input_tokens=5, output_tokens=2)}},
        {"raw": SimpleNamespace(usage=None), "additional_kwargs": {"prompt_tokens": 5, "completion_tokens": 2}},
        {"additional_kwargs": {"input_tokens": 5, "output_tokens": 2}},
    ],
)
async def test_tokens_are_found_wherever_a_provider_puts_them(facts: dict[str, Any]) -> None:
    assert await ask(response("A", **facts)) == Answer("A", prompt_tokens=5, completion_tokens=2)


@pytest.mark.parametrize("raw", [None, {}, {"usage": None}, "text", {"usage": {"prompt_tokens": -1}}])
async def test_tokens_that_nobody_tells_are_not_known(raw: Any) -> None:
    assert await ask(response("A", raw=raw)) == Answer("A")


async def test_a_real_llm_is_asked_the_prompt_and_a_system_message_may_go_before() -> None:
    assert (await LLMClient(MockLLM()).ask("Q?", key="k")).text == "user: Q?\nassistant: "
    llm = Scripted(gives=response("A"))
    await LLMClient(llm, system="Be brief.").ask("Q?", key="k")
    assert [(message.role.value, message.content) for message in llm.asked[0]] == [
        ("system", "Be brief."),
        ("user", "Q?"),
    ]


def test_it_is_called_as_its_provider_calls_it() -> None:
    assert LLMClient(Scripted()).name == "scripted-7b"
    assert LLMClient(Scripted(reasoning_effort="low")).name == "scripted-7b@low"
    assert LLMClient(Scripted(), name="mine").name == "mine"
    assert LLMClient(MockLLM()).name == "MockLLM"


async def test_an_answer_without_text_is_worth_another_attempt() -> None:
    with pytest.raises(Transient, match="no text"):
        await ask(response(None))
    assert await ask(response("")) == Answer("")


@pytest.mark.parametrize(
    "raw",
    [
        {"choices": [{"finish_reason": "length"}]},
        SimpleNamespace(choices=[SimpleNamespace(finish_reason="content_filter")]),
        {"stop_reason": "max_tokens"},
    ],
)
async def test_an_answer_that_was_cut_before_its_text_is_not_paid_again(raw: Any) -> None:
    with pytest.raises(Refused):
        await ask(response(None, raw=raw))
    assert (await ask(response("A", raw=raw))).text == "A"


async def test_errors_are_told_apart_and_quote_nobody() -> None:
    slow = type("RateLimitError", (Exception,), {"status_code": 429})("SECRET")
    slow.response = SimpleNamespace(headers={"retry-after": "2"})
    with pytest.raises(Transient) as slower:
        await ask(slow)
    assert slower.value.retry_after_s == 2.0
    with pytest.raises(Refused) as wrong:
        await ask(type("NotFoundError", (Exception,), {"status_code": 404})("SECRET"))
    assert wrong.value.fatal
    with pytest.raises(Transient) as late:
        await ask(TimeoutError("SECRET"))
    assert "SECRET" not in f"{slower.value} {wrong.value} {late.value}"
    with pytest.raises(Transient, match="IndexError"):  # as its OpenAI trips over a body without choices
        await ask(IndexError("x"))
    with pytest.raises(InvalidInput):
        await ask(InvalidInput("x"))


@pytest.fixture
def my_llms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module with LLMs in the working directory."""
    (tmp_path / "my_own_llms.py").write_text(
        "from llama_index.core.llms import MockLLM\n"
        "ready = MockLLM(max_tokens=3)\n"
        "def make(): return MockLLM(max_tokens=2)\n"
        "number = 7\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_own_llms", None)


@pytest.mark.usefixtures("my_llms")
async def test_an_llm_from_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("llamaindex", "llamaindex_cit.aptitude:from_string", clients.ENTRY_POINTS)
    monkeypatch.setattr(clients, "entry_points", EntryPoints([entry]).select)
    for name, text in (("ready", "text text text"), ("make", "text text"), ("MockLLM", "user: Q?\nassistant: ")):
        asked = client(f"llamaindex:my_own_llms:{name}")
        assert asked.name == "MockLLM"
        assert (await asked.ask("Q?", key="k")).text == text
    with pytest.raises(InvalidInput, match="temperature"):
        client("llamaindex:my_own_llms:ready", temperature=0.0)


@pytest.mark.usefixtures("my_llms")
def test_what_is_no_llm_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'my_own_llms:number' is int; it must be a LlamaIndex LLM"):
        from_string("my_own_llms:number")
    with pytest.raises(InvalidInput, match="llm is str"):
        LLMClient("gpt-4o")  # type: ignore[arg-type]


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    """A suite of two sums, with its texts beside it."""
    sums = {"sums/1": ("1 + 1?", "2"), "sums/2": ("1 + 2?", "3")}
    suite = Suite(name="sums", tasks=(Task(id="sums", keywords=("Sums",)),), items={"sums": tuple(sums)})
    rows = [
        {"item_id": id_, "task": "sums", "instruction": text, "answer": answer, "grader": "number"}
        for id_, (text, answer) in sums.items()
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    save_suite(suite, tmp_path / "suite.json")
    return tmp_path / "suite.json"


def test_one_line_measures_an_llm_and_a_router_may_choose_it(suite_file: Path, tmp_path: Path) -> None:
    with CapabilityStore(f"sqlite:///{tmp_path / 'store.db'}") as store:
        report = aptitude_test(
            Scripted(gives=response("Answer: 2")),
            store=store,
            suite=str(suite_file),
            texts=suite_file.with_name("texts.jsonl"),
            concurrency=1,
        )
        assert (report.candidate, report.answered, report.mean_accuracy, report.published) == (
            "scripted-7b",
            2,
            0.5,
            True,
        )
        [capability] = Router.from_store(store, FakeScorer({"scripted-7b": 0.9})).capabilities
    assert capability.mean_accuracy == 0.5


@pytest.mark.parametrize("at", ["default", "sqlite:///mine.db"])
async def test_its_store_may_be_named_and_waited_for(
    suite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """`default` is the store that the command line and `Router.from_config` read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    where: dict[str, Any] = {"suite": str(suite_file), "texts": suite_file.with_name("texts.jsonl"), "store": at}
    seen: list[int] = []
    model = Scripted(gives=response("Answer: 2"))
    report = await aaptitude_test(model, candidate="one", progress=lambda now: seen.append(now.done), **where)
    assert (report.published, seen[-1]) == (True, 2)
    await asyncio.to_thread(aptitude_test, model, candidate="two", **where)
    with CapabilityStore(None if at == "default" else at) as store:
        assert ([candidate.id for candidate in store.candidates()], store.outcome_count()) == (["one", "two"], 4)
    if at == "default":
        found = await asyncio.to_thread(Router.from_config)
        assert [candidate.id for candidate in found.candidates] == ["one", "two"]
    with pytest.raises(InvalidInput, match="store is 7; it must be a CapabilityStore, the address of one"):
        await aaptitude_test(model, **(where | {"store": 7}))
