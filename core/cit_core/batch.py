"""Route tables: a function of batches for pandas, Spark, datasets and Ray Data, and files on a Ray cluster.

Ray is the extra `ray`. Files are routed block by block, each block into a file of its own that appears whole or not at
all: a run that was stopped goes on where it was, and a worker that is killed leaves nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cit_core.errors import InvalidInput, MissingExtra
from cit_core.messages import shown
from cit_core.router import Router

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["COLUMNS", "FileTally", "TableRouter", "route_dataset", "route_files"]

COLUMNS = ("cit_model", "cit_probability", "cit_expected_cost_usd", "cit_scores")
"""Columns that are added: candidate, P(correct), USD, and P(correct) of every candidate as JSON."""
TEXTS = ("cit_model", "cit_scores")
ROWS = 10_000
"""Lines of a JSON-lines file in a block; of a Parquet file it is a row group."""
PLAN = "_plan.json"


class TableRouter:
    """Add the decisions to batches of a table: a pandas frame, an Arrow table, or a mapping of columns.

    Args:
        router: Decides, or a function that makes the router in the process that decides; the default one if not given.
        column: Name of the column with the queries.
    """

    def __init__(self, router: Router | Callable[[], Router] | None = None, *, column: str = "instruction") -> None:
        self.column = column
        self._given = router
        self._router: Any = None

    def __call__(self, batch: Any) -> Any:
        """Return the batch with the columns of `COLUMNS`; a mapping's is these alone, as `datasets` adds them.

        Raises:
            InvalidInput: If there is no such column, or it holds no texts.
        """
        decided = self._decided(batch)
        if hasattr(batch, "assign"):  # pandas
            return batch.assign(**decided)
        if hasattr(batch, "append_column"):  # pyarrow
            import pyarrow

            for name, values in decided.items():
                kind = pyarrow.string() if name in TEXTS else pyarrow.float64()
                batch = batch.append_column(name, pyarrow.array(values, kind))
            return batch
        return decided

    def frames(self, frames: Iterable[Any]) -> Iterator[Any]:
        """Yield each frame with its decisions: the function that Spark's `mapInPandas` takes."""
        return map(self, frames)

    def __reduce__(self) -> tuple[Any, ...]:
        return _table_router, (self._given, self.column)

    def _decided(self, batch: Any) -> dict[str, list[Any]]:
        names = list(getattr(batch, "column_names", batch))
        if self.column not in names:
            raise InvalidInput(
                f"there is no column {shown(self.column)}; the columns are {', '.join(map(shown, names))}"
            )
        column = batch[self.column]
        texts = [_text(value) for value in (column.to_pylist() if hasattr(column, "to_pylist") else column)]
        if self._router is None:
            given = self._given or Router.from_pretrained
            self._router = given if hasattr(given, "route_many") else given()
        decisions = self._router.route_many(texts)
        rows = [(one.model, one.probability, one.expected_cost_usd, json.dumps(one.scores)) for one in decisions]
        return {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}


def route_dataset(
    dataset: Dataset,
    router: Router | Callable[[], Router] | None = None,
    *,
    column: str = "instruction",
    workers: int | None = None,
    batch_size: int = 256,
) -> Dataset:
    """Return a Ray dataset with the decisions, made by actors that each hold the router.

    Args:
        dataset: With a column of queries.
        router: As `TableRouter` takes it.
        column: Name of that column.
        workers: Actors; one for each processor of the cluster if not given.
        batch_size: Rows that are decided at once.

    Raises:
        MissingExtra: If Ray is not installed.
    """
    ray = _ray()
    options = {"router": router, "column": column}
    pool = ray.data.ActorPoolStrategy(size=workers or _processors(ray))
    return dataset.map_batches(
        TableRouter, fn_constructor_kwargs=options, batch_size=batch_size, batch_format="pyarrow", compute=pool
    )


class FileTally(NamedTuple):
    """Blocks that were routed by a run, and before it."""

    done: int
    before: int


class _Block(NamedTuple):
    """Part of a file: a row group of Parquet, or bytes of JSON lines."""

    name: str
    path: str
    start: int
    stop: int


