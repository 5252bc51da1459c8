"""The log: what is in it, rotation, several processes, and that no call waits or fails for it."""

from __future__ import annotations

import json
import logging
import math
import os
import pickle
import threading
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from disk import full_disk
from logs import router, write_log

from cit_core.errors import InvalidInput, StoreError
from cit_core.router import decision_log
from cit_core.router.decision_log import DecisionLog, as_log, read_log
from cit_core.settings import read_settings
from cit_core.store import CapabilityStore


def test_a_decision_and_what_became_of_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    decisions = write_log(path, 3, rated=1.0)
    router(log=path).signal(decisions[0], "retried")
    records = list(read_log(path))
    assert [record["kind"] for record in records[:3]] == ["decision"] * 3
    first = records[0]
    assert first["id"] == decisions[0].id
    assert first["ranking"][0][:2] == [decisions[0].model, decisions[0].probability]
    assert (first["by"], first["propensity"], first["policy"]) == ("policy", 1.0, "cost:0.01")
    assert "text" not in first
    assert "easy" not in path.read_text()
    assert "hard" not in path.read_text(), "hashes alone"
    assert {record["kind"] for record in records} >= {"decision", "usage", "feedback"}


def test_texts_are_kept_if_asked_for(tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", 2, texts=True)
    assert all(
        record["text"][:4] in ("easy", "hard") for record in read_log(tmp_path / "log.jsonl") if "text" in record
    )
    assert any("text" in record for record in read_log(tmp_path / "log.jsonl"))


def test_a_store_keeps_the_log_and_no_version_for_it(store: CapabilityStore) -> None:
    log = DecisionLog(store, keep=3)
    opened = router(log=log)
    for n in range(5):
        opened.route(f"easy {n}")
        assert log.flush()
    assert len(list(read_log(store))) == 3
    assert store.version == 0


def test_a_full_file_is_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path, max_bytes=1_500, files=2)
    for n in range(60):
        log.signal(str(n), "retried")
        assert log.flush()
    names = {file.name for file in tmp_path.iterdir()}
    assert {"log.jsonl.1", "log.jsonl.2"} <= names <= {"log.jsonl", "log.jsonl.1", "log.jsonl.2"}
    kept = [int(record["decision"]) for record in read_log(path)] if path.exists() else []
    assert kept == sorted(kept)
    assert 0 not in kept


def test_a_lock_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lock = tmp_path / ".log.jsonl.rotating"
    lock.touch()
    os.utime(lock, (1, 1))
    log = DecisionLog(path, max_bytes=10)
    for _ in range(2):
        log.signal("a", "retried")
        assert log.flush()
    assert path.with_name("log.jsonl.1").exists()


class Gone:
    """A store that is gone, for so many calls."""

    def __init__(self, calls: float = math.inf) -> None:
        self.calls = calls
        self.kept: list[str] = []

    def add_log(self, records: list[str], *, keep: int) -> None:
        self.calls -= 1
        if self.calls >= 0:
            raise StoreError("gone")
        self.kept += records


def test_a_store_that_starts_again_loses_no_record(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decision_log, "LINGER_S", 0.01)
    store = Gone(3)
    log = DecisionLog(store)  # type: ignore[arg-type]
    log.signal("a", "retried")
    log.signal("b", "retried")
    assert log.flush()
    assert ([json.loads(line)["decision"] for line in store.kept], log.dropped) == (["a", "b"], 0)
    assert not caplog.records


def test_a_target_that_fails_costs_no_decision(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decision_log, "PATIENCE_S", 0.0)
    with caplog.at_level(logging.WARNING):
        log = DecisionLog(Gone())  # type: ignore[arg-type]
        opened = router(log=log)
        for n in range(3):
            opened.route(f"easy {n}")
            assert log.flush()
    assert log.dropped == 3
    assert [record.message for record in caplog.records] == ["decisions are not logged: gone"]


def test_what_does_not_fit_is_counted() -> None:
    log = DecisionLog(Gone(), waiting=1)  # type: ignore[arg-type]
    log._working.acquire()
    for _ in range(5):
        log.signal("a", "retried")
    assert log.dropped == 4


