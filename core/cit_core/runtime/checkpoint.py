"""A checkpoint on disk: four ONNX graphs, a tokenizer, a calibration, and a config that holds everyone's hash.

`config.json` is `{"format", "name", "network", "files": {file name: sha256}}`.
Nothing is used before its hash is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from cit_core.errors import CheckpointError
from cit_core.lazy import cached_property

__all__ = ["FILES", "FORMAT", "Checkpoint", "shipped_checkpoints", "write_config"]

FORMAT = 2
ENCODER_FILES = ("reader.onnx", "encoder.onnx", "tokenizer.json")
"""What makes a text's vector: the same files, the same vectors."""
GRAPHS = ("reader.onnx", "encoder.onnx", "connector.onnx", "phi.onnx")
FILES = (*GRAPHS, "tokenizer.json", "calibration.json")
CONFIG = "config.json"


def shipped_checkpoints() -> dict[str, Path]:
    """Name to folder of every checkpoint inside the package."""
    root = Path(str(files("cit_core.runtime").joinpath("checkpoints")))
    return {folder.name: folder for folder in sorted(root.glob("*")) if (folder / CONFIG).is_file()}


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder."""

    folder: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, checkpoint: str | Path) -> Checkpoint:
        """Find a checkpoint and check every file against its hash.

        Args:
            checkpoint: Name of a shipped checkpoint, or a folder.

        Raises:
            CheckpointError: If it is not there, is incomplete, was damaged or comes from a newer release.
        """
        folder = shipped_checkpoints().get(str(checkpoint), Path(checkpoint))
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            shipped = ", ".join(shipped_checkpoints()) or "none"
            raise CheckpointError(
                f"{str(checkpoint)!r} is not a checkpoint: no readable {CONFIG} in {folder}; shipped are: {shipped}"
            ) from error
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            found = config.get("format") if isinstance(config, dict) else None
            older = isinstance(found, int) and found < FORMAT
            help_ = "train it again, `cit train`" if older else "pip install -U cit-router"
            raise CheckpointError(f"checkpoint {folder} has format {found!r}, this release reads {FORMAT}: {help_}")
        shape = {"name": str, "network": dict, "files": dict}
        absent = [field for field, kind in shape.items() if not isinstance(config.get(field), kind)]
        if absent:
            raise CheckpointError(f"{folder / CONFIG} lacks {', '.join(absent)}; export the checkpoint again")
        for name in FILES:
            _verify(folder / name, config["files"].get(name))
        return cls(folder, config)

    @property
    def name(self) -> str:
        """Its name and the start of its hash, for decisions."""
        return f"{self.config['name']}@{self.sha256[:8]}"

    @cached_property
    def sha256(self) -> str:
        """One hash for the whole checkpoint: of the hashes of its files."""
        return self._hash_of(self.config["files"])

    @cached_property
    def encoder(self) -> str:
        """Which trunk makes its vectors, 16 hex digits."""
        return self._hash_of(ENCODER_FILES)[:16]

    def _hash_of(self, names: Iterable[str]) -> str:
        hashes = {name: self.config["files"][name] for name in names}
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()

    def json(self, name: str) -> Any:
        """A JSON file of the checkpoint."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def _verify(path: Path, expected: str | None) -> None:
    if expected is None:
        raise CheckpointError(f"{path.parent / CONFIG} lists no hash for {path.name}; the checkpoint is incomplete")
    try:
        found = _sha256(path)
    except OSError as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read: {error}") from error
    if found != expected:
        raise CheckpointError(
            f"checkpoint file {path} is damaged: sha256 {found[:12]}…, expected {expected[:12]}…; "
            "pip install --force-reinstall cit-router, or export it again"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_config(folder: Path, name: str, network: Mapping[str, Any]) -> None:
    """Write config.json with the hashes of the files that are there."""
    config = {
        "format": FORMAT,
        "name": name,
        "network": dict(network),
        "files": {file: _sha256(folder / file) for file in FILES},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
