"""A log of decisions and of what became of them: JSON lines in a file that rotates, or rows of a store.

Opt-in. Records wait in a bounded queue and are written by a thread of its own, so no call waits or fails for it; what
does not fit is counted and left out. Of a query its hash is kept, its text only if asked for.
"""

from __future__ import annotations

import atexit
import base64
import errno
import glob
import json
import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import CITError, InvalidInput
from cit_core.fork import renew_after_fork
from cit_core.messages import shown
from cit_core.records import Decision, content_digest
from cit_core.router.feedback import LONGEST_TEXT
from cit_core.router.query import whole_characters

if TYPE_CHECKING:
    from cit_core.store import CapabilityStore

__all__ = ["SIGNALS", "DecisionLog", "as_log", "read_log"]

logger = logging.getLogger("cit_core.router")

SIGNALS = ("retried", "aborted", "switched")
"""Implicit signals that an answer did not serve: asked again, broken off, another model chosen by hand."""
FORMAT = 1
LINGER_S = 0.5
"""Time for which the thread waits for more records [s]."""
BATCH = 500
PATIENCE_S = 30.0
"""Time that a store may fail before records are left out [s]: longer than it takes to start again."""
CELLS = 4
"""Random planes that tell regions of queries apart; 16 regions."""
STALE_S = 60.0
"""Age of a lock that a killed process left behind [s]."""


