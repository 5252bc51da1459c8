"""Feedback becomes an outcome: of a decision, by its id or by item; evidence at the next snapshot, whoever writes."""

from __future__ import annotations

import asyncio
import base64
import pickle
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core.errors import InvalidInput, UnknownCandidate
from cit_core.records import Candidate, Capability, Decision, Item, Outcome, Task
from cit_core.router import FakeScorer, Router, feedback
from cit_core.store import UNASSIGNED, CapabilityStore


class FakeTrunk:
    """Everyone is right with 0.5; a text's vector is the axis of its first letter."""

    name, max_tokens, encoder = "fake", 256, "letters"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.eye(26, dtype=np.float32)[[ord(text[0]) - ord("a") for text in texts]]

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        return np.zeros((len(instructions), len(capabilities))), self.encode(instructions)

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        return np.full((len(instructions), len(capabilities)), 0.5)


@pytest.fixture
def zoo(store: CapabilityStore) -> CapabilityStore:
    store.add_candidates([Candidate(id="small"), Candidate(id="large")])
    return store


def test_feedback_on_a_decision_is_evidence_at_the_next_snapshot(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    for n in range(20):
        decision = router.route(f"algebra, question {n}")
        router.feedback(decision, "small", 0.0)
        router.feedback(decision.id, "large", 1.0)
    assert router.route("algebra again").probability == 0.5, "a router is a snapshot"
    after = Router.from_store(zoo, FakeTrunk())
    scores = after.route("algebra again").scores
    assert scores["large"] > 0.52 > 0.48 > scores["small"]
    elsewhere = after.route("zoology").scores
    assert elsewhere["large"] > 0.52 > 0.48 > elsewhere["small"], "unlike anything stored: by the level"
    assert after.route("algebra").scorer == "fake+evidence"
    assert Router.from_store(zoo, FakeTrunk(), evidence=False).route("algebra").scorer == "fake"


def test_feedback_to_a_router_that_uses_evidence_already_is_evidence_too(zoo: CapabilityStore) -> None:
    first = Router.from_store(zoo, FakeTrunk())
    first.feedback(first.route("algebra"), "small", 1.0)
    second = Router.from_store(zoo, FakeTrunk())
    assert second.route("algebra").scorer == "fake+evidence"
    second.feedback(second.route("botany"), "large", 1.0)
    assert zoo.without_vector("letters", 9) == ()
    assert len(zoo.outcome_matrix(encoder="letters").item_ids) == 2


def test_what_feedback_keeps(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk(), keep_texts=True)
    decision = router.route("what is it?")
    outcome = router.feedback(decision, "small", 0.25)
    assert list(zoo.outcomes()) == [outcome]
    assert (outcome.candidate, outcome.correct, outcome.source) == ("small", 0.25, f"feedback:{decision.id}")
    (item,) = zoo.items()
    assert (item.id, item.instruction, item.task) == (outcome.item, "what is it?", UNASSIGNED)
    assert zoo.capability("small").results == (), "it is evidence; no task's accuracy changes"
    again = router.route("what is it?")
    router.feedback(again, "small", 1.0)
    assert len(zoo.items()) == 1, "the same question is the same item"
    assert zoo.outcome_count() == 2, "each decision is a fact of its own"


def test_texts_are_kept_only_if_asked_for(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    decision = router.route("what is my secret?")
    router.feedback(decision, "small", 1.0)
    (item,) = zoo.items()
    asked = Item(id="mine", task=UNASSIGNED, instruction="what is my secret?")
    assert (item.id, item.instruction) == (f"asked:{asked.digest}", None)
    assert "secret" not in decision.model_dump_json()
    assert zoo.outcome_matrix(encoder="letters").item_ids == (item.id,)
    keeps = Router.from_store(zoo, FakeTrunk(), keep_texts=True)
    keeps.feedback(keeps.route("what is my secret?"), "small", 1.0)
    assert zoo.items()[0].instruction == "what is my secret?", "a text that comes later is added"
    router.feedback(router.route("what is my secret?"), "large", 1.0)
    assert zoo.items()[0].instruction == "what is my secret?"


def test_feedback_on_an_item(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    zoo.add_tasks([Task(id="law", keywords=("contracts",))])
    item = Item(id="ticket-7", task="law", instruction="void or voidable?")
    router.feedback(item, "small", 1.0)
    router.feedback(item, "small", 1.0)
    assert zoo.outcome_count() == 1, "a retry is not a second fact"
    with pytest.raises(InvalidInput, match="for this item was given before, and was another one; pass key="):
        router.feedback(item, "small", 0.0)
    router.feedback(item, "small", 0.0, key="request-2")
    assert zoo.items() == (item,)
    assert [o.correct for o in sorted(zoo.outcomes(), key=lambda o: -o.correct)] == [1.0, 0.0]
    assert zoo.capability("small").results[0].accuracy == 0.5
    assert zoo.outcome_matrix(encoder="letters").item_ids == ("ticket-7",)


def test_the_same_feedback_twice_is_one_fact_and_another_is_refused(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    decision = router.route("what?")
    router.feedback(decision, "small", 1.0)
    router.feedback(decision, "small", 1.0)
    assert zoo.outcome_count() == 1
    with pytest.raises(InvalidInput, match="was given before, and was another one"):
        router.feedback(decision, "small", 0.0)
    assert [o.correct for o in zoo.outcomes()] == [1.0]


def test_what_cannot_be_kept_is_refused_and_nothing_is_written(
    zoo: CapabilityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "REMEMBERED", 2)
    router = Router.from_store(zoo, FakeTrunk())
    version, first = zoo.version, router.route("first")
    with pytest.raises(UnknownCandidate, match="'smal'"):
        router.feedback(first, "smal", 1.0)
    with pytest.raises(InvalidInput, match="correct"):
        router.feedback(first, "small", 2.0)
    router.route_many(["second", "third"])
    with pytest.raises(InvalidInput, match=f"no decision '{first.id}' among the last 2 .* pass the Item"):
        router.feedback(first.id, "small", 1.0)
    assert (zoo.version, zoo.items(), zoo.outcome_count()) == (version, (), 0)
    with pytest.raises(InvalidInput, match="make it with Router"):
        Router(FakeScorer({"a": 0.5}), [Candidate(id="a")]).feedback(first, "a", 1.0)


def test_a_scorer_without_vectors_takes_feedback_too(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeScorer({"small": 0.1, "large": 0.9}))
    router.feedback(router.route("q"), "small", 1.0)
    assert zoo.outcome_count() == 1
    keeps = Router.from_store(zoo, FakeScorer({"small": 0.1, "large": 0.9}), keep_texts=True)
    keeps.feedback(keeps.route("kept"), "small", 1.0)
    assert [item.instruction for item in zoo.without_vector("letters", 9)] == ["kept"], "whoever encodes next fills it"


def test_many_writers_at_once_lose_nothing(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())

    def one(n: int) -> Outcome:
        return router.feedback(router.route(f"question {n % 7}"), ("small", "large")[n % 2], float(n % 3 == 0))

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(one, range(60)))
    assert set(zoo.outcomes()) == set(given)
    assert len(zoo.items()) == 7


async def test_async_feedback(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    decisions = await router.aroute_many([f"question {n}" for n in range(8)])
    await asyncio.gather(*(router.afeedback(decision, "small", 1.0) for decision in decisions))
    assert zoo.outcome_count() == 8


def test_feedback_comes_from_any_router_with_the_decision_in_hand(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    decision = router.route("algebra")
    again = pickle.loads(pickle.dumps(router))
    told = Decision.model_validate_json(decision.model_dump_json())
    for given in (router.feedback(decision, "small", 1.0), again.feedback(told, "small", 1.0)):
        assert given.source == f"feedback:{decision.id}"
    assert zoo.outcome_count() == 1
    assert zoo.outcome_matrix(encoder="letters").item_ids == tuple(item.id for item in zoo.items()), (
        "the vector travels along"
    )
    with pytest.raises(InvalidInput, match="pass the Decision itself"):
        again.feedback(decision.id, "small", 1.0)
    again._feedback._store.close()


def test_the_thousandth_decision_is_not_too_late(zoo: CapabilityStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "REMEMBERED", 2)
    router = Router.from_store(zoo, FakeTrunk())
    first = router.route("first")
    router.route_many([f"question {n}" for n in range(3)])
    router.feedback(first, "small", 1.0)
    assert zoo.outcome_count() == 1


def test_prompts_are_not_remembered(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(20):
            router.route(f"{chr(97 + n)} long prompt " * 50_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000, "20 prompts of 700 kB"


def test_a_decision_that_was_tampered_with_is_refused(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    decision = router.route("algebra")
    told = decision.model_dump(mode="json")
    for vector in ("AAAA", "####", base64.b64encode(np.full(26, np.nan, "<f2").tobytes()).decode(), "A"):
        with pytest.raises(InvalidInput):
            router.feedback(Decision.model_validate({**told, "query": {**told["query"], "vector": vector}}), "small", 1)
    stranger = {**told["query"], "encoder": "another"}
    router.feedback(Decision.model_validate({**told, "query": stranger}), "small", 1.0)
    assert zoo.outcome_matrix(encoder="letters").item_ids == (), "a vector of another network is not kept"
    elsewhere = Router(FakeScorer({"small": 0.5}), [Candidate(id="small")]).route("q")
    with pytest.raises(InvalidInput, match="says nothing of its query"):
        router.feedback(elsewhere, "small", 1.0)


@pytest.mark.parametrize("about", [None, 5, ["id"], {"id": "x"}, "x" * 5000, "half \ud800"])
def test_feedback_about_nothing_is_an_error_of_ours(zoo: CapabilityStore, about: Any) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    with pytest.raises(InvalidInput):
        router.feedback(about, "small", 1.0)


def test_a_newcomer_whom_the_store_has_learnt_of_meanwhile_keeps_the_name_it_has_there(sqlite_url: str) -> None:
    """Two processes open routers on one new model by two names of it; two candidates would be ambiguous later."""
    with CapabilityStore(sqlite_url) as store:
        routers = [Router.from_models([name], store=store) for name in ("gpt-5-mini", "openai:gpt-5-mini")]
        for number, router in enumerate(routers):
            decision = router.route(f"question {number}")
            router.feedback(decision, decision.model, 1.0)
        assert [candidate.id for candidate in store.candidates()] == ["gpt-5-mini"]
        assert {outcome.candidate for outcome in store.outcomes()} == {"gpt-5-mini"}
        assert (
            Router.from_models(["azure_openai:gpt-5-mini"], store=store).basis["azure_openai:gpt-5-mini"].answers == 2
        )


@pytest.mark.parametrize(
    "names",
    [
        ["openai:gpt-5", "openai:gpt-5@max_tokens=500"],
        ["openai:gpt-5@max_tokens=500", "openai:gpt-5@max_tokens=100", "openai:gpt-5@low"],
        ["openai:gpt-5", "azure_openai:gpt-5"],
        ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "openai:gpt-4o"],
    ],
)
def test_newcomers_of_one_model_stay_apart_in_one_router(sqlite_url: str, names: list[str]) -> None:
    with CapabilityStore(sqlite_url) as store:
        router = Router.from_models(names, store=store)
        decision = router.route("question")
        for number, name in enumerate(names):
            router.feedback(decision, name, float(number == 0))
        found = {outcome.candidate: outcome.correct for outcome in store.outcomes()}
        assert found == {name: float(number == 0) for number, name in enumerate(names)}
        assert [candidate.id for candidate in Router.from_models(names, store=store).candidates] == names


def test_what_an_answer_took_is_in_its_outcome(zoo: CapabilityStore) -> None:
    router = Router.from_store(zoo, FakeTrunk())
    decision, odd = router.route("algebra"), router.route("zoology")
    router.settle(decision, model="large", cost_usd=0.01, latency_s=2.0, prompt_tokens=30, completion_tokens=400)
    router.settle(odd, model="large", cost_usd=float("nan"), latency_s=-1.0)
    for about, model in ((decision, "large"), (decision, "small"), (odd, "large")):
        router.feedback(about, model, 1.0)
    told = {(one.candidate, one.completion_tokens, one.cost_usd, one.latency_s) for one in zoo.outcomes()}
    assert told == {("large", 400, 0.01, 2.0), ("small", None, None, None), ("large", None, None, None)}
    usage = zoo.capability("large").usage
    assert (usage.completion_tokens, usage.latency_s) == (400.0, 2.0)
