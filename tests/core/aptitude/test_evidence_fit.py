"""A store's evidence is fitted by itself, kept, and fitted again when outcomes have come in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from numpy.typing import NDArray

from cit_core.aptitude import evidence_fit as fitting
from cit_core.aptitude import mapped_evidence
from cit_core.aptitude.evidence_fit import fit_store
from cit_core.errors import StoreError
from cit_core.evidence import Evidence, EvidenceScorer, neighbours
from cit_core.outcomes import UNASSIGNED
from cit_core.records import Candidate, Capability, Item, Outcome, Task
from cit_core.router import Router
from cit_core.store import CapabilityStore

TOPICS = ("algebra", "botany")


class FakeTrunk:
    """Everyone is right with 0.5; a text's vector is near its topic's axis."""

    name, max_tokens, encoder = "fake", 256, "topics"

    def __init__(self) -> None:
        self.read_texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        spread = np.array([[0.0, 0.0, 0.3 * np.sin(len(text)), 0.3 * np.cos(hash_(text))] for text in texts])
        vectors = spread + [
            np.eye(4)[TOPICS.index(topic)] if topic in TOPICS else np.ones(4) for topic in firsts(texts)
        ]
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        self.read_texts += instructions
        return np.zeros((len(instructions), len(capabilities))), self.encode(instructions)

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        return np.full((len(instructions), len(capabilities)), 0.5)


def firsts(texts: Sequence[str]) -> list[str]:
    return [(text.split() or [""])[0] for text in texts]


def hash_(text: str) -> float:
    return float(sum(map(ord, text)) % 97)


def fill(
    store: CapabilityStore, questions: int, *, skill: float, first: int = 0, names: str = "ab", texts: bool = True
) -> None:
    """`a` is right on algebra and `b` on botany, each so much more often than on the other."""
    draw = np.random.default_rng(first)
    with store.transaction() as writer:
        writer.add_candidates([*(Candidate(id=name) for name in names), Candidate(id="unmeasured")])
        writer.add_tasks([Task(id=UNASSIGNED, keywords=(UNASSIGNED,)), *(Task(id=t, keywords=(t,)) for t in TOPICS)])
        writer.add_items(
            Item(
                id=f"{n}",
                task=UNASSIGNED if texts else TOPICS[n % 2],
                instruction=f"{TOPICS[n % 2]} {'why ' * (n % 9)}{n}" if texts else None,
            )
            for n in range(first, first + questions)
        )
        writer.add_outcomes(
            Outcome(
                candidate=id_,
                item=f"{n}",
                source="log",
                correct=float(draw.random() < 0.5 + skill * (1 - 2 * (n % 2 ^ c % 2))),
            )
            for n in range(first, first + questions)
            for c, id_ in enumerate(names)
        )


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let a hundred questions be many; returns the folder of this user's cache."""
    monkeypatch.setattr(neighbours, "CELLS_FROM", 100)
    monkeypatch.setattr(neighbours, "PER_CELL", 20)
    cache = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: cache)
    return cache


def corrector(router: Router) -> Evidence:
    scorer = router.scorer
    assert isinstance(scorer, EvidenceScorer)
    return scorer.evidence


def is_mapped(array: object) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def kept(store: CapabilityStore) -> dict[str, object]:
    found = store.setting("evidence:fake")
    assert isinstance(found, dict)
    return found


