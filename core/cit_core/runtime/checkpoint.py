"""A checkpoint on disk: four ONNX graphs, a tokenizer, a calibration, and a config with the hash of each file.

`config.json` is `{"format", "name", "network", "files": {file name: sha256}}`.
Files are read once, within limits; exactly the checked bytes are loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cit_core.cores import begun
from cit_core.errors import CheckpointError, CITError
from cit_core.lazy import cached_property
from cit_core.messages import shown

__all__ = [
    "FILES",
    "FORMAT",
    "Checkpoint",
    "load_or_refuse",
    "plain_file",
    "read_bounded",
    "shipped_checkpoints",
    "write_config",
]

FORMAT = 2
ENCODER_FILES = ("reader.onnx", "encoder.onnx", "tokenizer.json")
"""Files that determine a text's vector: the same files make the same vectors."""
GRAPHS = ("reader.onnx", "encoder.onnx", "connector.onnx", "phi.onnx")
FILES = (*GRAPHS, "tokenizer.json", "calibration.json")
CONFIG = "config.json"
MEBI = 2**20
LARGEST = {**dict.fromkeys(GRAPHS, 1024 * MEBI), "tokenizer.json": 64 * MEBI}
"""Bytes of a file that are read at most; of others, 1 MiB."""
SHOWN = 200
"""Characters of a name or path that an error repeats."""

T = TypeVar("T")


class _Network(BaseModel):
    """The numbers of `config.json` that scoring depends on."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    max_length: Annotated[int, Field(ge=4, le=65_536)]
    """Tokens."""
    width: Annotated[int, Field(ge=1, le=65_536)]
    """Dimensions of a vector."""


class _Config(BaseModel):
    """`config.json`, but for its format."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    network: _Network
    files: dict[str, str]
    learnt: list[str] = []


def shipped_checkpoints() -> dict[str, Path]:
    """Name to folder of every checkpoint inside the package."""
    root = Path(str(files("cit_core.runtime").joinpath("checkpoints")))
    return {folder.name: folder for folder in sorted(root.glob("*")) if (folder / CONFIG).is_file()}


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder."""

    folder: Path
    config: Mapping[str, Any]
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """Contents of the files, until `released`."""

    @classmethod
    def open(cls, checkpoint: str | Path) -> Checkpoint:
        """Find a checkpoint, read every file and check it against its hash.

        Args:
            checkpoint: Name of a shipped checkpoint, or a folder.

        Raises:
            CheckpointError: If it is not there, is incomplete, was damaged, comes from a newer release, or holds what
                is not a plain file of its own.
        """
        if not isinstance(checkpoint, (str, os.PathLike)):
            raise CheckpointError(
                f"a checkpoint is a shipped name or a folder, got {type(checkpoint).__name__}; shipped: {_shipped()}"
            )
        folder = shipped_checkpoints().get(str(checkpoint), Path(checkpoint))
        config = _read_config(folder, str(checkpoint))
        with ThreadPoolExecutor(2) as pool:  # reading and hashing let go of Python's lock
            contents = begun(pool, lambda name: _verified(folder, name, config["files"].get(name)), FILES)
            return cls(folder, config, dict(zip(FILES, contents, strict=True)))

    @property
    def name(self) -> str:
        """Its name and the start of its hash, for decisions."""
        return f"{self.config['name']}@{self.sha256[:8]}"

    @property
    def learnt(self) -> tuple[str, ...]:
        """Names of the tables that the network was trained on, where they are recorded."""
        return tuple(self.config.get("learnt", ()))

    @cached_property
    def sha256(self) -> str:
        """One hash for the whole checkpoint: of the hashes of its files."""
        return self._hash_of(self.config["files"])

    @cached_property
    def encoder(self) -> str:
        """Hash of the trunk that makes the vectors, 16 hex digits."""
        return self._hash_of(ENCODER_FILES)[:16]

    def _hash_of(self, names: Iterable[str]) -> str:
        hashes = {name: self.config["files"][name] for name in names}
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()

    def read(self, name: str) -> bytes:
        """Return a file's bytes, with their hash checked; after `released`, they are read and checked again."""
        found = self.contents.get(name)
        return _verified(self.folder, name, self.config["files"].get(name)) if found is None else found

    def released(self) -> Checkpoint:
        """Return the checkpoint without the bytes of its files."""
        return replace(self, contents={})

    def json(self, name: str) -> Any:
        """Read a JSON file of the checkpoint.

        Raises:
            CheckpointError: If it is not JSON.
        """
        try:
            return json.loads(self.read(name))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{self.folder / name} is not JSON; export the checkpoint again") from error


