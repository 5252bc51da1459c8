"""No call fails because of the router: what cannot be decided goes to the default route, with a warning."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from cit_core.errors import InvalidInput, NoCandidate, UnknownCandidate
from cit_core.policy import Constraints, CostAware, QueryFacts
from cit_core.records import Candidate, Capability, Decision, Task, TaskResult
from cit_core.router import Batching, FakeScorer, Query, Router, Sticky
from cit_core.router.serialization import router_from_config, router_to_config

TASK = Task(id="t", keywords=("k",))


def measured(id_: str, accuracy: float, **facts: Any) -> Capability:
    return Capability(
        candidate=Candidate(id=id_, **facts), results=(TaskResult(task=TASK, accuracy=accuracy, count=9),)
    )


CHEAP = measured("cheap", 0.4, price_in=0.1, price_out=0.2, modalities=("text",))
BEST = measured("best", 0.9, price_in=5, price_out=10, modalities=("text",))
NEW = Capability(candidate=Candidate(id="new", modalities=("text",)))
ZOO = [NEW, CHEAP, BEST]
SCORES = {"new": 0.9, "cheap": 0.8, "best": 0.7}
SCORER = FakeScorer(SCORES)


class Broken(FakeScorer):
    """Fails for some queries, with an error that tells a secret."""

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> Any:
        if any("bad" in text for text in instructions):
            raise OSError("the prompt was: bad secret")
        return super().score(instructions, capabilities)


@pytest.fixture
def router() -> Router:
    return Router(SCORER, ZOO)


def by_default(decision: Decision, model: str, said: str) -> None:
    assert (decision.model, decision.chosen_by) == (model, "default")
    assert said in decision.warnings[0]
    assert decision.warnings[0].endswith(f": the default route, {model}")
    assert f"{model}: the default route\n" in decision.explain()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "the query is empty"),
        (" \n", "the query is empty"),
        (None, "the query is NoneType"),
        (b"raw", "the query is bytes"),
        ({"a": "b", "c": "d"}, "the query is a dict with several texts (its keys: 'a', 'c')"),
        ([], "the query is empty"),
        (["a", "b"], "the query is a list of texts"),
    ],
)
async def test_what_holds_no_text_goes_to_the_best_by_level(router: Router, query: Any, said: str) -> None:
    by_default(router.route(query), "best", said)
    by_default(await router.aroute(query), "best", said)
    good, bad = router.route_many(["What is 2 + 2?", query])
    assert good.chosen_by == "policy"
    by_default(bad, "best", said)
    assert list(bad.scores.items()) == [("best", 0.9), ("cheap", 0.4), ("new", 0.5)], "who was never measured is last"


def test_the_default_may_be_named_and_only_a_candidate_can_be() -> None:
    router = Router(SCORER, ZOO, default="cheap")
    by_default(router.route(""), "cheap", "empty")
    by_default(router.decide(Query("", default="new")), "new", "empty")
    assert router.route("q").model == "new", "what can be decided is"
    with pytest.raises(UnknownCandidate, match=r"no candidate 'chaep' .* \(in default=\); closest: 'cheap'"):
        Router(SCORER, ZOO, default="chaep")
    with pytest.raises(InvalidInput, match="strict is 3"):
        Router(SCORER, ZOO, strict=3)  # type: ignore[arg-type]


def test_half_a_character_is_left_out_and_two_halves_are_one() -> None:
    scorer = FakeScorer(SCORES)
    decision = Router(scorer, ZOO).route("Who wrote Emma? \ud83d")
    assert (decision.model, decision.chosen_by) == ("new", "policy")
    assert decision.warnings == ("the query holds half characters, which are no Unicode; they were left out to decide",)
    Router(scorer, ZOO).route("\ud83d\ude00")
    assert scorer.calls == [("Who wrote Emma? \ufffd",), ("\U0001f600",)]


def test_nobody_left_goes_to_the_default_but_never_to_whom_is_forbidden(router: Router) -> None:
    image = QueryFacts(modalities=frozenset({"image"}))
    by_default(
        router.route("q", facts=image), "best", "all 3 candidates are excluded (new, cheap, best: cannot read image)"
    )
    limits = Constraints(deny=frozenset({"best"}))
    by_default(router.route("q", facts=image, constraints=limits), "cheap", "best: denied")
    by_default(router.route("q", facts=image, constraints=Constraints(max_price_out=1)), "cheap", "price_out")
    by_default(
        router.route("q", constraints=Constraints(max_price_out=0.1, deny=frozenset({"new"}))), "best", "price_out"
    )
    with pytest.raises(NoCandidate, match="not in the allowed list"):
        router.route("q", constraints=Constraints(allow=frozenset()))
    with pytest.raises(NoCandidate, match="denied"):
        Router(SCORER, ZOO, default="best", constraints=Constraints(deny=frozenset(SCORES))).route("")


def test_a_call_that_names_a_candidate_gets_that_one_or_an_error(router: Router) -> None:
    by_default(router.decide(Query("", model="cheap")), "cheap", "empty")
    with pytest.raises(NoCandidate, match="price_out"):
        router.decide(Query("q", model="best", constraints=Constraints(max_price_out=1)))
    with pytest.raises(UnknownCandidate):
        router.decide(Query("", model="other"))


async def test_a_scorer_that_fails_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    router = Router(Broken(SCORES), ZOO)
    good, bad = router.route_many(["fine", "bad"])
    assert good.chosen_by == "policy"
    by_default(bad, "best", "the scorer fake failed (OSError)")
    by_default(await Router(Broken(SCORES), ZOO, batching=Batching()).aroute("bad"), "best", "OSError")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "the scorer fake failed (OSError): the default route, best"
    ] * 2
    with pytest.raises(OSError, match="secret"):
        Router(Broken(SCORES), ZOO, strict=True).route("bad")


def test_who_has_no_price_is_left_out_and_told_once(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert router.route("q", policy="cost:1000").model == "cheap"
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "no price is known of new: policy cost:1000 chooses among the others"
    ]
    unpriced = Router(FakeScorer(lambda *_: 0.5), [Candidate(id=f"m{n}") for n in range(19)], policy=CostAware(1.0))
    decision = unpriced.route("q")
    by_default(decision, "m0", "all 19 candidates are excluded (m0, m1, m2 and 16 more: no price is known")
    assert len(decision.explain().splitlines()) <= 8


def test_a_conversation_keeps_its_candidate_over_an_empty_turn(router: Router) -> None:
    conversation = Sticky().conversation("c")
    assert router.decide(Query("q", conversation=conversation)).model == "new"
    assert router.decide(Query("", conversation=conversation)).model == "new"
    by_default(router.decide(Query("", conversation=Sticky().conversation("d"))), "best", "empty")


def test_it_is_opened_again_with_its_default() -> None:
    names = ["openai:gpt-5-mini", "openai:gpt-5"]
    router = router_from_config(router_to_config(Router.from_models(names, default=names[0], strict=True)))
    assert (router.default, router.strict) == (names[0], True)