def test_numbers_of_other_kinds_and_half_characters_cost_no_record(tmp_path: Path, store: CapabilityStore) -> None:
    for log in (DecisionLog(tmp_path / "log.jsonl", texts=True), DecisionLog(store, texts=True)):
        opened = router(log=log)
        decision = opened.route("easy \ud800")
        opened.settle(decision, cost_usd=np.float32(0.5), latency_s=Decimal(2))  # type: ignore[arg-type]
        log.signal(object(), "retried")  # type: ignore[arg-type]
        assert log.flush()
        first, second, _ = read_log(log.target)
        assert first["text"] == "easy \ufffd"
        assert (second["cost_usd"], second["latency_s"]) == (0.5, 2.0)
        assert log.dropped == 0


def test_a_disk_that_was_full_spoils_no_later_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = DecisionLog(tmp_path / "log.jsonl")
    for outage in (1, 2):
        log.signal(f"before {outage}", "retried")
        assert log.flush()
        with full_disk((tmp_path / "log.jsonl").stat().st_size + 20):  # a piece of a line fits
            log.signal("lost", "retried")
            assert log.flush()
        assert log.dropped == outage
    log.signal("after", "retried")
    assert log.flush()
    assert [record["decision"] for record in read_log(log.target)] == ["before 1", "before 2", "after"]
    assert [record.message for record in caplog.records] == ["decisions are not logged: No space left on device"] * 2


def test_a_pipe_takes_the_log_as_a_file_does(tmp_path: Path) -> None:
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = DecisionLog(pipe)
    log.signal("piped", "retried")
    assert log.flush()
    assert (log.dropped, json.loads(os.read(reader, 10_000))["decision"]) == (0, "piped")
    os.close(reader)


def test_a_file_that_another_process_has_just_moved_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log[1].jsonl"
    append = decision_log._append

    def moved(path: Path, lines: Iterable[str]) -> None:
        append(path, lines)
        path.replace(path.with_name(f"{path.name}.1"))

    monkeypatch.setattr(decision_log, "_append", moved)
    log = DecisionLog(path)
    log.signal("a", "retried")
    assert log.flush()
    assert log.dropped == 0
    assert len(list(read_log(path))) == 1


def test_where_no_thread_can_start_no_call_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = DecisionLog(tmp_path / "log.jsonl")
    with monkeypatch.context() as none_left:
        none_left.setattr(threading.Thread, "start", refuse)
        log.signal("a", "retried")
    log.signal("b", "retried")
    assert log.flush()
    assert [record["decision"] for record in read_log(log.target)] == ["a", "b"]


def test_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_log(path, 1)
    with path.open("ab") as stream:
        stream.write(b'{"kind": "decis\n\xff\n[]\n' + json.dumps({"kind": "decision", "format": 99}).encode())
    assert {record["format"] for record in read_log(path)} == {1}


def test_doors(tmp_path: Path) -> None:
    (tmp_path / "cit.toml").write_text('[router]\nlog = "log.jsonl"\n')
    assert read_settings(tmp_path / "cit.toml", {}).log == str(tmp_path / "log.jsonl")
    log = as_log(str(tmp_path / "x.jsonl"))
    assert log is not None
    assert pickle.loads(pickle.dumps(log)).target == log.target
    other = router().with_options(log=log)
    of_store = as_log(f"sqlite:///{tmp_path / 'log.db'}")
    assert of_store is not None
    assert isinstance(of_store.target, CapabilityStore)
    of_store.target.close()
    assert other.log is log
    assert router().log is None
    with pytest.raises(InvalidInput, match="log is 'store', and this router is of none"):
        as_log("store")
    with pytest.raises(InvalidInput, match="log is 7"):
        as_log(7)
    with pytest.raises(InvalidInput, match="there is no log"):
        list(read_log(tmp_path / "absent.jsonl"))
    with pytest.raises(InvalidInput, match="there are retried, aborted, switched"):
        log.signal("a", "liked")
    with pytest.raises(InvalidInput, match="has no log"):
        router().signal("a", "retried")
    assert router(log=log).feedback("an id", "small", 1.0).item == "decision:an id", "and needs no store"
