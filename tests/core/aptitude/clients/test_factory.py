"""Clients from strings: prefixes, paths of objects, and what is said where one leads nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from cit_core.aptitude.clients import Client, FakeClient, client, load_object
from cit_core.aptitude.clients import factory as clients
from cit_core.errors import InvalidInput


@pytest.fixture
def my_llm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a module in the working directory, which is not on the path."""
    (tmp_path / "my_own_llm.py").write_text("def ask(prompt):\n    return prompt * 2\n\nnumber = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_own_llm"
    sys.modules.pop("my_own_llm", None)


async def test_a_function_by_its_name(my_llm: str) -> None:
    asked = client(f"python:{my_llm}:ask")
    assert asked.name == f"{my_llm}:ask"
    assert (await asked.ask("ab", key="")).text == "abab"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("my_own_llm", "package.module:name"),
        ("my_own_llm:", "package.module:name"),
        (":ask", "package.module:name"),
        ("my_own_llm:nothing", "nothing"),
        ("no_such_module_here:ask", "no_such_module_here"),
        ("my_own_llm:number", "is int; it must be a function"),
    ],
)
def test_a_name_that_leads_to_no_function(my_llm: str, path: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        client(f"python:{path}")


def test_an_object_may_stand_in_another(my_llm: str) -> None:
    assert load_object(f"{my_llm}:ask.__name__") == "ask"


@pytest.mark.parametrize("model", ["gpt-4o", "openai:", ":gpt-4o", "", "no_such:gpt-4o"])
def test_an_unknown_prefix_lists_those_there_are(model: str) -> None:
    with pytest.raises(InvalidInput, match=r"openai:….*python:…"):
        client(model)


def test_an_option_that_a_prefix_does_not_take(my_llm: str) -> None:
    with pytest.raises(InvalidInput, match="temperature"):
        client(f"python:{my_llm}:ask", temperature=0.0)


def parrot(words: str, *, temperature: float = 1.0) -> Client:
    return FakeClient(lambda prompt: f"{words} at {temperature}", name=words)


async def test_an_installed_package_adds_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("parrot", f"{__name__}:parrot", clients.ENTRY_POINTS)
    monkeypatch.setattr(clients, "entry_points", EntryPoints([entry]).select)
    asked = client("parrot:polly:1", temperature=0.5)
    assert (await asked.ask("q", key="k")).text == "polly:1 at 0.5"
    with pytest.raises(InvalidInput, match="max_tokens"):
        client("parrot:polly", max_tokens=5)
    with pytest.raises(InvalidInput, match="openai:…, parrot:…, python:…"):
        client("crow:polly")
