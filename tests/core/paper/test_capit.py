"""The authors' format: our groups come back as they were written, theirs train our network, and what is odd is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paper_runs import data, one_hot, recipe
from tiny_paper import parts

from cit_core.errors import InvalidInput
from cit_core.outcomes import Split
from cit_core.paper.capit import capability_of_text, is_capit, read_capit, write_capit
from cit_core.paper.recipe import Stage
from cit_core.paper.run import train, training_groups

ALL = Split(test_models=0, validation_models=0)


def written(folder: Path, number: int = 40) -> tuple[Any, Any]:
    learnt, capabilities, groups = training_groups(data(), recipe(hard_negatives=0.0), number)
    assert write_capit(learnt, folder, capabilities, groups) == number
    return learnt, capabilities


def groups_file(folder: Path, groups: object) -> Path:
    file = folder / "capit-1.0.json"
    file.write_text(json.dumps(groups))
    return file


def test_parts_come_back_as_the_outcomes_and_capabilities_that_were_written(tmp_path: Path) -> None:
    learnt, capabilities = written(tmp_path)
    found = read_capit(tmp_path)
    assert found.table.candidates == tuple(sorted(learnt.table.candidates))
    texts = dict(zip(learnt.table.item_ids, learnt.table.instructions, strict=True))
    ids = [id_.removeprefix("questions/") for id_ in found.table.item_ids]
    assert dict(zip(ids, found.table.instructions, strict=True)) == texts
    place = [learnt.table.item_ids.index(id_) for id_ in ids]
    np.testing.assert_array_equal(
        found.table.correct_IK, learnt.table.of_models(found.table.candidates).correct_IK[place]
    )
    assert [found.profiles[each.candidate.id].text for each in capabilities] == [each.text for each in capabilities]


def test_a_group_is_one_capability_with_what_it_handled_and_failed(tmp_path: Path) -> None:
    learnt, capabilities = written(tmp_path)
    marks = {}
    for column, capability in enumerate(capabilities):
        for text, mark in zip(learnt.table.instructions, learnt.table.correct_IK[:, column], strict=True):
            marks.setdefault((capability.text, text), set()).add(mark)
    for group in json.loads((tmp_path / "capit-1.0.json").read_text()):
        asked = group["data_repr"]
        assert (len(asked["pos"]), len(asked["neg"])) == (1, 3)
        assert 1.0 in marks[group["model_repr"], asked["pos"][0]]
        assert all(0.0 in marks[group["model_repr"], text] for text in asked["neg"])
    alone = read_capit(tmp_path / "capit-1.0.json")
    assert {profile.text for profile in alone.profiles.values()} <= {each.text for each in capabilities}


def test_nothing_held_out_is_written(tmp_path: Path) -> None:
    written(tmp_path)
    table, split = data().table, recipe().split
    held = {table.item_ids[row] for part in ("test", "validation") for row in split.items(table.item_ids)[part]}
    asked = {item for items in data().suite(split, 4, 8).items.values() for item in items}
    assert not {record["id"] for record in json.loads((tmp_path / "questions.json").read_text())} & (held | asked)


def test_published_data_trains_our_network_and_validates_by_the_published_accuracies(tmp_path: Path) -> None:
    written(tmp_path / "capit")
    of = recipe(hard_negatives=0.0, split=ALL, stages=(Stage(learns="connector", in_domain=True, steps=2),))
    found = train(read_capit(tmp_path / "capit"), tmp_path / "run", of, parts=parts(), encode=one_hot)
    assert 0.0 <= found["routing_accuracy"] <= 1.0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["aptitude_test"] == {}


def test_a_capability_keeps_what_is_not_a_result() -> None:
    text = 'The model achieves accuracy 75.0% on the task of "law, proof", accuracy of 5% on the task of "cell". Fast.'
    found = capability_of_text("m", text)
    assert [(line.task.keywords, line.accuracy, line.count) for line in found.results] == [
        (("law", "proof"), 0.75, 20),
        (("cell",), 0.05, 20),
    ]
    assert found.candidate.notes == "Fast"
    with pytest.raises(InvalidInput, match="needs lines such as"):
        capability_of_text("m", "a fine model")


def test_contradictory_groups_count_by_their_mean_and_options_are_part_of_a_question(tmp_path: Path) -> None:
    said = 'The model achieves accuracy 50.0% on the task of "law".'
    file = groups_file(
        tmp_path,
        [
            {"model_repr": said, "data_repr": {"pos": ["a"], "neg": ["b", "b"]}},
            {"model_repr": said, "data_repr": {"pos": ["b", "c"], "neg": None}},
        ],
    )
    found = read_capit(file).table
    assert dict(zip(found.instructions, found.correct_IK[:, 0], strict=True)) == pytest.approx(
        {"a": 1.0, "b": 1 / 3, "c": 1.0}
    )
    write_parts(tmp_path, said)
    assert read_capit(tmp_path).table.instructions == ("Which?\nA. this\nB. that",)


def write_parts(folder: Path, said: str, dataset: str = "boolq", id_: int = 7) -> None:
    (folder / "1_model_reprs.json").write_text(json.dumps([{"model_repr_id": "m", "model_repr": said}]))
    (folder / "boolq.json").write_text(json.dumps([{"id": 7, "question": "Which?", "choices": ["this", "that"]}]))
    answers = [{"model_repr_id": "m", "dataset_name": dataset, "correct_query_indices": [id_]}]
    (folder / "2_interactions.json").write_text(json.dumps(answers))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("[", "cannot be read as JSON"),
        ({"a": 1}, "must be a list of objects"),
        ([{"model_repr": "x"}], "record 0 of .* needs model_repr"),
        ([{"model_repr": "x", "data_repr": {"pos": "a", "neg": []}}], "needs model_repr"),
        ([], "has no answers"),
    ],
)
def test_groups_that_are_none_are_refused(tmp_path: Path, groups: object, message: str) -> None:
    file = groups_file(tmp_path, groups)
    if groups == "[":
        file.write_text("[")
    with pytest.raises(InvalidInput, match=message):
        read_capit(file)


@pytest.mark.parametrize(("dataset", "id_", "message"), [("../boolq", 7, "the name of a JSON"), ("boolq", 8, "lacks")])
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, dataset: str, id_: int, message: str) -> None:
    write_parts(tmp_path, 'accuracy 50.0% on the task of "law"', dataset, id_)
    with pytest.raises(InvalidInput, match=message):
        read_capit(tmp_path)


def test_a_table_is_not_taken_for_capit(tmp_path: Path) -> None:
    assert not is_capit(tmp_path)
    assert not is_capit(tmp_path / "nowhere")
    written(tmp_path)
    assert is_capit(tmp_path)
    assert replace(read_capit(tmp_path), profiles={}).profiles == {}
