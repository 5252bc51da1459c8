"""Where a router's zoo comes from: the shipped catalogue or a store, whole or in part."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from cit_core.catalogue import catalogue_candidates
from cit_core.catalogue.default_zoo import DEFAULT_ZOO
from cit_core.errors import InvalidInput, NoCandidate, StoreError, UnknownCandidate
from cit_core.policy import Best, Constraints
from cit_core.records import Candidate, Item, Outcome, Task
from cit_core.router import FakeScorer, Router
from cit_core.router.serialization import router_from_config, router_to_config
from cit_core.store import CapabilityStore
from cit_core.store.migrations.revisions import upgrade

SMALL, LARGE = Candidate(id="small"), Candidate(id="large")


@pytest.fixture
def scorer() -> FakeScorer:
    return FakeScorer({"small": 0.6, "large": 0.9})


@pytest.fixture
def fake_checkpoint(monkeypatch: pytest.MonkeyPatch) -> FakeScorer:
    """`load_scorer` without a network."""
    scorer = FakeScorer(lambda _, id_: len(id_) / 100)
    monkeypatch.setattr("cit_core.runtime.load_scorer", lambda name: scorer)
    return scorer


MEASURED = [candidate.id for candidate in catalogue_candidates()]


def test_the_pretrained_router_has_todays_models_or_those_that_are_asked_for(
    fake_checkpoint: FakeScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")  # it calls nobody, so keys do not count
    today = Router.from_pretrained(policy="cost:0.01", strict=True)
    assert [candidate.id for candidate in today.candidates] == list(DEFAULT_ZOO)
    assert (today.policy.name, today.strict, today.scorer) == ("cost:0.01", True, fake_checkpoint)
    again = router_from_config(router_to_config(today))
    assert again.candidates == today.candidates
    named = Router.from_pretrained(models=iter(["gpt-4o", MEASURED[0]]))
    assert [named.basis[id_].basis for id_ in ("gpt-4o", MEASURED[0])] == ["linked", "measured"]


def test_of_the_measured_models_all_or_a_part_can_be_asked_for(fake_checkpoint: FakeScorer) -> None:
    everybody = Router.from_pretrained(models=MEASURED)
    assert everybody.scorer is fake_checkpoint
    assert len(everybody.candidates) == 22
    assert all(capability.results for capability in everybody.capabilities)
    assert everybody.store_version == "catalogue:mmlu-pro-core@1"
    wanted = [everybody.candidates[5].id, everybody.candidates[2].id]
    some = Router.from_pretrained(models=wanted, policy=Best(), constraints=Constraints(deny=frozenset(wanted[:1])))
    assert [candidate.id for candidate in some.candidates] == wanted
    assert some.route("q").model == wanted[1]


def test_an_unknown_model_names_the_closest_in_the_catalogue(fake_checkpoint: FakeScorer) -> None:
    known = MEASURED[3]
    for wrong, closest in ((known[:-1] + "_", known), ("gpt-5-minj", "gpt-5-mini")):
        with pytest.raises(UnknownCandidate, match=f"in the catalogue; closest: '{closest}'"):
            Router.from_pretrained(models=[wrong])
    with pytest.raises(InvalidInput, match=f"models is one text, '{known}'; it must be a list of ids"):
        Router.from_pretrained(models=known)
    with pytest.raises(InvalidInput, match="duplicate candidate ids"):
        Router.from_pretrained(models=[known, known])
    with pytest.raises(NoCandidate, match="the zoo is empty"):
        Router.from_pretrained(models=[])


def test_a_store_is_a_zoo_with_capabilities_of_its_outcomes(
    scorer: FakeScorer, fake_checkpoint: FakeScorer, sqlite_url: str
) -> None:
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(NoCandidate, match="the zoo is empty"):
            Router.from_store(store, scorer)
        store.add_candidates([SMALL, LARGE])
        store.add_tasks([Task(id="t", keywords=("k",))])
        store.add_items([Item(id="i", task="t")])
        store.add_outcomes([Outcome(candidate="large", item="i", correct=0.5, source="s")])
        router = Router.from_store(store, scorer)
        decision = router.route("q")
        assert decision.model == "large"
        assert decision.store_version == f"store:{store.version}"
        found = {c.candidate.id: [(line.accuracy, line.count) for line in c.results] for c in router.capabilities}
        assert found == {"small": [], "large": [(0.5, 1)]}
        assert Router.from_store(store).scorer is fake_checkpoint
        assert [c.id for c in Router.from_store(store, scorer, models=["large"]).candidates] == ["large"]
        with pytest.raises(UnknownCandidate, match="closest: 'large'"):
            Router.from_store(store, scorer, models=["larg"])


def test_who_was_not_measured_does_not_win_against_who_was(scorer: FakeScorer, sqlite_url: str) -> None:
    """A test that is under way is held: its model is not measured until it is complete."""
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([SMALL, LARGE])
        assert Router.from_store(store, scorer).route("q").model == "large", "nobody was: anybody may be guessed at"
        store.add_tasks([Task(id="t", keywords=("k",))])
        store.add_items([Item(id="i", task="t")])
        store.hold("test")
        store.add_outcomes([Outcome(candidate="small", item="i", correct=0.5, source="s")])
        store.add_outcomes([Outcome(candidate="large", item="i", correct=1.0, source="test")])
        decision = Router.from_store(store, scorer).route("q")
        assert decision.model == "small"
        assert "not measured yet: `cit aptitude run MODEL --as large`" in decision.excluded["large"]
        assert Router.from_store(store, scorer, models=["large"]).route("q").model == "large", "it is asked for alone"
        store.release("test")
        assert Router.from_store(store, scorer).route("q").model == "large"


def test_a_store_whose_outcomes_count_for_nothing_says_so_in_every_decision(
    scorer: FakeScorer, sqlite_url: str
) -> None:
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([SMALL, LARGE])
        store.add_tasks([Task(id="unassigned", keywords=("unassigned",)), Task(id="sums", keywords=("sums",))])
        store.add_items([Item(id="1", task="unassigned"), Item(id="2", task="unassigned")])
        store.add_outcomes(
            Outcome(candidate=c, item=i, correct=1, source="s") for c in ("small", "large") for i in "12"
        )
        [warning] = Router.from_store(store, scorer=scorer).route("q").warnings
        assert "no outcome of the store counts" in warning
        store.add_items([Item(id="3", task="sums")])
        store.add_outcomes([Outcome(candidate="small", item="3", correct=1, source="s")])
        told = Router.from_store(store, scorer=scorer).route("q").warnings
        assert not any("no outcome of the store counts" in one for one in told)


def test_facts_that_a_store_lacks_are_the_public_ones(scorer: FakeScorer, sqlite_url: str) -> None:
    """An import knows names and answers alone; one's own facts stay."""
    own = Candidate(id="openai:gpt-5-mini", price_out=7.0, notes="ours")
    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id="openai:gpt-5"), own, Candidate(id="ours")])
        any_scorer = FakeScorer(lambda _, id_: 0.5)
        dear, cheap, unknown = Router.from_store(store, any_scorer).candidates
    assert (dear.price_in, dear.price_out, dear.context_window) == (1.25, 10.0, 400_000)
    assert (cheap.price_in, cheap.price_out, cheap.notes) == (0.25, 7.0, "ours")
    assert unknown == Candidate(id="ours")


def test_a_store_that_is_not_there_is_refused_and_not_made(scorer: FakeScorer, store_url: str, tmp_path: Path) -> None:
    """A mistyped address must not become an empty store, in a file or in a database."""
    with pytest.raises(StoreError, match=r"no store at .*, and none was made; `cit import`, "):
        Router.from_store(store_url, scorer)
    with pytest.raises(StoreError, match="no store at"):
        CapabilityStore(store_url, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_an_older_release_is_brought_up_to_date(scorer: FakeScorer, store_url: str) -> None:
    engine = create_engine(store_url)
    with engine.begin() as connection:
        upgrade(connection, store_url, last="0001")
    engine.dispose()
    with pytest.raises(NoCandidate, match="the zoo is empty"):
        Router.from_store(store_url, scorer)
    CapabilityStore(store_url, create=False).close()
