"""A run learns, can be repeated to the last bit, and never looks at what is held out.

The runs here are real runs of `fit`, on a trunk of width 32 that the test saves itself.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outcome_tables import made_up_table
from tiny_network import known
from torch import Tensor

from cit_core.errors import CheckpointError, InvalidInput
from cit_core.mini import trainer
from cit_core.mini.export import load_exported
from cit_core.mini.network import ModelSAT
from cit_core.mini.trainer import TrainConfig, fit, learnt_from
from cit_core.mini.weights import load_network, new_network
from cit_core.outcomes import OutcomeMatrix, Split


def run(table: OutcomeMatrix, folder: Path, config: TrainConfig) -> tuple[ModelSAT, list[dict[str, float]]]:
    network = fit(table, folder, config, progress=False)
    return network, [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(network: ModelSAT) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if name.startswith(("connector.", "phi."))}


def equal(first: ModelSAT, second: ModelSAT) -> bool:
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


@pytest.fixture(scope="module")
def first(table: OutcomeMatrix, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run, its metrics and its folder."""
    folder = tmp_path_factory.mktemp("first") / "run"
    return *run(table, folder, config), folder


def test_a_run_leaves_all_it_takes_to_go_on(first: Any, table: OutcomeMatrix, config: TrainConfig) -> None:
    network, metrics, folder = first
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.safetensors", "run.json", "metrics.jsonl"}
    record = json.loads((folder / "run.json").read_text())
    assert TrainConfig(**record["config"]) == config
    assert record["digest"] == table.digest()
    assert {part: tuple(models) for part, models in record["models"].items()} == config.split.models(table.candidates)
    assert [line["step"] for line in metrics] == [6, 12]
    loaded, _ = load_network(folder)
    assert equal(loaded, network)
    assert not network.training


def test_only_connector_and_phi_have_learnt(first: Any, config: TrainConfig) -> None:
    start, _ = new_network(config.network)
    torch.manual_seed(0)
    for name, value in start.state_dict().items():
        if name.startswith(("reader.", "encoder.")):
            assert torch.equal(value, first[0].state_dict()[name]), name
    changed = [name for name, value in weights(start).items() if not torch.equal(value, weights(first[0])[name])]
    assert len(changed) > 0.9 * len(weights(start))


