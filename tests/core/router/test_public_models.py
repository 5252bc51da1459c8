"""A router among the models that somebody calls, from their names alone, offline."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core import Candidate, Capability, CapabilityStore, Decision, Item, Outcome, Router, Task
from cit_core.arms import Arm
from cit_core.catalogue import catalogue_candidates
from cit_core.catalogue.facts import reread
from cit_core.catalogue.last_check import refreshed_file
from cit_core.catalogue.resolve import ordered_by_level
from cit_core.errors import InvalidInput
from cit_core.policy import Constraints
from cit_core.router import Query
from cit_core.router.serialization import router_from_config, router_to_config

MODELS = ["openai:gpt-5-mini", "anthropic:claude-sonnet-4-5", "google_genai:gemini-2.5-flash"]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.from_models(MODELS)


def test_names_are_enough_and_are_the_ids_of_the_candidates(router: Router) -> None:
    decision = router.route("Prove that there are infinitely many primes.")
    assert {ranked.model for ranked in decision.ranking} == set(MODELS)
    assert all(ranked.expected_cost_usd is not None for ranked in decision.ranking)
    assert decision.warnings == ()
    assert {one.basis for one in router.basis.values()} == {"linked"}


def test_a_mapping_gives_models_names_of_ones_own() -> None:
    named = Router.from_models({"fast": "openai:gpt-5-mini", "deep": Arm("openai:gpt-5", effort="high")})
    assert {id_: one.basis for id_, one in named.basis.items()} == {"fast": "linked", "deep": "linked"}
    assert named.candidates[1].effort == "high"
    again = router_from_config(router_to_config(named))
    assert [c.price_in for c in again.candidates] == [c.price_in for c in named.candidates] == [0.25, 1.25]


class Contrary:
    """Finds every model the better the worse its level is."""

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.floating]:
        level_K = np.array([capability.mean_accuracy for capability in capabilities])
        return np.tile(1.0 - level_K, (len(instructions), 1))


def test_published_scores_say_who_is_better_and_the_scorer_how_hard_it_is(router: Router) -> None:
    level = {one.candidate.id: one.mean_accuracy for one in router.capabilities}
    contrary = Router(Contrary(), router.capabilities)
    told = {ranked.model: ranked.probability for ranked in contrary.route("Why?").ranking}
    assert told == pytest.approx({id_: 1.0 - one for id_, one in level.items()})

    contrary = Router(Contrary(), router.capabilities)
    contrary.by_level = router.by_level
    ordered = {ranked.model: ranked.probability for ranked in contrary.route("Why?").ranking}
    assert sorted(ordered.values()) == pytest.approx(sorted(told.values())), "the same numbers"
    assert sorted(ordered, key=ordered.__getitem__) == sorted(level, key=level.__getitem__)

    first, *others = MODELS
    contrary = Router(Contrary(), router.capabilities)
    contrary.by_level = ordered_by_level(
        [replace(router.basis[first], answers=3), *(router.basis[id_] for id_ in others)]
    )
    mixed = {ranked.model: ranked.probability for ranked in contrary.route("Why?").ranking}
    assert mixed[first] == pytest.approx(told[first]), "what has answered here is the scorer's alone"
    assert sorted(others, key=mixed.__getitem__) == sorted(others, key=level.__getitem__)


def test_models_that_sat_the_core_test_are_told_apart_by_their_profiles_among_themselves(router: Router) -> None:
    names = ["gemma-7b", "Qwen1.5-110B", "Mistral-7B-v0.1"]
    measured, mixed = Router.from_models(names), Router.from_models([*names, MODELS[0]])
    assert {one.basis for one in measured.basis.values()} == {"measured"}
    for opened, is_ordered in ((measured, False), (mixed, True)):
        contrary = Router(Contrary(), opened.capabilities)
        contrary.by_level = opened.by_level
        level = {one.candidate.id: one.mean_accuracy for one in opened.capabilities}
        decision = contrary.route("Why?")
        assert (decision.model == max(level, key=level.__getitem__)) is is_ordered


def test_other_queries_of_a_batch_do_not_move_the_order(router: Router) -> None:
    contrary = Router(Contrary(), router.capabilities)
    contrary.by_level = router.by_level
    one, all_of_them = Query("Why?", constraints=Constraints(deny=frozenset({MODELS[2]}))), Query("Why?")
    (alone,), (together, _) = contrary.decide_many([one]), contrary.decide_many([one, all_of_them])
    assert isinstance(alone, Decision)
    assert isinstance(together, Decision)
    assert together.scores == alone.scores


def test_a_price_decides_where_a_policy_asks_for_it(router: Router) -> None:
    assert router.route("What is 2 + 2?", policy="cost:0.0001").model != "anthropic:claude-sonnet-4-5"


def test_an_unknown_model_takes_part_with_a_warning_and_is_refused_where_asked() -> None:
    router = Router.from_models(["my-finetune"])
    decision = router.route("What is 2 + 2?")
    assert decision.warnings == (
        "my-finetune: no scores of it are known: an average model; `cit aptitude run my-finetune` measures it",
    )
    with pytest.raises(InvalidInput, match="no model 'my-finetune' is known"):
        Router.from_models(["my-finetune"], strict=True)


@pytest.mark.parametrize(
    "name",
    [
        "groq:openai/gpt-oss-120b",
        "xai:grok-4",
        "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "DeepSeek-V3.1",
        "Qwen3-235B-A22B-Instruct-2507",
        "openrouter/meta-llama/llama-4-scout:free",
    ],
)
def test_names_as_others_spell_them_are_linked_and_priced(name: str) -> None:
    router = Router.from_models([name], strict=True)
    assert router.basis[name].basis == "linked"
    assert router.candidates[0].price_out


def test_ones_own_price_goes_before_the_public_one() -> None:
    router = Router.from_models([Candidate(id="openai:gpt-5-mini", price_in=7.0), "openai:gpt-5"])
    mini = router.candidates[0]
    assert (mini.price_in, mini.price_out) == (7.0, 2.0)
    assert mini.price_cached == pytest.approx(7.0 * 0.025 / 0.25), "the same share of the price, never more than it"


def test_a_decision_says_what_each_number_rests_on(sqlite_url: str) -> None:
    old = catalogue_candidates()[0].id
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id=MODELS[1])])
        router = Router.from_models([*MODELS[:2], "my-finetune", old], store=store)
        router.feedback(router.route("Hello there"), MODELS[1], 1.0)
        router = Router.from_models([*MODELS[:2], "my-finetune", old], store=store)
        decision = router.route("What is 2 + 2?")
    basis = {ranked.model: ranked.basis for ranked in decision.ranking}
    assert basis == {
        MODELS[0]: "published scores",
        MODELS[1]: "1 answer in the store and published scores",
        "my-finetune": "models in general",
        old: "the core test",
    }
    told = decision.explain()
    assert all(f"  by {what}" in told for what in basis.values())
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert "  by " not in Router.from_pretrained(models=[old]).route("What is 2 + 2?").explain()


def test_a_model_that_its_maker_no_longer_serves_is_told(caplog: pytest.LogCaptureFixture) -> None:
    Router.from_models(["openai:o1", "openai:gpt-5.6-sol"])
    assert [record.getMessage() for record in caplog.records] == [
        "'openai:o1': its maker no longer serves it since 2026-10-23 and recommends gpt-5.6-sol"
    ]


@pytest.fixture
def newer_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """What `cit models update` leaves behind."""

    def update() -> None:
        file = refreshed_file()
        file.parent.mkdir(parents=True)
        file.write_text('{"as_of": "2030-01-31", "models": {"openai:gpt-5-mini": {"price_in": 9.0}}}')
        reread()

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    yield update
    monkeypatch.undo()
    reread()


def test_public_facts_in_a_store_give_way_to_newer_ones(sqlite_url: str, newer_facts: Callable[[], None]) -> None:
    names, known_as = [MODELS[0], "fast"], {"fast": MODELS[0]}
    with CapabilityStore(sqlite_url) as store:
        router = Router.from_models(names, store=store, known_as=known_as)
        for name in names:  # with feedback they come into the store, with public facts
            router.feedback(router.route("Hello there"), name, 1.0)
        store.add_candidates([store.candidate(MODELS[0]).model_copy(update={"notes": "ours"})], replace=True)
        newer_facts()
        for again in (Router.from_models(names, store=store, known_as=known_as), Router.from_store(store)):
            assert {one.id: one.price_in for one in again.candidates} == {MODELS[0]: 9.0, "fast": 9.0}
            assert {one.id: one.notes for one in again.candidates} == {MODELS[0]: "ours", "fast": ""}


@pytest.mark.parametrize(
    "own",
    [{"price_in": 0.2}, {"max_output": 500}, {"aliases": ("cheap",)}, {"tools": False}, {"context_window": 9_000}],
)
def test_facts_with_one_of_ones_own_stay_as_they_are(
    sqlite_url: str, newer_facts: Callable[[], None], own: dict[str, Any]
) -> None:
    with CapabilityStore(sqlite_url) as store:
        given = Candidate(id=MODELS[0], notes="hello", **own)
        router = Router.from_models([given, MODELS[1]], store=store)
        router.feedback(router.route("Hello there"), MODELS[0], 1.0)
        newer_facts()
        for again in (Router.from_models([MODELS[0]], store=store), Router.from_store(store)):
            [found] = again.candidates
            assert {name: getattr(found, name) for name in own} == own
            assert (found.notes, found.price_in) == ("hello", own.get("price_in", 0.25))


def test_an_arm_of_a_measured_model_rests_on_the_answers_of_its_model(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id="openai:gpt-5")])
        store.add_tasks([Task(id="law", keywords=("law",))])
        store.add_items([Item(id=f"q{n}", task="law") for n in range(120)])
        store.add_outcomes(Outcome(candidate="openai:gpt-5", item=f"q{n}", correct=1.0, source="m") for n in range(120))
        router = Router.from_models(["gpt-5@low", "gpt-5", "ours@hihg"], store=store)
    told = {id_: found.in_short for id_, found in router.basis.items()}
    assert told == {
        "gpt-5@low": "120 answers of its model in the store",
        "gpt-5": "120 answers in the store",
        "ours@hihg": "models in general",
    }


def test_what_a_store_has_measured_goes_before_public_scores(sqlite_url: str) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id="openai:gpt-5-mini")])
        store.add_tasks([Task(id="law", keywords=("law",))])
        store.add_items([Item(id=f"q{n}", task="law") for n in range(150)])
        store.add_outcomes(
            Outcome(candidate="openai:gpt-5-mini", item=f"q{n}", correct=1.0, source="mine") for n in range(150)
        )
        router = Router.from_models(MODELS, store=store)
        assert [router.basis[id_].basis for id_ in MODELS] == ["measured", "linked", "linked"]
        assert router.basis[MODELS[0]].because == "150 answers in the store"
        assert router.by_level == frozenset(MODELS[1:])
        efforts = Router.from_models([f"{MODELS[0]}@high", f"{MODELS[0]}@max_tokens=500", MODELS[1]], store=store)
        assert efforts.by_level == {MODELS[1]}, "arms of a model that has answered have its answers"


def test_a_first_answer_moves_a_model_a_little_and_many_move_it_all_the_way(sqlite_url: str) -> None:
    question, before = "What is 2 + 2?", Router.from_models(MODELS).route("What is 2 + 2?").scores
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id=MODELS[0])])
        store.add_tasks([Task(id="sums", keywords=("sums",))])
        store.add_items([Item(id=f"q{n}", task="sums", instruction=f"What is {n} + {n}?") for n in range(140)])
        seen = []
        for first, last in ((0, 1), (1, 10), (10, 140)):
            store.add_outcomes(
                Outcome(candidate=MODELS[0], item=f"q{n}", correct=0.0, source="mine") for n in range(first, last)
            )
            seen.append(Router.from_models(MODELS, store=store).route(question).scores)
    assert before[MODELS[0]] - 0.2 < seen[0][MODELS[0]] < before[MODELS[0]] - 0.01
    assert seen[0][MODELS[0]] > seen[1][MODELS[0]] > seen[2][MODELS[0]]
    assert seen[2][MODELS[0]] < 0.05
    assert seen[2][MODELS[1]] == pytest.approx(before[MODELS[1]], abs=1e-3), "of which nothing is known here"


def test_feedback_decides_between_two_models_although_its_questions_are_of_no_task(sqlite_url: str) -> None:
    best, other = sorted(MODELS[:2], key=Router.from_models(MODELS[:2]).route("Hi").scores.__getitem__, reverse=True)
    router = Router.from_models(MODELS[:2], store=sqlite_url)
    for n in range(30):
        decision = router.route(f"My parcel with order {n} has not arrived and I want a refund.")
        router.feedback(decision, best, 0.0)
        router.feedback(decision, other, 1.0)
    again = Router.from_models(MODELS[:2], store=sqlite_url)
    scores = again.route("My parcel with order 77 has not arrived and I want a refund.").scores
    assert scores[best] < 0.2
    assert scores[other] > 0.8
    assert not again.by_level
    assert again.basis[best].answers == 30
    assert "30 answers in the store" in again.basis[best].because
    with CapabilityStore(sqlite_url) as store:
        plain = Router.from_store(store).route("My parcel with order 77 has not arrived and I want a refund.").scores
    assert plain[best] == pytest.approx(scores[best], abs=0.1)


@pytest.mark.parametrize(("stored", "called"), [("gpt-5-mini", MODELS[0]), (MODELS[0], "gpt-5-mini")])
def test_a_model_that_is_stored_under_another_name_has_its_evidence_and_its_feedback(
    sqlite_url: str, stored: str, called: str
) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id=stored), Candidate(id="other")])
        store.add_tasks([Task(id="sums", keywords=("sums",))])
        store.add_items([Item(id=f"q{n}", task="sums", instruction=f"What is {n} + {n}?") for n in range(40)])
        store.add_outcomes(
            Outcome(candidate=id_, item=f"q{n}", correct=float(n % every == 0), source="mine")
            for id_, every in ((stored, 4), ("other", 2))
            for n in range(40)
        )
        plain = Router.from_store(store, models=[called])  # any name of the model, too
        assert [candidate.id for candidate in plain.candidates] == [stored]
        named = Router.from_models([called, "openai:gpt-5-nano"], store=store)
        question = "What is 7 + 7?"
        assert named.route(question).scores[called] == pytest.approx(plain.route(question).scores[stored], abs=0.01)
        decision = named.route(question)
        for candidate in (called, "openai:gpt-5-nano"):  # the second is new to the store
            named.feedback(decision, candidate, 1.0)
        assert {candidate.id for candidate in store.candidates()} == {stored, "other", "openai:gpt-5-nano"}
        assert store.outcome_count() == 82
        copied = pickle.loads(pickle.dumps(named))
        copied.feedback(decision, called, 1.0, key="again")
        assert store.outcome_count() == 83
        store.add_candidates([Candidate(id=f"azure_openai:{stored.removeprefix('openai:')}")])
        with pytest.raises(InvalidInput, match="'GPT-5-mini' may be one of azure_openai:gpt-5-mini,"):
            Router.from_models(["GPT-5-mini"], store=store)


def test_facts_and_names_of_ones_own_making_stay_when_it_is_opened_again() -> None:
    """Here as `cit.toml` gives them: an id, and another name of the model."""
    models = [Candidate(id="fast", price_in=7.0, released=date(2026, 1, 2)), "openai:gpt-5"]
    router = Router.from_models(models, known_as={"fast": "gpt-5-mini"})
    config = json.loads(json.dumps(router_to_config(router)))
    again = router_from_config(config)
    assert again.candidates == router.candidates
    assert again.basis["fast"] == router.basis["fast"]
    assert router_to_config(again) == config
    with pytest.raises(InvalidInput, match="facts of 'fast' that cannot be used") as refused:
        router_from_config({**config, "facts": {"fast": {"price_in": "hunter2-hunter2"}}})
    assert "hunter2" not in str(refused.value)


def test_it_is_opened_again_from_its_config(router: Router) -> None:
    again = router_from_config(router_to_config(router))
    assert again.route("Who wrote Emma?").scores == pytest.approx(router.route("Who wrote Emma?").scores)
    assert pickle.loads(pickle.dumps(router)).by_level == again.by_level == router.by_level == frozenset(MODELS)


def test_it_needs_no_network_and_no_torch() -> None:
    code = (
        "import sys, socket\n"
        "def refuse(*args): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from cit_core import Router\n"
        f"print(Router.from_models({MODELS!r}).route('What is 2 + 2?').model, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] in MODELS
    assert done.stdout.split()[1] == "False"
