"""A LangChain chat model as the one who is asked: its text, its tokens, and its errors as LangChain has them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from openai_server import Providers
from parrot import Parrot
from small_suite import suite_of

from cit_core.aptitude.clients import Answer, client
from cit_core.aptitude.clients import factory as clients
from cit_core.aptitude.suites import save_suite
from cit_core.errors import InvalidInput, MissingExtra, Refused, Transient
from cit_core.records import Suite, Task
from cit_core.router import FakeScorer, Router
from cit_core.store import CapabilityStore
from langchain_cit.aptitude import ChatModelClient, aaptitude_test, aptitude_test, from_string


class Scripted(BaseChatModel):
    """Gives one message, or raises one error, and keeps what it was asked."""

    gives: Any
    asked: list[Any] = []  # noqa: RUF012  # pydantic copies it

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        self.asked.append(messages)
        if isinstance(self.gives, Exception):
            raise self.gives
        return ChatResult(generations=[ChatGeneration(message=self.gives)])


class Named(Scripted):
    """One with the fields under which providers keep the name."""

    model_name: str = ""
    model: str = ""
    reasoning_effort: str | None = None


class RateLimited(ModelRateLimitError):
    """As a provider's package has it: LangChain's class, and the response of the provider's own."""

    status_code = 429
    response = SimpleNamespace(headers={"retry-after": "2"})


async def ask(gives: Any, **options: Any) -> Answer:
    return await ChatModelClient(Scripted(gives=gives), **options).ask("Q?", key="k")


async def test_text_and_tokens_of_an_answer() -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    blocks = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "B"}, {"type": "text", "text": "."}]
    assert await ask(AIMessage("A", usage_metadata=usage)) == Answer("A", prompt_tokens=5, completion_tokens=2)
    assert await ask(AIMessage(blocks)) == Answer("B.")
    assert await ask(AIMessage("")) == Answer("")


async def test_the_prompt_is_the_last_message_and_a_system_message_may_go_before() -> None:
    model = Scripted(gives=AIMessage("A"))
    await ChatModelClient(model).ask("Q?", key="k")
    await ChatModelClient(model, system="Be brief.").ask("Q?", key="k")
    kinds = [[(message.type, message.text) for message in messages] for messages in model.asked]
    assert kinds == [[("human", "Q?")], [("system", "Be brief."), ("human", "Q?")]]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"finish_reason": "length"}, Refused),
        ({"stop_reason": "max_tokens"}, Refused),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Refused),
        ({"finish_reason": "content_filter"}, Refused),
        ({"done_reason": "length"}, Refused),
        ({"stopReason": "max_tokens"}, Refused),
    ],
)
async def test_an_answer_that_was_cut_before_its_text_is_not_paid_again(
    told: Mapping[str, Any], expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught:
        await ask(AIMessage("", response_metadata=told))
    assert not caught.value.fatal  # type: ignore[attr-defined]
    assert (await ask(AIMessage("A", response_metadata=told))).text == "A"


def test_it_is_called_as_its_provider_calls_it() -> None:
    assert ChatModelClient(Named(gives=None, model_name="gpt-4o-mini")).name == "gpt-4o-mini"
    assert ChatModelClient(Named(gives=None, model="claude")).name == "claude"
    assert ChatModelClient(Named(gives=None, model="gpt-5", reasoning_effort="low")).name == "gpt-5@low"
    assert ChatModelClient(FakeListChatModel(responses=["A"])).name == "FakeListChatModel"
    assert ChatModelClient(Named(gives=None, model="claude"), name="mine").name == "mine"


async def test_a_status_and_its_headers_count_first() -> None:
    with pytest.raises(Transient) as slower:
        await ask(RateLimited("SECRET"))
    assert (slower.value.status, slower.value.retry_after_s) == (429, 2.0)
    with pytest.raises(Refused) as wrong:
        await ask(type("Provider", (Exception,), {"status_code": 401})("SECRET"))
    assert wrong.value.fatal
    assert "SECRET" not in f"{slower.value} {wrong.value}"


@pytest.mark.parametrize(
    "error", [ModelRateLimitError, ModelAPIError, ModelConnectionError, ModelTimeoutError, TimeoutError]
)
async def test_what_langchain_calls_retryable_is_worth_another_attempt(error: type[Exception]) -> None:
    with pytest.raises(Transient, match=error.__name__) as caught:
        await ask(error("SECRET"))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (ModelAuthenticationError, True),
        (ModelPermissionDeniedError, True),
        (ModelNotFoundError, True),
        (ContextOverflowError, False),
    ],
)
async def test_what_langchain_does_not_call_retryable_is_refused(error: type[Exception], fatal: bool) -> None:
    with pytest.raises(Refused, match=error.__name__) as caught:
        await ask(error("SECRET"))
    assert caught.value.fatal == fatal
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("error", [IndexError, ValueError, AttributeError, TypeError])  # as ChatOpenAI and others do
async def test_a_body_over_which_the_providers_package_trips_is_worth_another_attempt(error: type[Exception]) -> None:
    with pytest.raises(Transient, match=error.__name__) as caught:
        await ask(error("SECRET"))
    assert "SECRET" not in str(caught.value)