def _shipped() -> str:
    return ", ".join(shipped_checkpoints()) or "none"


def _shorter(text: object) -> str:
    shown = str(text)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _read_config(folder: Path, given: str) -> dict[str, Any]:
    where = _shorter(folder)
    try:
        config = json.loads(read_bounded(folder, CONFIG).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{shown(given, 1000)} is not a checkpoint: no readable {CONFIG} in {shown(str(folder), 1000)}; "
            f"shipped are: {_shipped()}"
        ) from error
    found = config.get("format") if isinstance(config, dict) else None
    if type(found) is not int or found != FORMAT:
        help_ = "train it again, `cit train`" if type(found) is int and found < FORMAT else "pip install -U cit-router"
        raise CheckpointError(
            f"checkpoint {where} has format {_shorter(ascii(found))}, this release reads {FORMAT}: {help_}"
        )
    needed = [name for name, field_ in _Config.model_fields.items() if field_.is_required()]
    absent = [name for name in needed if config.get(name) is None]
    if absent:
        raise CheckpointError(f"{where}/{CONFIG} lacks {', '.join(sorted(absent))}; export the checkpoint again")
    try:
        _Config.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = _shorter(ascii(".".join(map(str, first["loc"]))))
        raise CheckpointError(
            f"{where}/{CONFIG}: {place}: {first['msg']}; export the checkpoint again"
        ) from None  # pydantic's own text repeats what was in the file
    if not config["name"].isprintable():
        raise CheckpointError(f"{where}/{CONFIG}: the name must be printable text; export the checkpoint again")
    return dict(config)


def _verified(folder: Path, name: str, expected: str | None) -> bytes:
    path = _shorter(folder / name)
    if expected is None:
        raise CheckpointError(f"{_shorter(folder)}/{CONFIG} lists no hash for {name}; the checkpoint is incomplete")
    try:
        content = read_bounded(folder, name)
    except OSError as error:
        raise CheckpointError(f"checkpoint file {path} cannot be read: {error.strerror or error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise CheckpointError(
            f"checkpoint file {path} is damaged: sha256 {found[:12]}…, expected {ascii(expected)[1:13]}…; "
            "pip install --force-reinstall cit-router, or export it again"
        )
    return content


def read_bounded(folder: Path, name: str) -> bytes:
    """Read a plain file of a folder: no device, no pipe, nothing outside, no more than `LARGEST` says.

    Raises:
        OSError: If it is not there or is none of this.
    """
    path, largest = plain_file(folder, name), LARGEST.get(name, MEBI)
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(f"{name} is larger than {largest // MEBI:,} MiB")
    return content


def plain_file(folder: Path, name: str) -> Path:
    """Return where a plain file of a folder is: no device, no pipe, nothing outside.

    A link is followed within the folder, and from a snapshot of the Hugging Face cache to the blobs beside it.

    Raises:
        OSError: If it is not there or is none of this.
    """
    path, home = Path(os.path.realpath(folder / name)), Path(os.path.realpath(folder))
    blobs = home.parent.parent / "blobs"
    if home not in path.parents and not (home.parent.name == "snapshots" and path.parent == blobs):
        raise OSError(f"{name} is a link to a file outside of the folder")
    if not stat.S_ISREG(path.stat().st_mode):  # asked before it is opened: opening a pipe may never end
        raise OSError(f"{name} is not a plain file")
    return path


def load_or_refuse(work: Callable[[], T], where: str, what: str) -> T:
    """Return what `work` loads from untrusted files; raise one kind of error for anything wrong with them.

    Args:
        work: Loads.
        where: The folder or file, for the error.
        what: It should be, for the error.

    Raises:
        CheckpointError: For any error of a library.
    """
    try:
        return work()
    except (KeyboardInterrupt, SystemExit, GeneratorExit, CITError):
        raise
    except BaseException as error:  # `tokenizers` raises plain Exception, and its Rust panics are not even that
        reason = f"{type(error).__name__}: {str(error)[:SHOWN]}"
        raise CheckpointError(f"{where} cannot be loaded as {what} ({reason}); export or download it again") from error


def write_config(folder: Path, name: str, network: Mapping[str, Any], learnt: Iterable[str] = ()) -> None:
    """Write config.json with the hashes of the files that are there, and the names of the tables learnt from."""
    config = {
        "format": FORMAT,
        "name": name,
        "network": dict(network),
        "learnt": list(learnt),
        "files": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in FILES},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
