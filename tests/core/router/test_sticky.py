"""A conversation keeps its candidate until that has become a bad choice."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.errors import InvalidInput
from cit_core.policy import Constraints, QueryFacts
from cit_core.records import Candidate, Decision
from cit_core.router import FakeScorer, Query, Router, Sticky

ZOO = [Candidate(id="small", modalities=("text",)), Candidate(id="large", context_window=100)]


def scores_in_text(instruction: str, candidate: str) -> float:
    """`0.9 0.5` is 0.9 for the small one and 0.5 for the large one."""
    small, large = instruction.split()
    return float(small if candidate == "small" else large)


@pytest.fixture
def router() -> Router:
    return Router(FakeScorer(scores_in_text), ZOO)


def turns(router: Router, sticky: Sticky, *texts: str, key: str = "t", **options: Any) -> list[str]:
    """Who is chosen in each turn of a conversation."""
    return [router.decide(Query(text, conversation=sticky.conversation(key), **options)).model for text in texts]


def test_a_conversation_keeps_its_candidate_while_another_would_win(router: Router) -> None:
    sticky = Sticky(0.1)
    assert turns(router, sticky, "0.8 0.2", "0.8 0.9", "0.7 0.9") == ["small"] * 3
    assert turns(router, sticky, "0.7 0.9", key="another") == ["large"]
    assert router.route("0.7 0.9").model == "large", "without a conversation nothing is kept"


def test_it_changes_once_the_probability_has_fallen_by_more_than_the_margin(router: Router) -> None:
    sticky = Sticky(0.25)
    assert turns(router, sticky, "0.75 0.2", "0.5 0.9", "0.49 0.9", "0.9 0.8") == ["small", "small", "large", "large"]


def test_the_fall_is_measured_from_when_it_was_chosen(router: Router) -> None:
    assert turns(router, Sticky(0.2), "0.9 0", "0.8 1", "0.75 1", "0.65 1") == ["small", "small", "small", "large"]


def test_it_changes_when_the_candidate_is_no_longer_possible(router: Router) -> None:
    for margin in (0.0, 1.0):
        sticky = Sticky(margin)
        picture = Query("0 0.1", QueryFacts(modalities=frozenset({"image"})), conversation=sticky.conversation("t"))
        assert turns(router, sticky, "0 0") == ["large"], "equals in order of id"
        assert turns(router, sticky, "0 0", constraints=Constraints(deny=frozenset({"large"}))) == ["small"]
        assert router.decide(picture).model == "large"


def test_a_kept_candidate_stands_in_front_and_the_decision_says_why(router: Router) -> None:
    sticky = Sticky(0.1)
    turns(router, sticky, "0.8 0.2")
    decision = router.decide(Query("0.75 0.95", conversation=sticky.conversation("t")))
    assert (decision.model, decision.probability, decision.chosen_by) == ("small", 0.75, "conversation")
    assert list(decision.scores) == ["small", "large"]
    assert "small: 75.0% likely to get this right (kept in its conversation, fake)" in decision.explain()
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert router.decide(Query("0.8 0.9")).chosen_by == "policy"


def test_warnings_are_about_the_candidate_that_is_kept(router: Router) -> None:
    sticky = Sticky(1.0)
    both = Router(FakeScorer(scores_in_text), [ZOO[1], Candidate(id="small", context_window=100)])
    long = QueryFacts(tokens=500)
    assert turns(both, sticky, "0 1") == ["large"]
    kept = both.decide(Query("1 0", long, conversation=sticky.conversation("t")))
    assert "(large: 100)" in kept.warnings[0]


def test_what_a_caller_asks_for_is_neither_kept_nor_changed(router: Router) -> None:
    sticky = Sticky()
    assert turns(router, sticky, "0.8 0.2") == ["small"]
    assert turns(router, sticky, "0.8 0.2", model="large") == ["large"]
    assert turns(router, sticky, "0.8 0.9") == ["small"]


def test_the_least_recently_used_conversation_is_forgotten(router: Router) -> None:
    sticky = Sticky(1.0, remembered=2)
    for key in ("a", "b", "a", "c"):
        turns(router, sticky, "1 0", key=key)
    assert [turns(router, sticky, "0 1", key=key) for key in ("a", "c")] == [["small"], ["small"]]
    assert turns(router, sticky, "0 1", key="b") == ["large"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 5))
def test_memory_is_bounded(keys: list[int], remembered: int) -> None:
    router, sticky = Router(FakeScorer(scores_in_text), ZOO), Sticky(remembered=remembered)
    for key in keys:
        turns(router, sticky, "1 0", key=str(key))
    assert len(sticky._chosen) == min(len(set(keys)), remembered)


def test_threads_of_one_conversation_agree(router: Router) -> None:
    sticky, together = Sticky(1.0), threading.Barrier(16)

    def turn(n: int) -> str:
        together.wait(timeout=30)
        return turns(router, sticky, "1 0" if n % 2 else "0 1")[0]

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(turn, range(16)))) == 1


@pytest.mark.parametrize("options", [{"margin": -0.1}, {"margin": 1.1}, {"margin": float("nan")}, {"remembered": 0}])
def test_settings_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(options))} is"):
        Sticky(**options)


def test_it_pickles_with_its_settings_and_without_its_past(router: Router) -> None:
    sticky = Sticky(0.3, remembered=7)
    turns(router, sticky, "1 0")
    again = pickle.loads(pickle.dumps(sticky))
    assert (again.margin, again.remembered, len(again._chosen)) == (0.3, 7, 0)


def test_what_was_said_before_is_cached_where_the_conversation_was(router: Router) -> None:
    priced = [Candidate(id=id_, price_in=1.0, price_out=0.0, price_cached=0.1) for id_ in ("small", "large")]
    priced[1] = priced[1].model_copy(update={"context_window": None})
    router, conversation = Router(FakeScorer(scores_in_text), priced), Sticky().conversation("t")
    first, second = (
        {
            one.model: one.expected_cost_usd
            for one in router.decide(Query("0.9 0.5", facts, conversation=conversation)).ranking
        }
        for facts in (QueryFacts(tokens=5_000), QueryFacts(tokens=10_000))
    )
    assert first["small"] == first["large"] == pytest.approx(0.005)
    assert second["small"] == pytest.approx(0.001, rel=0.02), "nearly all of it was read in the turn before"
    assert second["large"] == pytest.approx(0.01)
