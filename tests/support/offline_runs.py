"""What W&B keeps of a run without a network: its file is a LevelDB log of W&B's own protobuf records."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

BLOCK, FIRST, WHOLE, LAST = 32768, 7, 1, 4
"""Bytes of a block, bytes before the first record, and the kinds of a piece that ends one."""


class OfflineRun(NamedTuple):
    """What W&B would be sent."""

    name: str
    history: list[dict[str, Any]]
    exit_code: int | None
    """None if the run was never ended."""


def read_offline_run(folder: Path) -> OfflineRun:
    """Read the one `run-*.wandb` of a folder, once it has ended: another process of wandb's writes it."""
    ends = time.monotonic() + 60.0
    while (found := _read(folder)).exit_code is None and time.monotonic() < ends:
        time.sleep(0.2)
    return found


def _read(folder: Path) -> OfflineRun:
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("run-*.wandb")
    name, history, exit_code = "", [], None
    for piece in _records(path.read_bytes()):
        record = Record.FromString(piece)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            name = record.run.display_name
        elif kind == "history":
            items = record.history.item
            history.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
        elif kind == "exit":
            exit_code = record.exit.exit_code
    return OfflineRun(name, history, exit_code)


def _records(content: bytes) -> list[bytes]:
    found, record, place = [], b"", FIRST
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:  # no room for a header: filled up with zeros
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        if place + 7 + length > len(content):  # it is being written
            break
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (WHOLE, LAST):
            found.append(record)
            record = b""
    return found
