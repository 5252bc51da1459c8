"""A checkpoint is used whole or not at all: whatever is missing, damaged or newer is one clear error."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cit_core.runtime.checkpoint as checkpoint_module
from cit_core.errors import CheckpointError
from cit_core.runtime import Checkpoint, OnnxScorer, load_scorer, shipped_checkpoints
from cit_core.runtime.checkpoint import FILES
from cit_core.runtime.onnx_scorer import _calibration

Damage = Callable[[Path], Any]


def edit(**changes: Any) -> Damage:
    """Changes fields of config.json; None takes one away."""

    def change(folder: Path) -> None:
        config = {**json.loads((folder / "config.json").read_text()), **changes}
        (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))

    return change


def without_hash(folder: Path) -> None:
    files = json.loads((folder / "config.json").read_text())["files"]
    edit(files={name: digest for name, digest in files.items() if name != "phi.onnx"})(folder)


def flip_a_bit(name: str) -> Damage:
    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def foreign_graph(folder: Path) -> None:
    """Not an ONNX graph, yet with the right hash."""
    (folder / "phi.onnx").write_bytes(b"not a graph")
    files = json.loads((folder / "config.json").read_text())["files"]
    edit(files={**files, "phi.onnx": hashlib.sha256(b"not a graph").hexdigest()})(folder)


def test_a_copy_is_the_same_checkpoint(copied: Path) -> None:
    shipped, copy = Checkpoint.open("mini"), Checkpoint.open(copied)
    assert (copy.name, copy.sha256) == (shipped.name, shipped.sha256)
    assert re.fullmatch(r"mini@[0-9a-f]{8}", copy.name)
    assert Checkpoint.open(str(copied)).folder == copied


def test_the_shipped_checkpoint_is_complete_and_small() -> None:
    folder = shipped_checkpoints()["mini"]
    assert {path.name for path in folder.iterdir()} >= {"config.json", *FILES}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30 * 2**20
    for name, digest in json.loads((folder / "config.json").read_text())["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *((flip_a_bit(name), rf"{name} is damaged: sha256 \w+…, expected \w+…; pip install") for name in FILES),
        *(((lambda folder, name=name: (folder / name).unlink()), rf"{name} cannot be read") for name in FILES),
        (lambda folder: (folder / "phi.onnx").write_bytes(b""), "phi.onnx is damaged"),
        (lambda folder: (folder / "config.json").unlink(), "no readable config.json in .*; shipped are: mini"),
        (lambda folder: (folder / "config.json").write_text("{"), "no readable config.json"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff"), "no readable config.json"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "has format None, this release reads 2"),
        (edit(format=3), "has format 3, this release reads 2: pip install -U cit-router"),
        (edit(format=1), "has format 1, this release reads 2: train it again, `cit train`"),
        (edit(format=None), "has format None"),
        (edit(files=None), "lacks files"),
        (edit(files=["phi.onnx"]), "config.json: 'files': Input should be a valid dict"),
        (edit(network=None, name=None), "lacks name, network"),
        (without_hash, "lists no hash for phi.onnx; the checkpoint is incomplete"),
        (foreign_graph, r"phi.onnx is not an ONNX graph"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(copied: Path, damage: Damage, message: str) -> None:
    damage(copied)
    with pytest.raises(CheckpointError, match=message) as caught:
        OnnxScorer(copied)
    assert str(copied) in str(caught.value)


def test_a_name_that_is_not_shipped_says_what_is() -> None:
    with pytest.raises(CheckpointError, match=r"'maxi' is not a checkpoint: .* shipped are: mini"):
        load_scorer("maxi")


# ---- a stranger's checkpoint


def rehash(folder: Path, **contents: bytes) -> None:
    """Write files, and the config that goes with them."""
    config = json.loads((folder / "config.json").read_text())
    for name, content in contents.items():
        file = {"tokenizer": "tokenizer.json", "calibration": "calibration.json"}.get(name, f"{name}.onnx")
        (folder / file).write_bytes(content)
        config["files"][file] = hashlib.sha256(content).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=9), st.just(10**400))
values = st.one_of(numbers, st.lists(numbers, max_size=2), st.dictionaries(st.text(max_size=9), numbers, max_size=2))
never = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(shipped_checkpoints()["mini"], tmp_path_factory.mktemp("victim") / "copied"))


@never
@given(field=st.sampled_from(["format", "name", "network", "files"]), value=values)
def test_any_value_in_a_config_is_read_or_refused_with_one_kind_of_error(victim: Path, field: str, value: Any) -> None:
    whole = json.loads((shipped_checkpoints()["mini"] / "config.json").read_text())
    (victim / "config.json").write_text(json.dumps({**whole, field: value}))
    with contextlib.suppress(CheckpointError):
        Checkpoint.open(victim)


@never
@given(field=st.sampled_from(["max_length", "width"]), value=values)
def test_a_number_of_the_network_that_does_not_fit_is_refused(victim: Path, field: str, value: Any) -> None:
    whole = json.loads((shipped_checkpoints()["mini"] / "config.json").read_text())
    if type(value) is int and ((field == "max_length" and 4 <= value <= 512) or value == whole["network"][field]):
        return
    (victim / "config.json").write_text(json.dumps({**whole, "network": {**whole["network"], field: value}}))
    with pytest.raises(CheckpointError):
        OnnxScorer(victim)


@never
@given(value=st.one_of(values, st.fixed_dictionaries({"slope": values, "intercept": values})))
def test_a_calibration_of_any_kind_is_read_or_refused(victim: Path, value: Any) -> None:
    shutil.copyfile(shipped_checkpoints()["mini"] / "config.json", victim / "config.json")
    rehash(victim, calibration=json.dumps(value).encode())
    try:
        found = _calibration(Checkpoint.open(victim))
    except CheckpointError:
        return
    assert found.slope > 0.0
    assert math.isfinite(found.slope + found.intercept)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "no readable config.json"),
        ('{"format": ' + "9" * 5000 + "}", "no readable config.json|has format"),
        (" " * (2 << 20), "no readable config.json"),
    ],
    ids=["nested", "digits", "large"],
)
def test_a_config_that_is_a_bomb_is_refused(copied: Path, text: str, message: str) -> None:
    (copied / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.open(copied)


@pytest.mark.parametrize("name", ["x" * 5000, "", "a\nb", "\x1b]0;title\x07", "\ud800"])
def test_a_name_that_no_terminal_should_show_is_refused(copied: Path, name: str) -> None:
    edit(name=name)(copied)
    with pytest.raises(CheckpointError, match="name") as caught:
        Checkpoint.open(copied)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("given", ["x" * 5000, "a\x00b", "", 5, None, b"mini", ["mini"]])
def test_what_is_no_checkpoint_at_all_is_one_short_error(given: Any) -> None:
    with pytest.raises(CheckpointError, match="shipped") as caught:
        Checkpoint.open(given)
    assert len(str(caught.value)) < 1000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("name", ["config.json", "phi.onnx", "tokenizer.json"])
def test_a_pipe_is_refused_and_not_waited_for(copied: Path, name: str) -> None:
    (copied / name).unlink()
    os.mkfifo(copied / name)
    with pytest.raises(CheckpointError, match=r"is not a plain file|no readable config\.json"):
        Checkpoint.open(copied)


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/hostname", "../elsewhere"])
@pytest.mark.parametrize("name", ["config.json", "phi.onnx"])
def test_a_link_that_leads_out_of_the_folder_is_refused(copied: Path, name: str, target: str) -> None:
    (copied.parent / "elsewhere").write_bytes((copied / name).read_bytes())
    (copied / name).unlink()
    (copied / name).symlink_to(target)
    with pytest.raises(CheckpointError, match=r"cannot be read|no readable config\.json"):
        Checkpoint.open(copied)


def test_a_folder_of_the_hubs_cache_is_read_through_its_links(copied: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--x" / "blobs", tmp_path / "models--x" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    shutil.copytree(copied, blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    assert Checkpoint.open(snapshot).sha256 == Checkpoint.open("mini").sha256


def test_a_file_larger_than_its_limit_is_not_held(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checkpoint_module.LARGEST, "phi.onnx", 1 << 20)
    with pytest.raises(CheckpointError, match=r"phi.onnx cannot be read: phi.onnx is larger than 1 MiB"):
        Checkpoint.open(copied)


def test_what_is_loaded_is_what_was_hashed(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that change after they were checked change nothing."""
    original = Checkpoint.open(copied)

    def swapped(_: object) -> Checkpoint:
        for name in FILES:
            (copied / name).write_bytes(b"swapped")
        return original

    monkeypatch.setattr(Checkpoint, "open", swapped)
    found = OnnxScorer(copied)
    monkeypatch.undo()
    assert found.encode(["why?"]).tolist() == load_scorer("mini").encode(["why?"]).tolist()
    with pytest.raises(CheckpointError, match="damaged"):
        found.checkpoint.read("phi.onnx")
