"""Scores of every method: controls keep what they must, what is kept is what is read, and fits are shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_tables import MODELS, StubBaseline, StubNetwork, core_table, few_baselines, log_table, text_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from cit_core.capability import capability_from_results
from cit_core.catalogue import known_tasks
from cit_core.evaluate import predictions as predicting
from cit_core.evaluate.baselines import baselines, quick_baselines
from cit_core.evaluate.catalogue_settings import catalogue_parts, catalogue_setting
from cit_core.evaluate.log_settings import own_tasks_setting
from cit_core.evaluate.predictions import (
    EVIDENCE,
    MEAN_ONLY,
    NETWORK,
    TASKS_SHUFFLED,
    Method,
    keep,
    log_of,
    mean_only,
    methods,
    predict,
    tasks_shuffled,
    with_evidence,
)
from cit_core.evaluate.setting import Setting
from cit_core.outcomes import Split
from cit_core.records import Candidate, Capability, Item, Outcome
from cit_core.router import Router
from cit_core.store import CapabilityStore

SPLIT = Split()


@pytest.fixture(scope="module")
def whole() -> Setting:
    table = core_table()
    return catalogue_setting(table, text_vectors(table.instructions), SPLIT)


@pytest.fixture(scope="module")
def log() -> Setting:
    """A log of four models that everyone has answered."""
    table = log_table(items=700)
    return own_tasks_setting(table, text_vectors(table.instructions), SPLIT)


# ---- controls

accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def profile(values: list[float], id_: str = "m") -> Capability:
    tasks = known_tasks()[: len(values)]
    results = {task.id: (value, place + 1) for place, (task, value) in enumerate(zip(tasks, values, strict=True))}
    return capability_from_results(Candidate(id=id_, price_in=1.0), tasks, results)


def frame(capability: Capability) -> Any:
    """All of it but the accuracies."""
    return capability.candidate, [(result.task, result.count) for result in capability.results], capability.usage


@settings(deadline=None)
@given(accuracies)
def test_the_mean_alone_keeps_the_level_and_tells_no_task_from_another(values: list[float]) -> None:
    before = profile(values)
    after = mean_only(before)
    assert frame(after) == frame(before)
    assert len({result.accuracy for result in after.results}) == 1
    assert after.mean_accuracy == pytest.approx(before.mean_accuracy)


@settings(deadline=None)
@given(accuracies, st.text(min_size=1, max_size=5).filter(str.strip))
def test_shuffled_accuracies_are_the_same_ones_at_other_tasks(values: list[float], id_: str) -> None:
    before = profile(values, id_)
    after = tasks_shuffled(before)
    assert frame(after) == frame(before)
    assert sorted(r.accuracy for r in after.results) == sorted(r.accuracy for r in before.results)
    assert tasks_shuffled(before) == after, "the same every time"


def test_every_model_is_shuffled_in_an_order_of_its_own() -> None:
    values = [place / 20 for place in range(20)]
    orders = {tuple(r.accuracy for r in tasks_shuffled(profile(values, id_)).results) for id_ in "abcdef"}
    assert len(orders) == 6
    assert tuple(values) not in orders


def test_controls_are_the_network_on_changed_profiles(whole: Setting) -> None:
    network = StubNetwork()
    found = predict(whole, methods(network, network.encode, chosen=few_baselines()))
    for name, change in [(MEAN_ONLY, mean_only), (TASKS_SHUFFLED, tasks_shuffled), (NETWORK, lambda c: c)]:
        expected = network.score(whole.instructions, [change(c) for c in whole.capabilities])
        np.testing.assert_array_equal(found[name], expected)
    assert np.ptp(found[MEAN_ONLY], axis=0) == pytest.approx(0, abs=1e-6), "it knows nothing of the question"
    assert not np.array_equal(found[NETWORK], found[TASKS_SHUFFLED])


def test_what_each_method_sees_of_a_model_is_said() -> None:
    network = StubNetwork()
    uses = {method.name: method.uses for method in methods(network, network.encode)}
    assert list(uses) == [baseline.name for baseline in baselines()] + [MEAN_ONLY, TASKS_SHUFFLED, NETWORK, EVIDENCE]
    assert (uses[NETWORK], uses[EVIDENCE]) == ("profile", "responses")
    assert {baseline.name: baseline.uses for baseline in baselines()}.items() <= uses.items()
    assert [baseline.name for baseline in quick_baselines()] == [baseline.name for baseline in baselines()]


# ---- a folder of what is done


class Counted:
    """Methods that count their calls; `broken` ones stop the run."""

    def __init__(self, *names: str, broken: str = "", version: str = "v1", shift: float = 0.0) -> None:
        self.calls: list[str] = []
        self.methods = [Method(name, "profile", self._score(name, broken, shift), version) for name in names]

    def _score(self, name: str, broken: str, shift: float) -> Callable[[Setting], Any]:
        def score(setting: Setting) -> Any:
            self.calls.append(name)
            if name == broken:
                raise KeyboardInterrupt
            return np.full(setting.correct_NK.shape, len(name) / 10 + shift)

        return score


def test_a_run_that_was_stopped_goes_on_where_it_was(whole: Setting, tmp_path: Path) -> None:
    first, told = Counted("one", "two + x", "three", broken="three"), []
    with pytest.raises(KeyboardInterrupt):
        predict(whole, first.methods, tmp_path)
    again = Counted("one", "two + x", "three", shift=0.01)
    found = predict(whole, again.methods, tmp_path, told.append)
    assert again.calls == ["three"]
    assert {name: scores[0, 0] for name, scores in found.items()} == {"one": 0.3, "two + x": 0.7, "three": 0.51}
    assert told == [f"{whole.name}: {name}" for name in ("one", "two + x", "three")]
    assert len(list(tmp_path.iterdir())) == 3
    third = Counted("one", "two + x", "three")
    predict(whole, third.methods, tmp_path)
    assert third.calls == []


def test_without_a_folder_nothing_is_kept(whole: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counted = Counted("one")
    predict(whole, counted.methods)
    predict(whole, counted.methods)
    assert counted.calls == ["one", "one"]
    assert not list(tmp_path.iterdir())


def changed_outcome(setting: Setting) -> Setting:
    correct = setting.known.correct_IM.copy()
    correct[0, 0] = 0.5
    return replace(setting, known=replace(setting.known, correct_IM=correct))


def changed_vector(setting: Setting) -> Setting:
    return replace(setting, known=replace(setting.known, vectors_ID=-setting.known.vectors_ID))


def changed_question(setting: Setting) -> Setting:
    return replace(setting, instructions=("another", *setting.instructions[1:]))


def other_order(setting: Setting) -> Setting:
    """As many candidates, each in another's column."""
    return replace(setting, capabilities=setting.capabilities[::-1], correct_NK=setting.correct_NK[:, ::-1])


