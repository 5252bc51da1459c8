"""A paper-style run is a checkpoint like any other: for routers, with evidence, in threads and in pickles."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_paper import TEXTS, save_run, zoo

from cit_core import Candidate, CapabilityStore, Item, Outcome, Router, Task, load_scorer
from cit_core.catalogue import catalogue_candidates
from cit_core.errors import CheckpointError
from cit_core.evidence import EvidenceScorer
from cit_core.paper.scorer import PaperScorer
from cit_core.router.loading import RunScorer, is_run, open_scorer
from cit_core.router.serialization import router_from_config, router_to_config
from cit_core.runtime import Checkpoint, OnnxScorer, shipped_checkpoints

MINI = shipped_checkpoints()["mini"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("run"), capability="set", order="capability_last")


@pytest.fixture(scope="module")
def scorer(run: Path) -> Any:
    return open_scorer(run)


def test_a_run_is_scored_by_its_network_and_compared_by_the_vectors_of_mini(run: Path, scorer: Any) -> None:
    network, models = PaperScorer.from_run(run), zoo(4)
    expected_NK = network.score(TEXTS, models)
    assert np.ptp(expected_NK) > 0.01, "or one candidate is as good as another"
    np.testing.assert_allclose(scorer.score(TEXTS, models), expected_NK, atol=1e-6)
    odds_NK, vectors_ND = scorer.read(TEXTS, models)
    np.testing.assert_allclose(odds_NK, 0.5 * network.log_odds(TEXTS, models) + 0.25, atol=1e-6)
    mini = load_scorer("mini")
    np.testing.assert_allclose(vectors_ND, mini.encode(TEXTS), atol=1e-6)
    assert (scorer.name, scorer.max_tokens, scorer.encoder) == (network.name, 16, mini.encoder)


def test_a_router_opens_it_with_the_catalogues_evidence_and_opens_again_from_its_config(run: Path, scorer: Any) -> None:
    router = Router.from_pretrained(run, models=[candidate.id for candidate in catalogue_candidates()])
    assert isinstance(router.scorer, EvidenceScorer)
    decision = router.route("Solve the algebra proof.")
    assert decision.scorer == f"{scorer.name}+evidence"
    again = router_from_config(router_to_config(router)).route("Solve the algebra proof.")
    assert again.scores == pytest.approx(dict(decision.scores))
    plain = Router.from_pretrained(run, models=[c.id for c in router.candidates], evidence=False).route(
        "Solve the algebra proof."
    )
    ids = [capability.candidate.id for capability in router.capabilities]
    expected = scorer.score(["Solve the algebra proof."], router.capabilities)[0]
    assert dict(plain.scores) == pytest.approx(dict(zip(ids, expected, strict=True)))


def test_a_stores_outcomes_correct_it(scorer: Any, sqlite_url: str) -> None:
    from cit_core.aptitude.item_vectors import encode_items

    with CapabilityStore(sqlite_url) as store:
        store.add_candidates([Candidate(id="good"), Candidate(id="bad")])
        store.add_tasks([Task(id="t", keywords=("law",))])
        store.add_items([Item(id=f"i{n}", task="t", instruction=f"law {n}") for n in range(60)])
        store.add_outcomes(
            Outcome(candidate=id_, item=f"i{n}", correct=float(id_ == "good"), source="s")
            for id_ in ("good", "bad")
            for n in range(60)
        )
        assert encode_items(store, scorer) == 60
        corrected, alone = (Router.from_store(store, scorer, evidence=given).route("law 7") for given in (True, False))
    gap = [decision.scores["good"] - decision.scores["bad"] for decision in (corrected, alone)]
    assert gap[0] > gap[1] + 0.1


def test_it_pickles_as_its_path(scorer: Any) -> None:
    pickled = pickle.dumps(scorer)
    assert len(pickled) < 1000
    np.testing.assert_allclose(pickle.loads(pickled).score(TEXTS, zoo(3)), scorer.score(TEXTS, zoo(3)), atol=1e-6)


def test_one_call_waits_for_the_other(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, inside, met = RunScorer(run), [], []
    plain = scorer._network.calibrated_log_odds

    def slow(*given: Any) -> Any:
        inside.append(threading.get_ident())
        time.sleep(0.02)
        met.append(len(inside))
        inside.pop()
        return plain(*given)

    monkeypatch.setattr(scorer._network, "calibrated_log_odds", slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: scorer.score([text], zoo(2)), TEXTS))
    assert met == [1] * len(TEXTS)


# ---- what is a run and what is not


def test_what_is_shipped_or_exported_is_no_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_run(run)
    assert is_run(str(run))
    assert not is_run(MINI)
    assert isinstance(open_scorer(MINI), OnnxScorer)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").symlink_to(run)
    assert not is_run("mini"), "the name is the shipped one's"
    assert is_run("./mini")
    assert open_scorer().name == Checkpoint.open("mini").name


@pytest.mark.parametrize("there", [(), ("model.json",), ("calibration.json",)])
def test_half_a_run_is_refused(tmp_path: Path, there: tuple[str, ...]) -> None:
    """As is a run of `mini`, which keeps its export in a folder of its own."""
    for name in there:
        (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=r"is not a checkpoint: no readable config.json"):
        open_scorer(tmp_path)


def test_a_run_that_is_not_finished_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is not finished; to go on with it: cit train --config .* --resume"):
        open_scorer(tmp_path)