async def test_other_mistakes_pass_as_they_came() -> None:
    for error in (InvalidInput("x"), OSError("x")):
        with pytest.raises(type(error)):
            await ask(error)
    with pytest.raises(InvalidInput, match="str; it must be a LangChain chat model"):
        ChatModelClient("gpt-4o")  # type: ignore[arg-type]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What `init_chat_model` is asked for; it makes a parrot."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def init_chat_model(model: str, **options: Any) -> Parrot:
        calls.append((model, options))
        return Parrot(called=model)

    monkeypatch.setattr("langchain.chat_models.init_chat_model", init_chat_model)
    return calls


async def test_a_model_from_a_command_line(
    made: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("langchain", "langchain_cit.aptitude:from_string", clients.ENTRY_POINTS)
    monkeypatch.setattr(clients, "entry_points", EntryPoints([entry]).select)
    asked = client("langchain:openai:gpt-4o-mini", temperature=0.0, max_tokens=5, timeout_s=9.0, system="Be brief.")
    assert made == [("openai:gpt-4o-mini", {"temperature": 0.0, "max_tokens": 5, "timeout": 9.0})]
    assert (await asked.ask("Q?", key="k")).text == "openai:gpt-4o-mini heard Q?"
    client("langchain:openai:gpt-4o-mini")
    assert made[1] == ("openai:gpt-4o-mini", {})
    with pytest.raises(InvalidInput, match="base_url"):
        client("langchain:openai:gpt-4o-mini", base_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("model", "says"),
    [("fireworks:x", "pip install langchain-fireworks"), ("no-such-provider-at-all", "Unable to infer")],
)
def test_a_model_that_langchain_cannot_make(model: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"cannot make langchain:{model}: .*{says}"):
        from_string(model)


def test_what_pydantic_says_of_what_came_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def init_chat_model(model: str) -> None:
        raise ValueError("1 validation error for Chat\napi_key\n  Field required [input_value={'x': 'SECRET'}]")

    monkeypatch.setattr("langchain.chat_models.init_chat_model", init_chat_model)
    with pytest.raises(InvalidInput, match="1 validation error for Chat") as caught:
        from_string("chat")
    assert "SECRET" not in str(caught.value)


def test_without_langchain_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[agents\]'"):
        from_string("openai:gpt-4o-mini")


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


def test_one_line_measures_a_chat_model_and_a_router_may_choose_it(suite_file: Path, tmp_path: Path) -> None:
    with CapabilityStore(f"sqlite:///{tmp_path / 'store.db'}") as store:
        report = aptitude_test(
            FakeListChatModel(responses=["Answer: 2"]),
            store=store,
            suite=str(suite_file),
            texts=suite_file.with_name("texts.jsonl"),
            concurrency=1,
        )
        assert (report.candidate, report.answered, report.mean_accuracy, report.published) == (
            "FakeListChatModel",
            2,
            0.5,
            True,
        )
        [capability] = Router.from_store(store, FakeScorer({"FakeListChatModel": 0.9})).capabilities
    assert capability.mean_accuracy == 0.5


async def test_models_are_usable_before_between_and_after_their_aptitude_tests(tmp_path: Path) -> None:
    sdk = pytest.importorskip("langchain_openai", reason="pip install langchain-openai")
    suite, items = suite_of(per_task=2)
    save_suite(suite, tmp_path / "suite.json")
    rows = [{"item_id": item.id, **item.model_dump(mode="json", exclude={"id"})} for item in items]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    where = {"suite": str(tmp_path / "suite.json"), "texts": tmp_path / "texts.jsonl"}
    with Providers(keep_alive=True) as providers:
        models = [sdk.ChatOpenAI(model=name, base_url=providers.url("fine"), api_key="x") for name in ("m0", "m1")]
        for model in models:
            assert (await model.ainvoke("q")).text == "fine answer"
            with CapabilityStore(f"sqlite:///{tmp_path / 'zoo.db'}") as store:
                report = await asyncio.to_thread(aptitude_test, model, store=store, concurrency=2, **where)
            assert report.published
            assert not report.failed
            for usable in models:
                assert (await usable.ainvoke("q")).text == usable.invoke("q").text == "fine answer"
        for model in models:
            model.root_client.close()
            await model.root_async_client.close()


@pytest.mark.parametrize("at", ["default", "sqlite:///mine.db"])
async def test_its_store_may_be_named_and_waited_for(
    suite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """`default` is the store that the command line and `Router.from_config` read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    where: dict[str, Any] = {"suite": str(suite_file), "texts": suite_file.with_name("texts.jsonl"), "store": at}
    seen: list[int] = []
    model = FakeListChatModel(responses=["Answer: 2"])
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