def other_profile(setting: Setting) -> Setting:
    return replace(setting, capabilities=tuple(map(tasks_shuffled, setting.capabilities)))


def other_validation(setting: Setting) -> Setting:
    return replace(setting, known=replace(setting.known, validation_I=np.roll(setting.known.validation_I, 1)))


@pytest.mark.parametrize(
    "change",
    [
        changed_outcome,
        changed_vector,
        changed_question,
        other_order,
        other_profile,
        other_validation,
    ],
)
def test_what_was_kept_of_other_questions_is_not_read(
    whole: Setting, tmp_path: Path, change: Callable[[Setting], Setting]
) -> None:
    predict(whole, Counted("one").methods, tmp_path)
    again = Counted("one")
    predict(change(whole), again.methods, tmp_path)
    assert again.calls == ["one"]


def test_what_was_kept_of_another_checkpoint_is_not_read(whole: Setting, tmp_path: Path) -> None:
    baselines = few_baselines()
    network = StubNetwork("stub@1")
    before = predict(whole, methods(network, network.encode, chosen=baselines), tmp_path)
    again = StubNetwork("stub@1")
    assert predict(whole, methods(again, again.encode, chosen=baselines), tmp_path).keys() == before.keys()
    assert again.scored == []
    other = StubNetwork("stub@2")
    predict(whole, methods(other, other.encode, chosen=baselines), tmp_path)
    assert len(other.scored) == 3, "the network and its two controls; evidence reads"


