"""Results as data: what an experiment found, as tables and figures of numbers, and what it takes to get it again.

One JSON file for each experiment. All that people read is made from these files: `tables` for a terminal and the
Markdown page, `figures` for SVG, `page` for one HTML file.

Texts are plain, and `backticks` mark code. A number that is not known, or is not finite, is None.
"""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

import cit_core
from cit_core.errors import InvalidInput
from cit_core.evaluate.metrics import Interval
from cit_core.records import require_unique

__all__ = [
    "ORDER",
    "Cell",
    "Column",
    "Facts",
    "Figure",
    "Kind",
    "Result",
    "Series",
    "Table",
    "as_record",
    "facts",
    "read_result",
    "read_results",
    "write_result",
]

ORDER = (
    "baselines",
    "halves",
    "few",
    "zoos",
    "releases",
    "coverage",
    "current",
    "newer",
    "cost",
    "onboarding",
    "overhead",
    "paper",
    "pictures",
    "robustness",
    "decision",
    "packing",
    "ablations",
    "rerankers",
    "relatives",
)
"""Order of experiments on a page; others come after them, by name."""
PACKAGES = ("cit-router", "numpy", "onnxruntime", "tokenizers", "scikit-learn", "torch")
"""Packages with their versions in a result, where they are installed."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Cell = str | float | int | Interval | None
Kind = Literal["text", "percent", "points", "signed", "precise", "count", "ms", "ratio", "usd"]
Known = float | None


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and how its numbers are written."""

    name: str
    kind: Kind = "text"
    """percent: of 100, as 68.06; points: a difference of such, as +0.52. precise: as 0.749; signed: a difference of
    such, as +0.012. count: as 1,838. ms: as 1.23. ratio: as 1.19x. usd: as $0.000312."""


@dataclass(frozen=True)
class Table:
    """Numbers in rows."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    emphasis: tuple[int, ...] = ()
    """Rows that are ours, counted from 0."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InvalidInput(
                    f"table {self.title!r} has {len(self.columns)} columns and a row of {len(row)} cells"
                )
        if not set(self.emphasis) <= set(range(len(self.rows))):
            raise InvalidInput(f"table {self.title!r} has {len(self.rows)} rows and is to emphasise {self.emphasis}")
        object.__setattr__(self, "rows", tuple(tuple(map(_cell, row)) for row in self.rows))


@dataclass(frozen=True)
class Series:
    """Points that belong together, in order; y is None where it is not known."""

    name: str
    x: tuple[float, ...]
    y: tuple[Known, ...]
    low: tuple[Known, ...] | None = None
    """Lower ends of the 95 % intervals of y; given with `high` or not at all."""
    high: tuple[Known, ...] | None = None
    ours: bool = False
    labels: tuple[str, ...] | None = None
    """Text beside each point; an empty one for nothing."""
    joined: bool = True
    """True if a line connects the points, in a figure of lines."""

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise InvalidInput(f"series {self.name!r} needs both ends of its intervals, or none")
        for what in ("y", "low", "high", "labels"):
            values = getattr(self, what)
            if values is not None and len(values) != len(self.x):
                raise InvalidInput(f"series {self.name!r} has {len(self.x)} values of x and {len(values)} of {what}")
        if not self.x:
            raise InvalidInput(f"series {self.name!r} has no points")
        if not all(map(math.isfinite, self.x)):
            raise InvalidInput(f"series {self.name!r} has an x that is not a finite number")
        object.__setattr__(self, "x", tuple(map(float, self.x)))
        for what in ("y", "low", "high"):
            if (values := getattr(self, what)) is not None:
                object.__setattr__(self, what, tuple(map(_known, values)))


@dataclass(frozen=True)
class Figure:
    """Series over the same axes."""

    name: str
    """Name of its file, without the suffix."""
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: Literal["line", "step", "points", "diagonal"] = "line"
    """step: y holds until the next x. diagonal: a reliability diagram, beside the line y = x."""
    x_log: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        _require_name(self.name, "figure")
        if not self.series:
            raise InvalidInput(f"figure {self.name!r} has no series")
        if self.x_log and any(x <= 0 for series in self.series for x in series.x):
            raise InvalidInput(f"figure {self.name!r} has a logarithmic axis and an x that is not above 0")

    @property
    def description(self) -> str:
        """Text alternative of the figure."""
        return f"{self.title}: {self.y_label} by {self.x_label}, for {', '.join(one.name for one in self.series)}"


