"""Logs of Inspect as files: long and damaged ones, and texts that are kept elsewhere in a sample."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cit_core.aptitude.importers._inspect_files import samples_of, task_and_model
from cit_core.aptitude.importers.limits import Limits
from cit_core.errors import InvalidInput

ABOUT = {"eval": {"task": "t", "model": "m"}}
SAMPLE = {"id": 1, "input": "q?", "scores": {"match": {"value": "C"}}}


def write(path: Path, *samples: Any, header: str = "header.json") -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps({"version": 2, "plan": [{}], **ABOUT, "samples": samples, "stats": {}}))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(header, json.dumps(ABOUT))
        for number, sample in enumerate(samples):
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(sample))
    return path


@pytest.mark.parametrize("name", ["log.json", "log.eval"])
def test_the_members_that_count(tmp_path: Path, name: str) -> None:
    more = {
        "messages": [{"role": "user", "content": "x"}],
        "events": [{"a": ['"', "]", "\\"]}],
        "store": {},
        "epoch": 2,
    }
    path = write(tmp_path / name, SAMPLE | more, SAMPLE)
    assert task_and_model(path, Limits()) == ABOUT["eval"]
    assert list(samples_of(path, Limits())) == [SAMPLE | {"epoch": 2}, SAMPLE]


@pytest.mark.parametrize("name", ["log.json", "log.eval"])
@pytest.mark.parametrize("first", [True, False])
def test_texts_that_are_attached(tmp_path: Path, name: str, first: bool) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "attachment://a"}]}]
    attached = {"attachments": {"a": "A long text.", "b": "x" * 1000}}
    sample = {"id": 1, "input": parts, "scores": {}}
    path = write(tmp_path / name, attached | sample if first else sample | attached)
    if first and name == "log.json":
        return  # Inspect never writes them so: one pass does not find them
    (found,) = samples_of(path, Limits())
    assert found["input"][0]["content"][0]["text"] == "A long text."


def test_a_run_that_was_broken_off_has_no_header(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", SAMPLE, header="_journal/start.json")
    assert task_and_model(path, Limits()) == ABOUT["eval"]
    with pytest.raises(InvalidInput, match=r"log\.eval is not a readable Inspect log: it has no header\.json"):
        task_and_model(write(tmp_path / "log.eval", SAMPLE, header="other.json"), Limits())


def test_a_damaged_sample_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", SAMPLE, SAMPLE | {"input": "another " * 50}, SAMPLE)
    content = bytearray(path.read_bytes())
    at = content.index(b"samples/1_epoch_1.json") + 40
    content[at : at + 10] = b"\xff" * 10
    path.write_bytes(content)
    first, second, third = samples_of(path, Limits())
    assert first == third == SAMPLE
    assert isinstance(second, str)
    assert second.startswith("cannot be unpacked: ") or "JSON" in second


@pytest.mark.parametrize("cut", [5, 50, 150, -60, -5])
def test_a_log_that_is_cut(tmp_path: Path, cut: int) -> None:
    for name in ("log.json", "log.eval"):
        path = write(tmp_path / name, SAMPLE, SAMPLE)
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(InvalidInput, match=name):
            [task_and_model(path, Limits()), *samples_of(path, Limits())]
