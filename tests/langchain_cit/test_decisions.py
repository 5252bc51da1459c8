"""A decision model of LangChain over a router: in its own terms, and inside LangChain's own middleware."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from scripted import Scripted
from scripted_llm import ScriptedLLM
from scripted_provider import ScriptedProvider

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Constraints
from cit_core.records import Candidate
from cit_core.router import FakeScorer, Router

if sys.modules.get("langchain_core.decisions") is None:
    pytest.importorskip("langchain_core.decisions", reason="decision models came with langchain-core 1.8")

from langchain_core.decisions import Choice, Noul

from langchain_cit import CITDecisionModel

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")


def zoo(**options: Any) -> Router:
    scores = {"small": 0.6, "gpt-5-large": 0.8, "other": 0.99}
    candidates = [Candidate(id="small"), Candidate(id="gpt-5-large"), Candidate(id="other")]
    return Router(FakeScorer(scores), candidates, **options)


def choice(*labels: str) -> Choice:
    return Choice(instructions="Which model?", criteria=dict.fromkeys(labels))


@pytest.mark.parametrize(
    "state",
    [
        "a question",
        HumanMessage("a question"),
        [HumanMessage("a question")],
        {"messages": [HumanMessage("a question")], "more": 1},
        {"title": "a", "body": "question"},
    ],
    ids=lambda state: type(state).__name__,
)
async def test_a_choice_among_candidates_is_answered_with_calibrated_probabilities(state: Any) -> None:
    model = CITDecisionModel(zoo())
    request = {"state": state, "questions": {"route": choice("small", "gpt-5-large")}}
    for response in (model.invoke(request), await model.ainvoke(request)):
        answer = response.choices["route"]
        assert (answer.choice, answer.confidence) == ("gpt-5-large", 0.8)
        assert answer.probabilities == {"small": 0.6, "gpt-5-large": 0.8}
        assert response.model == "cit-router"


def test_several_questions_are_scored_together() -> None:
    router = zoo()
    questions = {"one": choice("small", "other"), "two": choice("small", "gpt-5-large")}
    answers = CITDecisionModel(router).invoke({"state": "q", "questions": questions}).choices
    assert [answers[name].choice for name in questions] == ["other", "gpt-5-large"]
    assert router.scorer.calls == [("q", "q")]


class Choosing:
    """As LangChain's ModelChoice: a model and a criterion."""

    criteria = "x"

    def __init__(self, model: Any) -> None:
        self.model = model


@pytest.mark.parametrize(
    "means",
    ["gpt-5-large", "openai:gpt-5-large", "GPT-5-Large", Scripted(model_name="gpt-5-large"), Choosing("x/gpt-5-large")],
    ids=lambda means: type(means).__name__,
)
def test_a_label_may_mean_a_candidate_by_its_name_or_model(means: Any) -> None:
    model = CITDecisionModel(zoo(), labels={"powerful": means, "fast": "small"})
    answer = model.invoke({"state": "q", "questions": {"route": choice("fast", "powerful")}}).choices["route"]
    assert (answer.choice, answer.probabilities) == ("powerful", {"fast": 0.6, "powerful": 0.8})


def test_it_is_made_of_names_alone() -> None:
    """With what the catalogue knows; no model is opened, so no key is needed."""
    names = ["openai:gpt-5-nano", "google_genai:gemini-3-pro-preview"]
    labelled = {"fast": Choosing(names[0]), "powerful": names[1]}
    for models, labels in ((names, names), (labelled, list(labelled))):
        model = CITDecisionModel.from_models(models, policy="threshold:0.8")
        answer = model.invoke({"state": "What is 2 + 2?", "questions": {"route": choice(*labels)}}).choices["route"]
        assert answer.choice == labels[0]
        assert set(answer.probabilities) == set(labels)
    known = CITDecisionModel.from_models([Scripted(model_name="gpt-5-mini")]).router.candidates[0]
    assert known.price_out is not None
    with pytest.raises(InvalidInput, match="a model is 3"):
        CITDecisionModel.from_models([3])


def test_a_candidate_that_may_not_be_chosen_has_no_chance() -> None:
    model = CITDecisionModel(zoo(constraints=Constraints(deny=frozenset({"gpt-5-large"}))))
    answer = model.invoke({"state": "q", "questions": {"route": choice("small", "gpt-5-large")}}).choices["route"]
    assert (answer.choice, answer.probabilities) == ("small", {"small": 0.6, "gpt-5-large": 0.0})
    with pytest.raises(NoCandidate):
        model.invoke({"state": "q", "questions": {"route": choice("gpt-5-large")}})


def test_other_questions_and_labels_are_refused() -> None:
    model = CITDecisionModel(zoo())
    with pytest.raises(InvalidInput, match="question 'urgent' is a noul; CITDecisionModel answers only a choice"):
        model.invoke({"state": "q", "questions": {"urgent": Noul(instructions="?")}})
    with pytest.raises(UnknownCandidate, match=r"'smal'.*labels=.*closest: 'small'"):
        model.invoke({"state": "q", "questions": {"route": choice("smal")}})
    with pytest.raises(UnknownCandidate, match="in labels"):
        CITDecisionModel(zoo(), labels={"fast": "openai:gpt-9"})
    with pytest.raises(InvalidInput, match="router is 3"):
        CITDecisionModel(3)


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_it_is_the_classifier_of_langchains_own_middleware(how: str) -> None:
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

    choices = {
        "fast": ModelChoice(Scripted(model_name="small"), "easy"),
        "powerful": ModelChoice(Scripted(model_name="gpt-5-large"), "hard"),
    }
    classifier = CITDecisionModel(zoo(), labels=choices)
    middleware = ModelRouterMiddleware(choices=choices, instructions="Choose.", classifier=classifier)
    agent = create_agent(Scripted(model_name="default"), middleware=[middleware])
    asked = {"messages": [HumanMessage("hi")]}
    found = agent.invoke(asked) if how == "invoke" else await agent.ainvoke(asked)
    assert found["messages"][-1].text == "gpt-5-large says: hi"


def test_the_page_about_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's own agent and middleware, the real SDKs, and providers on loopback."""
    page = (Path(__file__).parents[2] / "docs" / "langchain.md").read_text("utf-8")
    (block,) = re.findall(r"```python no-run: it calls[^\n]*test_decisions[^\n]*\n(.*?)```", page, re.S)
    names: dict[str, Any] = {}
    with ScriptedLLM(lambda _: "391") as openai, ScriptedProvider() as anthropic:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", openai.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{anthropic.url}/ok")
        exec(compile(block, "langchain.md", "exec"), names)
    assert (names["result"]["messages"][-1].text, names["result"]["model_route"].choice) == ("391", "fast")
