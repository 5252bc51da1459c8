"""A released checkpoint is calibrated on what training may see, and its agreement with torch is counted right."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cit_core.calibration import fit_calibration
from cit_core.catalogue import catalogue_capabilities, catalogue_profiles
from cit_core.errors import UnknownCandidate
from cit_core.mini import release as module
from cit_core.mini.release import Agreement, measure_agreement, release, torch_log_odds
from cit_core.outcomes import OutcomeMatrix, Split, random_zoos
from cit_core.runtime import OnnxScorer

TEXTS = ["solve the algebra proof", "law", "", "why history, why market?", "name a cell", "energy b 7"]


@pytest.fixture
def no_export(exported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the exports that are there already."""

    def copy(made: Path) -> Callable[..., None]:
        return lambda *given: shutil.copytree(made, given[-1 if made == exported.int8 else 2], dirs_exist_ok=True)

    monkeypatch.setattr(module, "export_checkpoint", copy(exported.exact))
    monkeypatch.setattr(module, "quantise_checkpoint", copy(exported.int8))


class Answers:
    """A checkpoint that answers as it is told."""

    def __init__(self, odds_NK: NDArray[np.floating]) -> None:
        self.odds_NK = odds_NK

    def log_odds(self, texts: Any, capabilities: Any) -> NDArray[np.floating]:
        return self.odds_NK


def test_torchs_log_odds_are_those_of_the_float32_checkpoint(exported: Any) -> None:
    profiles = catalogue_capabilities()
    found = torch_log_odds(exported.network, exported.tokenizer, TEXTS, profiles)
    np.testing.assert_allclose(OnnxScorer(exported.exact).log_odds(TEXTS, profiles), found, atol=1e-4)


def test_agreement_is_counted_pair_by_pair_and_zoo_by_zoo(exported: Any) -> None:
    profiles = catalogue_capabilities()
    torch_NK = torch_log_odds(exported.network, exported.tokenizer, TEXTS, profiles)
    other_NK = torch_NK + np.random.default_rng(0).normal(0, torch_NK.std(), torch_NK.shape)
    zoos = random_zoos(np.array([capability.mean_accuracy for capability in profiles]))
    assert len(zoos) > 10

    def best(odds_K: NDArray[np.floating], zoo: tuple[int, ...]) -> int:
        return max(zoo, key=lambda k: odds_K[k])

    same_best = [best(a, zoo) == best(b, zoo) for zoo in zoos for a, b in zip(torch_NK, other_NK, strict=True)]
    same_order = [
        (a[k] > a[m]) == (b[k] > b[m])
        for k, m in itertools.combinations(range(len(profiles)), 2)
        for a, b in zip(torch_NK, other_NK, strict=True)
    ]
    exact = OnnxScorer(exported.exact)

    def measured(odds_NK: NDArray[np.floating]) -> Agreement:
        return measure_agreement(exported.network, exported.tokenizer, exact, Answers(odds_NK), TEXTS, profiles)

    found = measured(other_NK)
    assert (found.queries, found.candidates, found.zoos) == (len(TEXTS), len(profiles), len(zoos))
    assert found.decisions == pytest.approx(np.mean(same_best))
    assert found.pairs == pytest.approx(np.mean(same_order))
    assert found.quantised == pytest.approx(np.abs(other_NK - torch_NK).mean(), rel=1e-5)
    assert found.exact < 1e-4
    assert 0.2 < found.pairs < 0.95, "or the two lines above compare nothing"

    same = measured(torch_NK)
    assert (same.decisions, same.pairs, same.quantised) == (1.0, 1.0, 0.0)
    turned = measured(-torch_NK)
    assert (turned.decisions, turned.pairs) == (0.0, 0.0)


def test_a_release_is_calibrated_on_validation_items_and_models_that_training_may_see(
    exported: Any, no_export: None, table: OutcomeMatrix, tmp_path: Path
) -> None:
    split = Split()
    parts, models = split.items(table.item_ids), split.models(table.candidates)
    few = table.rows(np.sort(np.concatenate([parts["validation"][:80], parts["test"][:40], parts["train"][:40]])))
    rows = split.items(few.item_ids)["validation"]
    agreement = release(exported.network, exported.tokenizer, few, tmp_path / "clean", "tiny", split)

    poisoned = few.correct_IK.copy()
    poisoned[np.setdiff1d(np.arange(len(few.item_ids)), rows)] = 1.0
    poisoned[:, [few.column(model) for model in models["test"]]] = 0.0
    release(exported.network, exported.tokenizer, replace(few, correct_IK=poisoned), tmp_path / "other", "tiny", split)
    clean, other = (json.loads((tmp_path / run / "calibration.json").read_text()) for run in ("clean", "other"))
    assert clean == other != {"slope": 1.0, "intercept": 0.0}

    seen = models["validation"] + models["train"]
    odds_NK = OnnxScorer(exported.int8).log_odds([few.instructions[row] for row in rows], catalogue_profiles(seen))
    expected = fit_calibration(odds_NK, few.correct_IK[rows][:, [few.column(model) for model in seen]])
    assert clean == pytest.approx(asdict(expected), abs=1e-6)  # it is rounded
    scorer = OnnxScorer(tmp_path / "clean")  # opens: the hashes were written again
    assert scorer.checkpoint.config["network"]["int8"] is True
    assert json.loads((tmp_path / "clean" / "agreement.json").read_text()) == asdict(agreement)
    assert agreement.queries == 80
    assert agreement.decisions > 0.8


def test_a_model_that_the_catalogue_does_not_hold_is_refused_before_anything_is_made(
    exported: Any, table: OutcomeMatrix, tmp_path: Path
) -> None:
    renamed = replace(table, candidates=("gpt-17", *table.candidates[1:]))
    with pytest.raises(UnknownCandidate, match=r"no candidate 'gpt-17' among the 22 in the catalogue"):
        release(exported.network, exported.tokenizer, renamed, tmp_path / "out", "tiny", Split())
    assert not (tmp_path / "out").exists()