def test_a_router_of_a_store_fits_its_evidence_and_keeps_it(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    trunk = FakeTrunk()
    router = Router.from_store(store, trunk)
    assert router.route("algebra of course").model == "a"
    assert router.route("botany of course").model == "b"
    assert router.store_version == f"store:{store.version}"
    assert kept(store)["questions"] == 200
    assert not router.route("algebra").warnings
    version, read = store.version, len(trunk.read_texts)
    again = Router.from_store(store, trunk)
    assert store.version == version, "nothing is fitted twice"
    assert len(trunk.read_texts) == read, "no question of the log is read again"
    assert again.route("botany too").model == "b"


def test_where_questions_tell_nothing_the_level_routes(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.0)
    models = {Router.from_store(store, FakeTrunk()).route(f"{topic} {n}").model for topic in TOPICS for n in range(9)}
    assert len(models) == 1


def test_a_few_new_outcomes_count_without_a_new_fit_and_many_bring_one(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    assert fit_store(store, FakeTrunk()).refreshed
    fill(store, 8, skill=0.4, first=200)
    few = fit_store(store, FakeTrunk())
    assert not few.refreshed
    assert len(few.log.outcomes) == 208, "they have vectors, and count"
    fill(store, 100, skill=0.4, first=300)
    assert fit_store(store, FakeTrunk()).refreshed


def test_outcomes_that_were_corrected_bring_a_new_fit(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    fit_store(store, FakeTrunk())
    before = list(store.outcomes())
    for few, refreshed in ((True, False), (False, True)):
        with store.transaction() as writer:
            for source in {outcome.source for outcome in before}:
                writer.remove_source(source)
            writer.add_outcomes(
                outcome.model_copy(update={"correct": float(outcome.candidate == before[0].candidate)})
                if not few or place < 10
                else outcome
                for place, outcome in enumerate(before)
            )
        assert fit_store(store, FakeTrunk()).refreshed == refreshed


def test_a_new_candidate_or_another_network_brings_a_new_fit(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    fit_store(store, FakeTrunk())
    fill(store, 10, skill=0.4, first=200, names="abc")
    assert fit_store(store, FakeTrunk()).refreshed
    another = FakeTrunk()
    another.encoder = "another"
    assert fit_store(store, another).refreshed
    assert fit_store(store, FakeTrunk()).refreshed, "vectors of one encoder took the place of the other's"
    newer = FakeTrunk()
    newer.name = "fake@2"
    assert fit_store(store, newer).refreshed
    assert fit_store(store, newer, anew=True).refreshed


def test_one_fit_is_kept_however_often_it_is_made(store: CapabilityStore) -> None:
    fill(store, 60, skill=0.4)
    for _ in range(3):
        fit_store(store, FakeTrunk(), anew=True)
    with store._reading() as connection:
        from cit_core.store.schema import settings

        assert len(connection.execute(settings.select()).all()) == 1


def test_the_network_reads_a_draw_and_no_more(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    trunk, again, other = FakeTrunk(), FakeTrunk(), FakeTrunk()
    told: list[tuple[str, int]] = []
    fit_store(store, trunk, questions=60, progress=lambda what, count: told.append((what, count)))
    fit_store(store, again, questions=60, anew=True)
    fit_store(store, other, questions=60, anew=True, seed=1)
    assert len(trunk.read_texts) == 60
    assert trunk.read_texts == again.read_texts != other.read_texts
    assert told == [("items encoded", 200), ("items read", 60)]


def test_profiles_alone_route_and_every_decision_says_so(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4, texts=False)
    router = Router.from_store(store, FakeTrunk())
    assert [router.route(f"{topic} of course").model for topic in TOPICS] == ["a", "b"]
    decision = router.route("algebra")
    assert any("cit import table" in warning for warning in decision.warnings)
    assert "cit import table" in decision.explain()


def test_a_router_by_hand_says_that_it_goes_without_evidence() -> None:
    trunk = FakeTrunk()
    known = Capability.model_validate(
        {
            "candidate": {"id": "a"},
            "results": [{"task": {"id": "algebra", "keywords": ["algebra"]}, "accuracy": 0.5, "count": 9}],
        }
    )
    decision = Router(trunk, [known]).route("algebra")
    assert any("cit calibrate" in warning for warning in decision.warnings)
    assert not Router(trunk, [Candidate(id="a")]).route("algebra").warnings


def test_without_evidence_if_so_asked(store: CapabilityStore) -> None:
    fill(store, 60, skill=0.4)
    decision = Router.from_store(store, FakeTrunk(), evidence=False).route("algebra")
    assert (decision.scorer, decision.warnings) == ("fake", ())
    assert store.setting("evidence:fake") is None


def test_feedback_is_evidence_for_the_next_router(store: CapabilityStore) -> None:
    fill(store, 40, skill=0.0)
    router = Router.from_store(store, FakeTrunk())
    for n in range(120):
        decision = router.route(f"{TOPICS[n % 2]} asked {n}")
        for id_ in "ab":
            router.feedback(decision, id_, float((id_ == "a") == (n % 2 == 0)))
    learned = Router.from_store(store, FakeTrunk())
    assert [learned.route(f"{topic} at last").model for topic in TOPICS] == ["a", "b"]


def test_a_store_that_cannot_be_written_is_routed_from(store: CapabilityStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 200, skill=0.4)
    fit_store(store, FakeTrunk())
    with store.transaction() as writer:
        writer.set_setting("evidence:fake", None, replace=True)

    def refused(*_: object, **__: object) -> None:
        raise StoreError("read only")

    monkeypatch.setattr(fitting, "fit_store", refused)
    router = Router.from_store(store, FakeTrunk())
    assert [router.route(f"{topic} of course").model for topic in TOPICS] == ["a", "b"]
    assert store.setting("evidence:fake") is None


def test_what_an_older_release_has_kept_is_fitted_again(store: CapabilityStore) -> None:
    fill(store, 60, skill=0.4)
    with store.transaction() as writer:
        writer.set_setting("evidence:fake", {"encoder": "topics", "scorer": "fake", "settings": None})
    assert fit_store(store, FakeTrunk()).refreshed
    assert kept(store)["format"] == 3


def test_a_suite_narrows_profiles_and_not_evidence(store: CapabilityStore, tmp_path: Path) -> None:
    from cit_core.records import Suite

    fill(store, 200, skill=0.4)
    suite = Suite(name="few", version=1, tasks=(Task(id="algebra", keywords=("algebra",)),), items={"algebra": ("0",)})
    router = Router.from_store(store, FakeTrunk(), suite=suite)
    assert [router.route(f"{topic} of course").model for topic in TOPICS] == ["a", "b"]


def test_lengths_of_answers_are_learned_kept_and_make_a_query_s_cost(store: CapabilityStore) -> None:
    fill(store, 120, skill=0.4)
    known = {item.id: item.instruction or "" for item in store.items()}
    with store.transaction() as writer:
        writer.add_candidates([Candidate(id=name, price_in=0.0, price_out=1e4) for name in ("priced", "too")])
        writer.add_outcomes(
            Outcome(candidate="priced", item=id_, correct=1.0, source="told", completion_tokens=tokens)
            for id_, text in known.items()
            for tokens in [900 + len(text) if text.startswith("algebra") else 90]
        )
    router = Router.from_store(store, FakeTrunk())
    usd = [
        router.route(text, constraints=router.constraints.among(["priced"])).expected_cost_usd
        for text in ("algebra why", "botany why")
    ]
    assert usd == pytest.approx([9.2, 0.9], rel=0.25), "each near the mean of its topic, not of the model"
    assert router.lengths is not None
    assert router.lengths.deviance[0] < 0.2
    again = Router.from_store(store, FakeTrunk())
    assert again.lengths is not None
    assert np.array_equal(again.lengths.offset_T, router.lengths.offset_T), "kept with the evidence"


def test_many_questions_are_mapped_from_the_cache_and_decide_the_same(
    store: CapabilityStore, many: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 200, skill=0.4)
    texts = [f"{topic} {'why ' * n}" for topic in TOPICS for n in range(9)]
    many.touch()  # no folder can be made there
    with caplog.at_level("WARNING", "cit_core"):
        own = Router.from_store(store, FakeTrunk())
    assert "the cache cannot be written" in caplog.text
    assert not is_mapped(corrector(own)._residual_IK)
    many.unlink()
    first = Router.from_store(store, FakeTrunk())
    with monkeypatch.context() as patch:
        patch.setattr(mapped_evidence, "evidence_of", None)  # reads every outcome
        second = Router.from_store(store, FakeTrunk())
    for router in (first, second):
        evidence = corrector(router)
        vectors_ID = evidence._neighbours._vectors_ID
        assert vectors_ID.dtype == np.float16
        large = (vectors_ID, evidence._neighbours._short_IP, evidence._residual_IK, evidence._weight_IK)
        assert all(is_mapped(array) for array in large)
        assert not any(array.flags.writeable for array in large)
        np.testing.assert_array_equal(
            evidence.log_odds(FakeTrunk().encode(texts), texts),
            corrector(own).log_odds(FakeTrunk().encode(texts), texts),
        )
        assert router.store_version == f"store:{store.version}"
        assert router.capabilities == own.capabilities


def test_the_cache_follows_the_store_and_is_made_again_where_it_is_damaged(store: CapabilityStore, many: Path) -> None:
    fill(store, 200, skill=0.4)
    Router.from_store(store, FakeTrunk())
    (folder,) = (many / "evidence").iterdir()
    (killed := many / "evidence" / f".{folder.name}-abc").mkdir()
    os.utime(killed, (0, 0))
    fill(store, 4, skill=0.4, first=200)
    assert len(corrector(Router.from_store(store, FakeTrunk()))) == 204, "a few new ones count at once"
    (folder,) = (many / "evidence").iterdir()  # that of before is gone
    assert folder.stat().st_mode & 0o077 == 0, "this user's alone"
    with (folder / "own_residual_IK.npy").open("r+b") as file:
        file.truncate(200)
    assert is_mapped(corrector(Router.from_store(store, FakeTrunk()))._residual_IK)
    assert [*(many / "evidence").iterdir()] == [folder]