def test_the_same_seed_is_the_same_run_to_the_last_bit(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    torch.manual_seed(999)  # whatever went before
    again, metrics = run(table, tmp_path, config)
    assert equal(again, first[0])
    assert metrics == first[1]
    other, _ = run(table, tmp_path / "other", config.model_copy(update={"seed": 1}))
    assert not equal(other, first[0])


@pytest.mark.parametrize("poison", [math.nan, 1.0, "flipped"])
def test_held_out_outcomes_are_never_read(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path, poison: Any
) -> None:
    rows = config.split.items(table.item_ids)["test"]
    columns = [table.column(model) for model in config.split.models(table.candidates)["test"]]
    poisoned = table.correct_IK.copy()
    poisoned[rows] = 1.0 - poisoned[rows] if poison == "flipped" else poison
    poisoned[:, columns] = 1.0 - table.correct_IK[:, columns] if poison == "flipped" else poison
    found, metrics = run(replace(table, correct_IK=poisoned), tmp_path, config)
    assert equal(found, first[0])
    assert metrics == first[1]


def test_held_out_questions_are_never_read(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    """Each text is replaced by one as long, so that batches stay the same."""
    rows = set(config.split.items(table.item_ids)["test"].tolist())
    other = {"law": "why", "why": "law", "cell": "name", "name": "cell", "proof": "solve", "solve": "proof"}

    def replaced(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            " ".join(other.get(word, word) for word in text.split()) if row in rows else text
            for row, text in enumerate(texts)
        )

    changed = replace(table, instructions=replaced(table.instructions), questions=replaced(table.questions))
    assert changed.instructions != table.instructions
    found, metrics = run(changed, tmp_path, config)
    assert equal(found, first[0])
    assert metrics == first[1]


def test_poison_where_training_looks_does_show(
    first: Any, table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    """Or the tests above could not fail."""
    rows = config.split.items(table.item_ids)["train"]
    poisoned = table.correct_IK.copy()
    poisoned[rows[::3]] = 1.0 - poisoned[rows[::3]]
    assert not equal(run(replace(table, correct_IK=poisoned), tmp_path, config)[0], first[0])


def entropy(chance: float) -> float:
    return -chance * math.log(chance) - (1.0 - chance) * math.log(1.0 - chance)


@pytest.mark.parametrize("seed", [0, 1])
def test_some_steps_learn_what_the_text_alone_says(
    table: OutcomeMatrix, config: TrainConfig, tmp_path: Path, seed: int
) -> None:
    """Two texts, one answered by 80 %, the other by 20 % of whoever is asked: whoever does not read them stays at 50 %.

    The loss has to fall by more than half of what there is to learn, which ten steps do; no processor's arithmetic
    makes up for the rest.
    """
    hard_I = np.random.default_rng(0).random(len(table)) < 0.5
    chance_IK = np.where(hard_I, 0.2, 0.8)[:, None].repeat(len(table.candidates), axis=1)
    texts = tuple(np.where(hard_I, "proof energy", "law").tolist())
    clear = replace(
        table,
        correct_IK=(np.random.default_rng(1).random(chance_IK.shape) < chance_IK).astype(float),
        instructions=texts,
        questions=texts,
    )
    eager = {"learning_rate": 3e-3, "average_over": 5, "dropout": 0.0, "token_dropout": 0.0, "ranking_weight": 0.0}
    longer = config.model_copy(update={"steps": 40, "evaluate_every": 20, "items": 32, "seed": seed, **eager})
    network, metrics = run(clear, tmp_path, longer)
    assert min(line["validation"] for line in metrics) < (entropy(0.5) + entropy(0.2)) / 2
    assert equal(load_network(tmp_path)[0], network), "what is kept is the best average"


def test_too_little_to_train_on_is_refused_at_once(table: OutcomeMatrix, config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"needs 16 training items, .* of 10 items and 22 models in 'made-up'"):
        fit(table.rows(range(10)), tmp_path / "run", config)
    few_models = made_up_table([f"m{number}" for number in range(10)], tasks=60, items_of_task=36)
    with pytest.raises(InvalidInput, match=r"2 training models; .* the split leaves \d+, \d+ and 1"):
        fit(few_models, tmp_path / "run", config)
    no_validation = config.model_copy(update={"split": Split(validation_items=0.0)})
    with pytest.raises(InvalidInput, match=r"a validation item"):
        fit(table, tmp_path / "run", no_validation)
    with pytest.raises(InvalidInput, match="has tasks that the catalogue has no keywords for: knitting"):
        fit(replace(table, tasks=("knitting", *table.tasks[1:])), tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_a_run_that_diverges_says_so_and_keeps_no_weights(
    table: OutcomeMatrix, config: TrainConfig, tmp_path: Path
) -> None:
    wild = config.model_copy(update={"learning_rate": 1e30, "connector_rate": 1e30})
    with pytest.raises(InvalidInput, match=r"training diverged: .* lower the learning rates"):
        fit(table, tmp_path / "run", wild, progress=False)
    assert not (tmp_path / "run" / "model.safetensors").exists()


# ---- other tables


def fitted(table: OutcomeMatrix, others: list[OutcomeMatrix], folder: Path, config: TrainConfig) -> ModelSAT:
    return fit(table, folder, config, others=known(*others), progress=False)


@pytest.fixture(scope="module")
def both(
    table: OutcomeMatrix, other: OutcomeMatrix, mixed: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelSAT, Path]:
    """A network that has learnt from another table too, and its folder."""
    folder = tmp_path_factory.mktemp("both") / "run"
    return fitted(table, [other], folder, mixed), folder


def test_runs_with_other_tables_go_on_from_the_first(
    first: Any, both: tuple[ModelSAT, Path], other: OutcomeMatrix
) -> None:
    network, folder = both
    assert equal(load_network(folder / "alone")[0], first[0]), "they come after it"
    assert not equal(network, first[0])
    assert equal(load_network(folder)[0], network)
    assert json.loads((folder / "run.json").read_text())["others"] == {"other": other.digest()}
    losses = json.loads((folder / "metrics.jsonl").read_text())["validation"]
    assert set(losses) == {"made-up", "other"}
    assert learnt_from(folder) == ["made-up", "other"]
    assert learnt_from(folder, ["other"]) == ["made-up"]


def test_what_is_kept_lies_between_the_first_run_and_the_mean_of_the_others(
    first: Any,
    both: tuple[ModelSAT, Path],
    table: OutcomeMatrix,
    other: OutcomeMatrix,
    mixed: TrainConfig,
    tmp_path: Path,
) -> None:
    def fit_with(**update: float) -> dict[str, Tensor]:
        folder = tmp_path / "-".join(map(str, update.values()))
        return weights(fitted(table, [other], folder, mixed.model_copy(update=update)))

    before, kept, after = weights(first[0]), weights(both[0]), fit_with(mixed_weight=1.0)
    one = fit_with(mixed_weight=1.0, mixed_runs=1)
    for name, value in kept.items():
        torch.testing.assert_close(value, (before[name] + after[name]) / 2, msg=name)
    assert any(not torch.allclose(after[name], one[name]) for name in after), "the second run has a seed of its own"
    unmoved = fit_with(mixed_weight=0.0)
    assert all(torch.equal(value, before[name]) for name, value in unmoved.items())


@pytest.mark.parametrize("facts", [None, "[]", "{}", '{"data": "d", "others": 3}', "{" * 2000])
def test_a_folder_that_does_not_say_what_it_learnt_from_is_refused(tmp_path: Path, facts: str | None) -> None:
    if facts is not None:
        (tmp_path / "run.json").write_text(facts)
    with pytest.raises(CheckpointError, match=r"is not the folder of a run: no readable run\.json"):
        learnt_from(tmp_path)


@pytest.mark.parametrize("what", ["test items", "strangers", "new models"])
def test_what_is_held_out_of_another_table_is_never_read(
    both: tuple[ModelSAT, Path],
    table: OutcomeMatrix,
    other: OutcomeMatrix,
    mixed: TrainConfig,
    tmp_path: Path,
    what: str,
) -> None:
    poisoned, more = other.correct_IK.copy(), other
    if what == "strangers":  # nothing is known of them
        poisoned[:, other.column("stranger")] = 1.0 - poisoned[:, other.column("stranger")]
    elif what == "test items":
        rows = mixed.split.items(other.item_ids)["test"]
        poisoned[rows] = 1.0 - poisoned[rows]
    elif what == "new models":  # new ones of the first table, of which the catalogue knows something
        new = "Qwen1.5-7B-Chat"
        assert new in mixed.split.models(table.candidates)["test"]
        more = replace(other, candidates=(*other.candidates[:-1], new))
    assert equal(fitted(table, [replace(more, correct_IK=poisoned)], tmp_path / "poisoned", mixed), both[0])
    flipped = fitted(table, [replace(other, correct_IK=1.0 - other.correct_IK)], tmp_path / "flipped", mixed)
    assert not equal(flipped, both[0]), "or the test could not fail"


def test_a_network_is_judged_on_tables_that_it_has_not_seen(
    both: tuple[ModelSAT, Path],
    table: OutcomeMatrix,
    other: OutcomeMatrix,
    again: OutcomeMatrix,
    mixed: TrainConfig,
    tmp_path: Path,
) -> None:
    """One that leaves a table out is the one that never had it, up to the place of its draws."""
    flipped = replace(again, correct_IK=1.0 - again.correct_IK)
    for name, left in (("told", again), ("flipped", flipped)):
        fit(table, tmp_path / name, mixed, others=known(other, left), unseen=[["again"]], progress=False)
    unseen = [load_network(tmp_path / name / "without-again")[0] for name in ("told", "flipped")]
    assert equal(*unseen)
    assert equal(unseen[0], both[0])
    assert not equal(*(load_network(tmp_path / name)[0] for name in ("told", "flipped")))


def test_a_run_that_left_out_other_tables_is_another_run(
    both: tuple[ModelSAT, Path], table: OutcomeMatrix, other: OutcomeMatrix, again: OutcomeMatrix, mixed: TrainConfig
) -> None:
    """Its first run has not left out the texts of these."""
    with pytest.raises(InvalidInput, match="holds a run with other settings or data"):
        fit(table, both[1], mixed, others=known(other), unseen=[["other"]], progress=False)


def test_a_table_without_items_to_validate_on_is_learnt_from_all_the_same(
    table: OutcomeMatrix, again: OutcomeMatrix, mixed: TrainConfig, tmp_path: Path
) -> None:
    train = again.rows(mixed.split.items(again.item_ids)["train"].tolist())
    fitted(table, [train], tmp_path, mixed)
    assert set(json.loads((tmp_path / "metrics.jsonl").read_text())["validation"]) == {"made-up"}
    assert learnt_from(tmp_path) == ["made-up", "again"]


def test_a_run_with_other_tables_that_diverges_keeps_the_first_alone(
    table: OutcomeMatrix, other: OutcomeMatrix, mixed: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"training diverged: .* lower the learning rates"):
        fitted(table, [other], tmp_path, mixed.model_copy(update={"mixed_rate": 1e34}))
    assert (tmp_path / "alone" / "model.safetensors").exists()
    assert not (tmp_path / "model.safetensors").exists()


def test_a_first_table_that_is_all_in_what_is_left_out_is_refused(
    table: OutcomeMatrix, other: OutcomeMatrix, mixed: TrainConfig, tmp_path: Path
) -> None:
    """The other is made of the same few words."""
    copied = replace(other, questions=table.questions[: len(other)])
    with pytest.raises(InvalidInput, match="0 training items of 'made-up' are in no table that is left out: too few"):
        fit(table, tmp_path, mixed, others=known(copied), unseen=[["other"]], progress=False)


def test_an_interrupted_call_goes_on_where_it_stopped(
    both: tuple[ModelSAT, Path],
    table: OutcomeMatrix,
    other: OutcomeMatrix,
    mixed: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_fit_mixed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fitted(table, [other], tmp_path, mixed)
    monkeypatch.setattr(trainer, "_fit_alone", lambda *_: pytest.fail("it is there already"))
    assert equal(fitted(table, [other], tmp_path, mixed), both[0])
    with pytest.raises(InvalidInput, match="holds a run with other settings or data; give another folder"):
        fitted(table, [other], tmp_path, mixed.model_copy(update={"seed": 7}))


def test_other_tables_go_on_from_an_exported_network(
    exported: Any, table: OutcomeMatrix, other: OutcomeMatrix, mixed: TrainConfig, tmp_path: Path
) -> None:
    config = mixed.model_copy(update={"network": exported.network.config, "mixed_weight": 0.0})
    network = fit(table, tmp_path, config, others=known(other), start=exported.int8, progress=False)
    begun = weights(load_exported(exported.int8))
    assert all(torch.equal(value, begun[name]) for name, value in weights(network).items())
    assert json.loads((tmp_path / "run.json").read_text())["start"].startswith("tiny@")
    with pytest.raises(InvalidInput, match="there is no table beside 'made-up' to go on with"):
        fit(table, tmp_path / "none", config, start=exported.int8, progress=False)


def test_what_a_checkpoint_has_learnt_from_cannot_be_left_out_of_what_goes_on_from_it(
    exported: Any, table: OutcomeMatrix, other: OutcomeMatrix, again: OutcomeMatrix, mixed: TrainConfig, tmp_path: Path
) -> None:
    start = shutil.copytree(exported.int8, tmp_path / "start")
    told = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps({**told, "learnt": ["made-up", "again"]}))
    config = mixed.model_copy(update={"network": exported.network.config})
    with pytest.raises(InvalidInput, match=r"tiny@\w+ has learnt from again; begin from one that has not"):
        fit(table, tmp_path / "run", config, others=known(other, again), unseen=[["again"]], start=start)
    assert not (tmp_path / "run").exists()
    fit(table, tmp_path / "run", config, others=known(other), start=start, progress=False)
    assert learnt_from(tmp_path / "run") == ["made-up", "again", "other"]


def test_a_table_to_leave_out_has_to_be_there(table: OutcomeMatrix, config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="other: no such table beside 'made-up' to leave out"):
        fit(table, tmp_path / "run", config, unseen=[["other"]], progress=False)
    assert not (tmp_path / "run").exists()
