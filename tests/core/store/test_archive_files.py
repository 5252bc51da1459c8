"""An archive that is not what its manifest says, or holds what no store writes, is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore
from cit_core.store.store_archive import export_archive, import_archive, merge_archive


def damage_nothing_named(folder: Path) -> None:
    (folder / "outcomes.jsonl").unlink()


def damage_a_byte(folder: Path) -> None:
    content = bytearray((folder / "outcomes.jsonl").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "outcomes.jsonl").write_bytes(content)


def damage_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 100_000)


def damage_the_format(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": "cit-router store 99"}')


def lie(folder: Path) -> None:
    """A row that no store has written, in an archive whose hashes are right."""
    content = b'{"candidate":"small","item":"i0","source":"run","correct":"NaN","when":0}\n'
    (folder / "outcomes.jsonl").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]["outcomes"] = {"rows": 1, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing_named, r"not a complete archive: outcomes.jsonl: No such file"),
        (damage_a_byte, "outcomes.jsonl is not the file that the manifest names"),
        (damage_the_manifest, "its manifest.json cannot be read"),
        (damage_the_format, "archive of another format"),
        (lie, "outcomes.jsonl, line 1 holds no row of this table"),
    ],
)
@pytest.mark.parametrize("take", [import_archive, merge_archive])
def test_a_damaged_archive_is_refused_and_nothing_is_written(
    full: CapabilityStore, tmp_path: Path, damage: Any, message: str, take: Any
) -> None:
    export_archive(full, tmp_path / "zoo")
    damage(tmp_path / "zoo")
    with CapabilityStore(f"sqlite:///{tmp_path}/new.db") as new:
        with pytest.raises(InvalidInput, match=message):
            take(new, tmp_path / "zoo")
        assert (new.candidates(), new.items(), new.outcome_count(), new.version) == ((), (), 0, 0)