class DecisionLog:
    """Writes decisions, feedback, signals, costs and shadow answers. Thread-safe; several processes may share one.

    Args:
        target: Path of a file, or a store.
        texts: Keep the texts of queries; needed to replay them with other models.
        max_bytes: Size at which a file is rotated to FILE.1, FILE.2 and so on.
        files: Number of rotated files that are kept.
        keep: Rows that are kept in a store.
        waiting: Records that may wait to be written.
    """

    def __init__(
        self,
        target: str | Path | CapabilityStore,
        *,
        texts: bool = False,
        max_bytes: int = 50_000_000,
        files: int = 5,
        keep: int = 1_000_000,
        waiting: int = 10_000,
    ) -> None:
        self.target: Any = Path(target).absolute() if isinstance(target, str | Path) else target
        self.texts = texts
        self._limits = {"max_bytes": max_bytes, "files": files, "keep": keep, "waiting": waiting}
        self.dropped = 0
        """Records that were left out, because too many waited or the target failed."""
        self._told = False
        self._gives_up_s: float | None = None
        """When a store that fails now has failed for too long [s]."""
        self._renew_after_fork()
        renew_after_fork(self)
        atexit.register(_flush, weakref.ref(self))

    def _renew_after_fork(self) -> None:
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(self._limits["waiting"])
        self._working = threading.Lock()
        self._idle = threading.Condition()
        self._unwritten = 0

    def __reduce__(self) -> tuple[Callable[..., DecisionLog], tuple[Any, ...]]:
        return _log_again, (self.target, {"texts": self.texts, **self._limits})

    # -- what is written ----------------------------------------------------------------------------------------------

    def decision(self, decision: Decision, text: str, tokens: int) -> None:
        """Write a decision."""
        record: dict[str, Any] = {
            "id": decision.id,
            "model": decision.model,
            "by": decision.chosen_by,
            "propensity": decision.propensity,
            "policy": decision.policy,
            "scorer": decision.scorer,
            "version": decision.store_version,
            "tenant": decision.tenant,
            "digest": content_digest(text) if decision.query is None else decision.query.digest,
            "region": _region(decision),
            "tokens": tokens,
            "ranking": [
                [one.model, round(one.probability, 6), one.expected_cost_usd, one.expected_latency_s]
                for one in decision.ranking
            ],
        }
        if self.texts:
            record["text"] = whole_characters(text[:LONGEST_TEXT])
        self._put("decision", record)

    def feedback(self, decision: str, model: str, correct: float) -> None:
        """Write how well a model answered, 0 to 1."""
        self._put("feedback", {"decision": decision, "model": model, "correct": float(correct)})

    def signal(self, decision: str, signal: str) -> None:
        """Write an implicit signal about the answer to a decision.

        Raises:
            InvalidInput: If there is no such signal.
        """
        if signal not in SIGNALS:
            raise InvalidInput(f"signal is {shown(signal)}; there are {', '.join(SIGNALS)}")
        self._put("signal", {"decision": decision, "signal": signal})

    def usage(
        self, decision: str, model: str, cost_usd: float | None, latency_s: float | None, *, again: bool = False
    ) -> None:
        """Write what an answer cost and how long it took; `again` where it is one more of the decision."""
        cost, took = (None if number is None else float(number) for number in (cost_usd, latency_s))
        fields = {"decision": decision, "model": model, "cost_usd": cost, "latency_s": took}
        self._put("usage", fields | {"again": True} if again else fields)

    def cascade(self, decision: str, report: Mapping[str, Any]) -> None:
        """Write the steps of a cascade: which candidates were asked, what was verified, and what each cost."""
        fields = {"decision": decision, "model": report["model"], "spent_usd": report["spent_usd"]}
        self._put("cascade", {**fields, "steps": [dict(step) for step in report["steps"]]})

    def shadow(self, decision: str, model: str, reference: str, score: float, cost_usd: float | None) -> None:
        """Write how an answer did beside the reference model's: 1 better, 0.5 as good, 0 worse."""
        fields = {"decision": decision, "model": model, "reference": reference, "score": score, "cost_usd": cost_usd}
        self._put("shadow", fields)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything is written; return whether it is."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._unwritten, timeout_s)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _put(self, kind: str, fields: Mapping[str, Any]) -> None:
        record = {"kind": kind, "format": FORMAT, "when": datetime.now(timezone.utc).isoformat(), **fields}
        with self._idle:
            try:
                self._queue.put_nowait(record)
            except queue.Full:
                self.dropped += 1
                return
            self._unwritten += 1
        self._start()

    def _start(self) -> None:
        """Start the thread if there is none; where none can be started, the records wait for the next one."""
        working = self._working
        if working.acquire(blocking=False):
            try:
                threading.Thread(target=self._work, name="cit-decision-log", daemon=True).start()
            except RuntimeError:  # too many threads, or the interpreter ends
                working.release()

    def _work(self) -> None:
        working = self._working
        try:
            while batch := self._collect():
                self._write(batch)
                with self._idle:
                    self._unwritten -= len(batch)
                    self._idle.notify_all()
        finally:
            working.release()
        if not self._queue.empty():  # came after the last look
            self._start()

    def _collect(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        with suppress(queue.Empty):
            batch.append(self._queue.get(timeout=LINGER_S))
            while len(batch) < BATCH:
                batch.append(self._queue.get_nowait())
        return batch

    def _write(self, batch: Iterable[Mapping[str, Any]]) -> None:
        lines = [json.dumps(record, ensure_ascii=False, default=_kind) for record in batch]
        try:
            if isinstance(self.target, Path):
                _append(self.target, lines)
                _rotate(self.target, self._limits["max_bytes"], self._limits["files"])
            else:
                while not self._added(lines):
                    time.sleep(LINGER_S)
        except (CITError, OSError, UnicodeError) as error:
            with self._idle:
                self.dropped += len(lines)
            if not self._told:
                self._told = True
                reason = error.strerror if isinstance(error, OSError) else str(error)
                logger.warning("decisions are not logged: %s", reason)
        else:
            self._told = False

    def _added(self, lines: list[str]) -> bool:
        """Write to the store; return False if it fails and may be about to start again.

        Raises:
            CITError: If it has failed for too long, or as many records wait as may.
        """
        try:
            self.target.add_log(lines, keep=self._limits["keep"])
        except CITError:
            self._gives_up_s = self._gives_up_s or time.monotonic() + PATIENCE_S
            if time.monotonic() >= self._gives_up_s or self._queue.full():
                raise
            return False
        self._gives_up_s = None
        return True


def _kind(given: object) -> str:
    """Return what stands for an object that is no JSON: one bad record costs no other, and no object is shown."""
    return type(given).__name__


def as_log(given: object, store: CapabilityStore | None = None) -> DecisionLog | None:
    """Return a log, whether it came as one, as a file's path, a store or its address, or `store` for the router's own.

    Raises:
        InvalidInput: If it is none of these.
        StoreError: If a store cannot be opened.
    """
    if given is None or isinstance(given, DecisionLog):
        return given
    if isinstance(given, str) and given == "store":
        if store is None:
            raise InvalidInput("log is 'store', and this router is of none; name a file, decisions.jsonl")
        return DecisionLog(store)
    if isinstance(given, str) and "://" in given:
        from cit_core.router.loading import open_store

        return DecisionLog(open_store(given, create=True))
    if isinstance(given, str | Path) or hasattr(given, "add_log"):
        return DecisionLog(given)  # type: ignore[arg-type]
    raise InvalidInput(
        f"log is {shown(given)}; use a path, 'store', or DecisionLog(...) of cit_core.router.decision_log"
    )


def read_log(source: str | Path | CapabilityStore) -> Iterator[dict[str, Any]]:
    """Yield the records of a log, oldest first, those of rotated files included; a damaged line is passed over.

    Raises:
        InvalidInput: If there is no such file.
    """
    lines = _file_lines(Path(source)) if isinstance(source, str | Path) else source.log()
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("kind"), str) and record.get("format") == FORMAT:
            yield record


