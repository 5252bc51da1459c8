"""The first ten minutes as docs/quickstart.md prints them: real SDKs of OpenAI and Anthropic, providers on loopback."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from scripted_llm import ScriptedLLM
from scripted_provider import ANSWER, ScriptedProvider

from cit_core import CapabilityStore
from cit_core.aptitude import measure

PAGE = (Path(__file__).parents[1] / "docs" / "quickstart.md").read_text("utf-8")
CALLING = re.compile(r"```python no-run: it calls your providers;[^\n]*\n(.*?)```", re.S)
QUESTIONS = 100


def test_five_lines_route_and_100_questions_make_it_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, better = CALLING.findall(PAGE)
    lines = [line for line in first.splitlines() if line.strip()]
    assert len(lines) <= 5, "pip install, and then five lines"
    monkeypatch.chdir(tmp_path)
    rows = (f"What is {number} + 1?,{number + 1}\n" for number in range(QUESTIONS))
    Path("questions.csv").write_text("question,answer\n" + "".join(rows))
    monkeypatch.setattr(measure, "fit_store", lambda *_, **__: None)  # the router fits once, when all were measured
    names: dict[str, Any] = {}

    def right(prompt: str) -> str:
        found = re.fullmatch(r"What is (\d+) \+ 1\?", prompt)
        return "391" if found is None else str(int(found[1]) + 1)

    with ScriptedLLM(right) as openai, ScriptedProvider() as anthropic:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", openai.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{anthropic.url}/ok")
        exec(compile(first, "quickstart.md", "exec"), names)
        assert names["answer"].text in ("391", ANSWER)
        assert names["answer"].response_metadata["cit_route"]["model"] in names["llm"].router.basis
        asked = len(openai.requests)
        exec(compile(better, "quickstart.md", "exec"), names)
        assert len(openai.requests) - asked == 2 * QUESTIONS, "each question once for each of two models"
    router = names["llm"].router
    assert {one.basis for one in router.basis.values()} == {"measured"}
    decision = router.route("What is 7 + 1?")
    assert decision.model.startswith("openai:"), "the third model answered every question wrongly"
    with CapabilityStore("sqlite:///zoo.db") as store:
        assert store.outcome_count() == 3 * QUESTIONS