def route_files(
    source: str | Path,
    target: str | Path,
    router: Router | Callable[[], Router] | None = None,
    *,
    column: str = "instruction",
    workers: int | None = None,
    rows: int = ROWS,
) -> FileTally:
    """Route Parquet files or JSON lines on Ray, into a folder of Parquet files; the same call resumes.

    Args:
        source: A file, or a folder of files. Every worker must see it under this path.
        target: A folder, the same.
        router: As `TableRouter` takes it.
        column: Name of the column with the queries.
        workers: Actors; one for each processor of the cluster if not given.
        rows: Lines of a JSON-lines file in a block.

    Raises:
        InvalidInput: If there is nothing to read, or the folder belongs to other files.
        MissingExtra: If Ray is not installed.
    """
    ray, folder = _ray(), Path(target).absolute()
    blocks = [block for path in _files(Path(source).absolute()) for block in _blocks(path, rows)]
    blocks = [block._replace(name=f"part-{place:06}.parquet") for place, block in enumerate(blocks)]
    _keep_plan(folder, blocks, column)
    left = [block for block in blocks if not (folder / block.name).exists()]
    if left:
        pool = ray.data.ActorPoolStrategy(size=min(len(left), workers or _processors(ray)))
        options = {"folder": str(folder), "router": TableRouter(router, column=column)}
        items = ray.data.from_items([block._asdict() for block in left], override_num_blocks=len(left))
        items.map_batches(_BlockWriter, fn_constructor_kwargs=options, batch_size=1, compute=pool).materialize()
    return FileTally(len(left), len(blocks) - len(left))


class _BlockWriter:
    """An actor that routes blocks, each into a file that appears when it is complete."""

    def __init__(self, folder: str, router: TableRouter) -> None:
        self._folder, self._router = Path(folder), router

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
        from pyarrow import parquet

        for name, path, start, stop in zip(*(batch[field] for field in _Block._fields), strict=True):
            table = self._router(_read(Path(str(path)), int(start), int(stop)))
            partial = self._folder / f".{uuid.uuid4().hex}"
            parquet.write_table(table, partial)
            partial.replace(self._folder / str(name))
        return {"name": [str(name) for name in batch["name"]]}


def _files(source: Path) -> list[Path]:
    found = (
        sorted(one for one in source.iterdir() if one.suffix in (".parquet", ".jsonl")) if source.is_dir() else [source]
    )
    if not found or not all(one.is_file() for one in found):
        raise InvalidInput(f"{source} holds no .parquet or .jsonl file")
    return found


def _blocks(path: Path, rows: int) -> Iterator[_Block]:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        groups = parquet.ParquetFile(path).num_row_groups
        yield from (_Block("", str(path), group, group + 1) for group in range(groups))
        return
    with path.open("rb") as lines:
        start = place = count = 0
        for line in lines:
            place, count = place + len(line), count + 1
            if count == rows:
                yield _Block("", str(path), start, place)
                start, count = place, 0
        if count:
            yield _Block("", str(path), start, place)


def _read(path: Path, start: int, stop: int) -> Any:
    import pyarrow
    from pyarrow import parquet

    if path.suffix == ".parquet":
        return parquet.ParquetFile(path).read_row_group(start)
    with path.open("rb") as file:
        file.seek(start)
        lines = file.read(stop - start).splitlines()
    try:
        return pyarrow.Table.from_pylist([json.loads(line) for line in lines if line.strip()])
    except ValueError:
        raise InvalidInput(f"{path} has a line that is no JSON, after byte {start:,}") from None


def _keep_plan(folder: Path, blocks: Sequence[_Block], column: str) -> None:
    """Write down which blocks the folder holds; refuse one that holds others."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {block.path: Path(block.path).stat().st_size for block in blocks}
    content = json.dumps([column, sizes, [block[1:] for block in blocks]])
    digest, plan = hashlib.sha256(content.encode()).hexdigest(), folder / PLAN
    if not plan.exists():
        if any(folder.glob("*.parquet")):
            raise InvalidInput(f"{folder} holds other files; give a new folder")
        plan.write_text(json.dumps({"plan": digest, "blocks": len(blocks)}))
    elif json.loads(plan.read_text())["plan"] != digest:
        raise InvalidInput(f"{folder} was made from other files or another column; give a new folder")


def _text(value: object) -> str:
    if isinstance(value, str) or value is None or value != value:  # NaN is pandas' None
        return value if isinstance(value, str) else ""
    raise InvalidInput(f"a query is {shown(value)}; it must be a text")


def _processors(ray: Any) -> int:
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("routing on a cluster", "ray") from error
    return ray


def _table_router(router: Any, column: str) -> TableRouter:
    return TableRouter(router, column=column)
