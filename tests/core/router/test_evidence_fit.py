"""Settings of evidence are fitted on a store's own outcomes, kept with its version and used by its next routers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core.errors import InvalidInput
from cit_core.evidence import EvidenceSettings
from cit_core.records import Candidate, Capability, Item, Outcome, Task
from cit_core.router import Router
from cit_core.router.evidence_fit import calibrate_evidence
from cit_core.store import UNASSIGNED, CapabilityStore

TOPICS = ("algebra", "botany")


class FakeTrunk:
    """Everyone is right with 0.5; a text's vector is near its topic's axis."""

    name, max_tokens, encoder = "fake", 256, "topics"

    def __init__(self) -> None:
        self.read_texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        spread = np.array([[0.0, 0.0, 0.3 * np.sin(len(text)), 0.3 * np.cos(hash_(text))] for text in texts])
        vectors = spread + np.eye(4)[[TOPICS.index(text.split()[0]) for text in texts]]
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        self.read_texts += instructions
        return np.zeros((len(instructions), len(capabilities))), self.encode(instructions)

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        return np.full((len(instructions), len(capabilities)), 0.5)


def hash_(text: str) -> float:
    return float(sum(map(ord, text)) % 97)


def fill(store: CapabilityStore, questions: int, *, skill: float) -> None:
    """`a` is right on algebra and `b` on botany, each so much more often than on the other."""
    draw = np.random.default_rng(0)
    with store.transaction() as writer:
        writer.add_candidates([Candidate(id="a"), Candidate(id="b"), Candidate(id="unmeasured")])
        writer.add_tasks([Task(id=UNASSIGNED, keywords=(UNASSIGNED,))])
        writer.add_items(
            Item(id=f"{n}", task=UNASSIGNED, instruction=f"{TOPICS[n % 2]} {'why ' * (n % 9)}{n}")
            for n in range(questions)
        )
        writer.add_outcomes(
            Outcome(
                candidate=id_,
                item=f"{n}",
                source="log",
                correct=float(draw.random() < 0.5 + skill * (1 - 2 * (n % 2 ^ c))),
            )
            for n in range(questions)
            for c, id_ in enumerate("ab")
        )


def test_fitted_settings_are_kept_and_used(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    told: list[tuple[str, int]] = []
    done = calibrate_evidence(store, FakeTrunk(), progress=lambda what, count: told.append((what, count)))
    assert done.fit.helps
    assert done.routed > 0.85 > 0.6 > done.routed_network
    assert told[0] == ("items encoded", 200)
    assert told[-1] == ("items read", 200)
    kept = store.setting("evidence:fake")
    assert (kept["encoder"], kept["questions"], done.version) == ("topics", 200, store.version)
    router = Router.from_store(store, FakeTrunk())
    assert router.route("algebra of course").model == "a"
    assert router.route("botany of course").model == "b"
    assert router.scorer.evidence.settings == done.fit.settings  # type: ignore[attr-defined]


def test_where_evidence_does_not_help_routers_go_without(store: CapabilityStore) -> None:
    fill(store, 120, skill=0.0)
    assert not calibrate_evidence(store, FakeTrunk()).fit.helps
    assert Router.from_store(store, FakeTrunk()).route("algebra").scorer == "fake"


def test_settings_of_another_encoder_are_not_used(store: CapabilityStore) -> None:
    fill(store, 120, skill=0.0)
    calibrate_evidence(store, FakeTrunk())
    another = FakeTrunk()
    another.encoder = "another"
    with store.transaction() as writer:
        writer.set_vectors({"0": np.ones(4)}, "another")
    assert Router.from_store(store, another).route("algebra").scorer == "fake+evidence"


def test_what_was_fitted_for_one_network_is_not_anothers_but_its_next_versions(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    mine, other, again = FakeTrunk(), FakeTrunk(), FakeTrunk()
    mine.name, other.name, again.name = "mine@1a", "other@2b", "mine@3c"
    fitted = calibrate_evidence(store, mine).fit.settings
    calibrate_evidence(store, other, questions=60)

    def settings(trunk: FakeTrunk) -> EvidenceSettings:
        return Router.from_store(store, trunk).scorer.evidence.settings  # type: ignore[attr-defined, no-any-return]

    assert settings(mine) == settings(again) == fitted
    assert settings(FakeTrunk()) == EvidenceSettings() != fitted


def test_a_draw_is_read_and_no_more(store: CapabilityStore) -> None:
    fill(store, 200, skill=0.4)
    trunk, again, other = FakeTrunk(), FakeTrunk(), FakeTrunk()
    assert len(calibrate_evidence(store, trunk, questions=60).fit.asked_N) == 60
    calibrate_evidence(store, again, questions=60)
    calibrate_evidence(store, other, questions=60, seed=1)
    assert len(trunk.read_texts) == 60
    assert trunk.read_texts == again.read_texts != other.read_texts


def test_too_few_questions_keep_nothing(store: CapabilityStore) -> None:
    fill(store, 49, skill=0.4)
    with pytest.raises(InvalidInput, match="at least 50 questions"):
        calibrate_evidence(store, FakeTrunk())
    assert store.setting("evidence:fake") is None