@dataclass(frozen=True)
class Facts:
    """Facts that are needed to reproduce a result."""

    command: str
    commit: str | None
    """Short git hash of the code, with `+changes` where the code differed from it; None outside a repository."""
    data: Mapping[str, str]
    """Name of each data set to its content hash."""
    checkpoint: str | None
    seed: int | str | None
    versions: Mapping[str, str]
    machine: str
    seconds: float
    when: date
    split: Mapping[str, str | int | float] | None = None
    """The seeded split by names that holds out items and models."""


@dataclass(frozen=True)
class Result:
    """Result of an experiment: its question, data, tables and figures."""

    experiment: str
    """Name of its file, without the suffix."""
    title: str
    question: str
    """One sentence."""
    held_out: str
    """Items and models that were held out."""
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    facts: Facts
    format: Literal[1] = field(default=1, kw_only=True)
    """Version of the file format."""

    def __post_init__(self) -> None:
        _require_name(self.experiment, "experiment")
        require_unique((figure.name for figure in self.figures), f"figures of {self.experiment!r}")


def _require_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{what} {name!r} cannot name a file; use a-z, 0-9 and single hyphens")


def _known(value: Known) -> Known:
    return float(value) if value is not None and math.isfinite(value) else None


def _cell(cell: Cell) -> Cell:
    if isinstance(cell, Interval):
        # A mean without a finite interval is still a mean.
        return cell if all(map(math.isfinite, cell)) else _known(cell.mean)
    return _known(cell) if isinstance(cell, float) else cell


def facts(
    command: str,
    *,
    data: Mapping[str, str],
    seconds: float,
    checkpoint: str | None = None,
    seed: int | str | None = None,
    split: Mapping[str, str | int | float] | None = None,
) -> Facts:
    """Put down how a result came about; commit, versions, machine and date are looked up.

    Args:
        command: Command that makes the result.
        data: Name of each data set to its content hash.
        seconds: Duration.
        checkpoint: Name of the network, with its hash.
        seed: Seed of the split and of all draws.
        split: Seed, shares and numbers of what is held out.
    """
    installed = {package: found for package in PACKAGES if (found := _version(package)) is not None}
    return Facts(
        command=command,
        commit=_commit(),
        data=dict(data),
        checkpoint=checkpoint,
        seed=seed,
        versions={"python": platform.python_version(), **installed},
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        seconds=round(seconds, 1),
        when=datetime.now(timezone.utc).date(),
        split=split,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    code = Path(cit_core.__file__)
    # An installed package may lie inside another repository, which does not track it.
    if not _git("ls-files", code.name, folder=code.parent):
        return None
    changed = _git("status", "--porcelain", ".", folder=code.parent)
    return f"{_git('rev-parse', '--short', 'HEAD', folder=code.parent)}{'+changes' if changed else ''}"


def _git(*arguments: str, folder: Path) -> str:
    """Return the output of git; empty without git or outside a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return done.stdout.strip() if done.returncode == 0 else ""


# ---- files


@cache
def _format() -> TypeAdapter[Result]:
    return TypeAdapter(Result)


def write_result(result: Result, folder: Path) -> Path:
    """Write a result as JSON, `<experiment>.json`: all of it, or the file stays as it was."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.experiment}.json"
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(_format().dump_json(result, indent=1) + b"\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def as_record(result: Result) -> Any:
    """Convert a result to JSON types: dicts, lists, texts, numbers."""
    return _format().dump_python(result, mode="json")


def read_result(path: Path) -> Result:
    """Read a result from its JSON file.

    Raises:
        InvalidInput: If the file cannot be read, or is not of this format; names the command that makes it again.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"no result can be read from {str(path)!r}: {error}; `cit bench` makes results") from error
    try:
        return _format().validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise InvalidInput(
            f"{path} holds no result of this format ({where}: {first['msg']}); make it again with `{_command(content)}`"
        ) from error


def _command(content: bytes) -> str:
    """Return the command in a file that may be of another format, or none at all."""
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    match found:
        case {"facts": {"command": str(command)}} | {"command": str(command)}:
            return command
    return "cit bench"


def read_results(folder: Path) -> list[Result]:
    """Read all results of a folder in their order: those in `ORDER` first, then the others by name.

    Raises:
        InvalidInput: If there is none, or one cannot be read.
    """
    results = [read_result(path) for path in folder.glob("*.json")]
    if not results:
        raise InvalidInput(f"no result in {str(folder)!r}; `cit bench` makes them")
    place = {experiment: number for number, experiment in enumerate(ORDER)}
    return sorted(results, key=lambda result: (place.get(result.experiment, len(ORDER)), result.experiment))
