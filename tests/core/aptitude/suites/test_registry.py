"""Suites: telling items are drawn more often, useless ones never, every field is heard; found by name, and kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cit_core.aptitude.basics import basics
from cit_core.aptitude.suites import find_suite, generated, next_version, read_suite, save_suite, with_hashes
from cit_core.catalogue import core_suite
from cit_core.errors import InvalidInput
from cit_core.records import Item, Suite, Task

MODELS = 40


def share(*counts: int) -> NDArray[np.float64]:
    """One row an item: so many of 40 models are right."""
    return np.array([[1.0] * count + [0.0] * (MODELS - count) for count in counts])


# -- by name ----------------------------------------------------------------------------------------------------------


def small(**changes: Any) -> Suite:
    facts = {"name": "s", "tasks": [Task(id="t", keywords=("k", "ä"))], "items": {"t": ["b", "a"]}}
    return Suite(**{**facts, **changes})


def test_suites_are_found_by_name_or_file(tmp_path: Path) -> None:
    assert find_suite("mmlu-pro-core") == core_suite()
    assert find_suite("cit-basics") == find_suite("cit-basics:0") == basics(0)[0]
    assert find_suite("cit-basics:7") == basics(7)[0] != basics(0)[0]
    for name in ("suite.json", "suite"):
        save_suite(small(), tmp_path / name)
        assert find_suite(str(tmp_path / name)) == small()


@pytest.mark.parametrize("name", ["", "nobody", "cit-basics:", "cit-basics:x", "cit-basics:-1", "mmlu-pro-core:1"])
def test_an_unknown_suite_lists_what_there_is(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"there are 'mmlu-pro-core', 'cit-basics', 'cit-basics:SEED'.*\.json file"):
        find_suite(name)


def test_generated_items_are_of_the_suite_that_is_named() -> None:
    made = generated("cit-basics:3", shots=2)
    assert made == basics(3, 2)
    assert [item.id for item in made[1]] == list(made[0].item_ids)
    assert generated("mmlu-pro-core") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no suite can be read from"),
        ("{", "holds no suite; `cit aptitude build` makes one"),
        ('{"name": "s", "tasks": [], "items": {"t": []}}', "items must be listed for exactly the suite's tasks"),
        (b"\xff", "holds no suite"),
    ],
)
def test_a_file_that_is_no_suite_is_named(tmp_path: Path, text: str | bytes | None, says: str) -> None:
    path = tmp_path / "suite.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInput, match=says) as caught:
        find_suite(str(path))
    assert "suite.json" in str(caught.value)


# -- kept -------------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.text(min_size=1), unique=True, max_size=3), max_size=3)
)
def test_a_suite_comes_back_from_its_file_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, items: dict[str, list[str]]
) -> None:
    ids = {id_ for own in items.values() for id_ in own}
    made = small(
        tasks=[Task(id=task, keywords=(task,)) for task in items],
        items=items,
        version=3,
        hashes={id_: f"{len(id_):016x}" for id_ in ids},
    )
    path = tmp_path_factory.mktemp("suites") / "suite.json"
    save_suite(made, path)
    assert read_suite(path) == made
    assert read_suite(path).item_ids == made.item_ids


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "suite.json"
    save_suite(small(), path)

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        save_suite(small(version=2), path)
    assert read_suite(path) == small()
    assert list(tmp_path.iterdir()) == [path]


def test_the_version_goes_up_with_every_change_and_with_nothing_else() -> None:
    assert next_version(small(), None).version == 1
    assert next_version(small(), small(version=4)).version == 4
    assert next_version(small(items={"t": ["a", "b"]}), small(version=4)).version == 5
    assert next_version(small(version=9), small(version=4)) == small(version=4)


def test_hashes_are_of_all_items_or_of_none() -> None:
    items = {id_: Item(id=id_, task="t", instruction=f"{id_}?", answer="x") for id_ in "abc"}
    assert with_hashes(small(), items).hashes == {"a": items["a"].digest, "b": items["b"].digest}
    for lost in ({"instruction": None}, {"answer": None}, {"answer": ""}):
        assert with_hashes(small(), {**items, "a": items["a"].model_copy(update=lost)}).hashes == {}
    assert with_hashes(small(), {"a": items["a"]}).hashes == {}