def _file_lines(path: Path) -> Iterator[str]:
    rotated = [one for one in path.parent.glob(f"{glob.escape(path.name)}.*") if one.suffix[1:].isdigit()]
    files = [*sorted(rotated, key=lambda one: -int(one.suffix[1:])), path]
    found = [file for file in files if file.is_file()]
    if not found:
        raise InvalidInput(
            f'there is no log {shown(str(path), 512)}; `Router(log=...)`, or log = "decisions.jsonl" under [router] in '
            "cit.toml, writes one"
        )
    for file in found:
        with file.open(encoding="utf-8", errors="replace") as stream:
            yield from stream


def _append(path: Path, lines: Iterable[str]) -> None:
    """Append lines with one write, so that those of several processes do not mix.

    Raises:
        OSError: If not all of them fit; the next lines then begin after the half one.
    """
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as stream:
        data = b"\n" + data if _is_torn(path) else data
        if (stream.write(data) or 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_torn(path: Path) -> bool:
    """Return whether a file ends within a line; what is no file, as a pipe or /dev/stdout, has no end to be read."""
    with suppress(OSError):  # empty, not to be read, or just moved by another process
        if path.is_file():
            with path.open("rb") as stream:
                stream.seek(-1, os.SEEK_END)
                return stream.read(1) != b"\n"
    return False


def _rotate(path: Path, max_bytes: int, files: int) -> None:
    """Move a file that is full out of the way; one process does it, the others go on."""
    try:
        if path.stat().st_size < max_bytes:
            return
    except FileNotFoundError:  # another process has just moved it
        return
    lock = path.with_name(f".{path.name}.rotating")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        with suppress(OSError):
            if time.time() - lock.stat().st_mtime > STALE_S:
                lock.unlink()
        return
    try:
        if path.exists() and path.stat().st_size >= max_bytes:
            for number in range(files, 0, -1):
                older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
                if older.exists():
                    older.replace(path.with_name(f"{path.name}.{number}"))
    finally:
        lock.unlink(missing_ok=True)


def _region(decision: Decision) -> int | None:
    """Return the region of a query's vector by random planes: enough to see drift, not what was asked."""
    if decision.query is None or decision.query.vector is None:
        return None
    vector_D = np.frombuffer(base64.b64decode(decision.query.vector), dtype="<f2").astype(np.float64)
    return int((_planes(len(vector_D)) @ vector_D > 0.0) @ (1 << np.arange(CELLS)))


@lru_cache(4)
def _planes(width: int) -> NDArray[np.float64]:
    planes_CD: NDArray[np.float64] = np.random.default_rng(0).normal(size=(CELLS, width))
    return planes_CD


def _flush(reference: weakref.ref[DecisionLog]) -> None:
    log = reference()
    if log is not None:
        log.flush()


def _log_again(target: Any, options: Mapping[str, Any]) -> DecisionLog:
    return DecisionLog(target, **options)
