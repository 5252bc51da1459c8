"""What must work with any versions that pyproject.toml allows; run by .ci/versions in a throw-away environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CIT = Path(sys.executable).with_name("cit")


def cit(*arguments: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run([CIT, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"cit {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def commands() -> None:
    """The command line starts, decides, imports and keeps a store."""
    assert "Usage" in cit("--help")
    for verb in ("route", "models", "import", "aptitude", "calibrate", "train", "bench", "doctor"):
        assert "Usage" in cit(verb, "--help"), verb
    for verb in ("table", "lm-eval", "inspect", "mmlu-pro", "routerbench", "embedllm"):
        assert "--skip-bad" in cit("import", verb, "--help"), verb
    assert "8 questions among 9 models" in cit("demo")
    rows = ["item_id,model,correct,instruction", "1,a,1,What is 7 times 8?", "1,b,0,What is 7 times 8?"]
    Path("results.csv").write_text("\n".join(rows))
    assert "2 new" in cit("import", "table", "results.csv", "--store", "sqlite:///smoke.db")
    assert '"model": "a"' in cit("route", "What is 7 times 9?", "--store", "sqlite:///smoke.db", "--json")


def chain() -> None:
    """A LangChain chain routes."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnableLambda

    from cit_core import Router
    from langchain_cit import RunnableRouter

    names = ["Meta-Llama-3.1-8B-Instruct", "gemini-1.5-pro-002"]
    routes = {name: RunnableLambda(lambda _prompt, name=name: name) for name in names}
    router = Router.from_pretrained(models=names)
    chain = ChatPromptTemplate.from_template("{question}") | RunnableRouter(routes=routes, router=router)
    assert chain.invoke({"question": "Which is larger, 9.9 or 9.11?"}) in names


def agent() -> None:
    """A chat model and an agent route, token by token too."""
    from langchain.agents import create_agent
    from langchain_core.language_models import FakeListChatModel
    from langchain_core.messages import HumanMessage

    from cit_core import Candidate, FakeScorer, Router
    from langchain_cit import ChatCIT
    from langchain_cit.middleware import CITCallMiddleware

    router = Router(FakeScorer({"a": 0.4, "b": 0.9}), [Candidate(id="a"), Candidate(id="b")])
    models = {name: FakeListChatModel(responses=[f"I am {name}"]) for name in "ab"}
    assert ChatCIT(models, router).invoke("Who?").text == "I am b"
    asked = {"messages": [HumanMessage("Who?")]}
    made = create_agent(models["a"], middleware=[CITCallMiddleware(models, router)])
    assert made.invoke(asked)["messages"][-1].text == "I am b"
    pieces = [piece.text for piece, _ in made.stream(asked, stream_mode="messages")]
    assert "".join(pieces).startswith("I am b")


def engine() -> None:
    """A LlamaIndex selector and an LLM choose."""
    from llama_index.core.llms import MockLLM
    from llama_index.core.tools import ToolMetadata

    from cit_core import Candidate, FakeScorer, Router
    from llamaindex_cit import CITLLM, CITSingleSelector

    router = Router(FakeScorer({"a": 0.4, "b": 0.9}), [Candidate(id="a"), Candidate(id="b")])
    llm = CITLLM({"a": MockLLM(), "b": MockLLM()}, router)
    assert str(llm.complete("Who?")) == "Who?"
    assert [piece.text for piece in llm.stream_complete("Who?")][-1] == "Who?"
    choices = [ToolMetadata(description="a", name="a"), ToolMetadata(description="b", name="b")]
    assert CITSingleSelector(router).select(choices, "anything").ind == 1


if __name__ == "__main__":
    commands()
    chain()
    agent()
    engine()