def test_what_was_kept_by_other_code_is_not_read(
    whole: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(whole, Counted("one").methods, tmp_path)
    code = predicting._code()
    monkeypatch.setattr(predicting, "_code", lambda: code + b"another line")
    again = Counted("one")
    predict(whole, again.methods, tmp_path)
    assert again.calls == ["one"]


def test_the_code_that_counts_is_that_of_baselines_and_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("evaluate/baselines/local.py", "evidence/scorer.py", "runtime/onnx_scorer.py", "cli/demo.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(predicting.cit_core, "__file__", str(tmp_path / "__init__.py"))
    bare = predicting._code.__wrapped__

    def after(name: str) -> bytes:
        (tmp_path / name).write_text("changed")
        return bare()

    hashes = [bare(), after("evaluate/baselines/local.py"), after("evidence/scorer.py"), after("cli/demo.py")]
    assert len(set(hashes)) == 3
    assert hashes[2] == hashes[3]


def test_a_write_that_is_cut_off_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(file: Any, array: Any, **named: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    kept = tmp_path / "made" / "here.npy"
    keep(kept, np.ones(3))
    monkeypatch.setattr(np, "save", torn)
    for path in (kept, kept.with_name("new.npy")):
        with pytest.raises(KeyboardInterrupt):
            keep(path, np.zeros(3))
    assert [path.name for path in kept.parent.iterdir()] == ["here.npy"]
    assert np.load(kept).tolist() == [1, 1, 1], "what was there stays"


# ---- baselines


def test_a_baseline_is_fitted_once_for_all_settings_that_know_the_same(whole: Setting, log: Setting) -> None:
    baseline, network = StubBaseline(), StubNetwork()
    (method, *_) = methods(network, network.encode, chosen=[baseline])
    parts = [part.setting for part in catalogue_parts(whole, SPLIT)]
    scores = [method.score(setting) for setting in parts]
    assert len(baseline.fits) == 1
    assert baseline.fits[0] is whole.known
    assert [found.shape for found in scores] == [setting.correct_NK.shape for setting in parts]
    method.score(log)
    assert len(baseline.fits) == 2
    assert baseline.fits[1] is log.known


# ---- evidence


def test_outcomes_are_those_that_are_known(whole: Setting) -> None:
    (found, *_), known = log_of(whole), whole.known
    np.testing.assert_array_equal(found.correct_IK, known.correct_IM)
    np.testing.assert_array_equal(found.vectors_ID, known.vectors_ID)
    assert found.candidates == known.ids
    assert found.instructions == whole.known_instructions
    names = sorted(set(known.tasks_I))
    assert [names[number] for number in found.task_I] == list(known.tasks_I)


def test_evidence_is_what_a_store_would_give(log: Setting, tmp_path: Path) -> None:
    network, known = StubNetwork(), log.known
    with CapabilityStore(f"sqlite:///{tmp_path / 'log.db'}") as store:
        with store.transaction() as writer:
            tasks = {r.task.id: r.task for c in known.capabilities for r in c.results}
            writer.add_tasks(tasks[id_] for id_ in sorted(tasks))
            writer.add_candidates(capability.candidate for capability in known.capabilities)
            items = [
                Item(id=f"{row:04}", task=task, instruction=text)
                for row, (task, text) in enumerate(zip(known.tasks_I, log.known_instructions, strict=True))
            ]
            writer.add_items(items)
            writer.add_outcomes(
                Outcome(candidate=id_, item=item.id, correct=float(mark), source="log")
                for item, marks in zip(items, known.correct_IM, strict=True)
                for id_, mark in zip(known.ids, marks, strict=True)
            )
        stored = Router.from_store(store, network)
    judged = with_evidence(log, network).score(log.instructions, log.capabilities)
    used = stored.scorer.score(log.instructions, stored.capabilities)
    np.testing.assert_allclose(judged, used, atol=0.02)
    assert not np.allclose(judged, network.score(log.instructions, log.capabilities), atol=0.02)


def test_real_evidence_on_a_planted_log_is_nearer_to_the_outcomes(log: Setting) -> None:
    """Models have their ways with regions of the text, which the stub's profile sees too little of."""
    draw = np.random.default_rng(0)
    everything = np.concatenate([text_vectors(log.known_instructions), text_vectors(log.instructions)])
    ways = draw.normal(size=(len(log.capabilities), everything.shape[1]))
    right = (everything @ ways.T > 0).astype(float)
    planted = replace(
        log,
        correct_NK=right[len(log.known_instructions) :],
        known=replace(log.known, correct_IM=right[: len(log.known_instructions)]),
    )
    network = StubNetwork()
    alone = network.score(log.instructions, log.capabilities)
    found = with_evidence(planted, network).score(log.instructions, log.capabilities)
    assert ((found - planted.correct_NK) ** 2).mean() < 0.8 * ((alone - planted.correct_NK) ** 2).mean()
    assert set(planted.candidates).isdisjoint(MODELS)
