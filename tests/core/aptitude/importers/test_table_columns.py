"""Parquet by columns: the same store, report or error as row by row, whatever the table holds; and faster."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from cit_core.aptitude.importers import base, table
from cit_core.aptitude.importers.limits import Limits
from cit_core.aptitude.importers.table import import_table
from cit_core.errors import CITError
from cit_core.records import Item
from cit_core.store import CapabilityStore
from cit_core.store.bulk_load import StagingWriter
from cit_core.store.schema import metadata

arrow = pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
parquet = pytest.importorskip("pyarrow.parquet")

TEXT, TEXTS = arrow.string(), [arrow.string(), arrow.large_string(), arrow.dictionary(arrow.int32(), arrow.string())]
NUMBERS = [arrow.float64(), arrow.float32(), arrow.int64(), TEXT]
TYPES: dict[str, list[Any]] = {
    "item_id": [*TEXTS, arrow.int64()],
    "model": TEXTS,
    "correct": [arrow.float64(), arrow.float32(), arrow.bool_(), arrow.int64(), TEXT],
    "task": [*TEXTS, arrow.null()],
    "instruction": TEXTS,
    "cost_usd": NUMBERS,
    "latency_s": [*NUMBERS, arrow.null(), arrow.bool_()],
    "prompt_tokens": [*NUMBERS, arrow.uint64()],
}
ODD: dict[str, list[Any]] = {
    "item_id": [None, "", " ", "x" * 513, "a\0", "nan", "q0", " 0", 0],
    "model": [None, "\t", "m" * 513, "\0", "é", "None", "m0 ", "m0"],
    "correct": [None, float("nan"), 1.5, -0.0, -1, float("inf"), 0, 1],
    "task": [None, "", " NaN", "law", " law", "t" * 513, "\0"],
    "instruction": [None, "", "nan", "NULL", "another", "\0", "long" * 9],
    "cost_usd": [None, float("nan"), -1, float("inf"), 0],
    "latency_s": [None, float("nan"), -1, float("inf")],
    "prompt_tokens": [None, float("nan"), -1, 1.5, 2.0**60, 2**63 - 1, 2**62 + 1, 7],
}


def random_table(random: Random) -> Any:
    """A table with a few odd values and repeated rows, or none, in columns of random types and order."""
    pairs = [(item, model) for item in range(8) for model in range(3)]
    random.shuffle(pairs)
    rows = [_plain_row(item, model, random) for item, model in pairs[: random.randint(0, 24)]]
    for _ in range(random.choice([0, 0, 1, 3]) if rows else 0):
        name = random.choice(list(ODD))
        random.choice(rows)[name] = random.choice(ODD[name])
    for _ in range(random.choice([0, 0, 0, 2]) if rows else 0):
        copied = dict(random.choice(rows))
        rows.insert(random.randint(0, len(rows)), copied | random.choice([{}, {"correct": 0}, {"cost_usd": 3}]))
    names = [name for name in TYPES if name in ("item_id", "model", "correct") or random.random() < 0.6]
    random.shuffle(names)
    return arrow.table({name: _column(name, [row[name] for row in rows], random) for name in names})


def _plain_row(item: int, model: int, random: Random) -> dict[str, Any]:
    return {
        "item_id": item,
        "model": f"m{model}",
        "correct": random.choice([0, 1]),
        "task": ["law", "algebra", None][item % 3],
        "instruction": f"What is {item}?" if item % 4 else None,
        "cost_usd": random.choice([0.25, 1, None]),
        "latency_s": 2,
        "prompt_tokens": random.choice([3, 10**12]),
    }


def _column(name: str, values: list[Any], random: Random) -> Any:
    """The values in a random type of those that can hold them, else as texts."""
    for type_ in random.sample(TYPES[name], len(TYPES[name])):
        is_text = type_ in TEXTS
        try:
            spelt = [str(value) if is_text and value is not None else value for value in values]
            return arrow.array([bool(v) if type_ == arrow.bool_() and v in (0, 1) else v for v in spelt], type_)
        except (arrow.ArrowException, OverflowError, TypeError):
            continue
    return arrow.array([None if value is None else str(value) for value in values], TEXT)


def content(url: str) -> dict[str, list[Any]]:
    """Everything in a store but times."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found: dict[str, Any] = {
            name: connection.execute(
                select(*(c for c in part.c if c.name not in ("when", "touched"))).order_by(*part.primary_key)
            ).all()
            for name, part in metadata.tables.items()
        }
    engine.dispose()
    found["versions"] = [(row.number, sorted(row.what.split(", "))) for row in found["versions"]]
    return found


def imported(store: CapabilityStore, path: Path, **options: Any) -> Any:
    """What an import reports, or the error."""
    try:
        return import_table([path], store, **options)
    except CITError as error:
        return type(error), str(error)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    CapabilityStore(f"sqlite:///{path}").close()
    return path


@given(random=st.randoms(use_true_random=False))
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate],  # to shrink a table takes minutes and tells nothing
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_both_paths_give_the_same(empty: Path, tmp_path: Path, random: Random) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in files:
        parquet.write_table(random_table(random), path, row_group_size=random.choice([3, 100]))
    first, second = (
        {
            "source": random.choice(["same", None]),
            "skip_bad": random.random() < 0.5,
            "replace": random.random() < 0.3,
            "task": random.choice([None, "chemistry"]),
            "limits": Limits(names=random.choice([2, 3, 100])),
        }
        for _ in files
    )
    results = []
    for by_rows in (False, True):
        url = f"sqlite:///{shutil.copy(empty, tmp_path / f'{by_rows}.db')}"
        with pytest.MonkeyPatch.context() as patch, CapabilityStore(url) as store:
            patch.setattr(base, "BATCH", 2)
            if by_rows:
                patch.setattr(table, "is_plain", lambda *_, **__: False)
            said = [imported(store, files[0], **first), imported(store, files[1], **second)]
        results.append((said, content(url)))
    assert results[0] == results[1]


def plain_table(rows: int = 24) -> Any:
    pairs = [(n // 3, n % 3) for n in range(rows)]
    return arrow.table({
        "item_id": [f"q{item}" for item, _ in pairs],
        "model": [f"m{model}" for _, model in pairs],
        "correct": [float((item + model) % 2) for item, model in pairs],
        "cost_usd": [None if model else 0.5 for _, model in pairs],
        "prompt_tokens": [item * 10 for item, _ in pairs],
    })  # fmt: skip


def no_rows(*_: Any) -> None:
    pytest.fail("went row by row")


def test_plain_rows_go_by_columns_on_every_database(
    store: CapabilityStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write between two blocks; what is imported already, or an odd row, costs the short path of its block."""
    monkeypatch.setattr(base, "BATCH", 2)
    parquet.write_table(plain_table(), path := tmp_path / "t.parquet", row_group_size=7)
    read: list[int] = []

    def others(count: int) -> None:
        read.append(count)
        store.hold(f"written after {count}")

    with monkeypatch.context() as patch:
        patch.setattr(base._Import, "write_rows", no_rows)
        assert import_table([path], store, progress=others).new == 24
        assert import_table([path], store, source="other").new == 24
        assert import_table([path], store, replace=True).replaced == 24
    assert read == [10, 20, 24]
    assert (len(store.items()), len(store.candidates()), store.outcome_count()) == (8, 3, 48)
    assert store.capability("m0").usage.cost_usd == 0.5
    report = import_table([path], store)
    assert (report.new, report.known, store.outcome_count()) == (0, 24, 48)


def test_an_item_that_returns_in_each_block_is_read_once(
    store: CapabilityStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that goes model by model, which is how logs of one run after the other come."""
    monkeypatch.setattr(base, "BATCH", 2)
    parquet.write_table(plain_table().sort_by("model"), path := tmp_path / "t.parquet")
    read: list[str] = []
    find = StagingWriter.find_items

    def counted(writer: StagingWriter, ids: Iterable[str]) -> dict[str, Item]:
        read.extend(wanted := list(ids))
        return find(writer, wanted)

    monkeypatch.setattr(StagingWriter, "find_items", counted)
    after: list[int] = []
    assert import_table([path], store, progress=lambda _: after.append(len(read))).new == 24
    assert set(read) == {f"q{n}" for n in range(8)}
    assert after == [after[0]] * 3, "the first block holds all items"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rows: rows[22].update(correct=2.0), r"t\.parquet:23: .*correct"),
        (lambda rows: rows[22].update(item_id=None), r"t\.parquet:23: has no item_id"),
        (lambda rows: rows.append(rows[0] | {"correct": 1.0}), r"t\.parquet:25: .*an earlier row says 0; nothing was"),
    ],
)
def test_an_odd_row_takes_everything_back(
    store: CapabilityStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[list[dict[str, Any]]], None],
    says: str,
) -> None:
    monkeypatch.setattr(base, "BATCH", 2)
    spoil(rows := plain_table().to_pylist())
    parquet.write_table(arrow.Table.from_pylist(rows), path := tmp_path / "t.parquet")
    with pytest.raises(CITError, match=says):
        import_table([path], store)
    assert (store.version, store.items(), store.candidates(), store.sources()) == (0, (), (), ())
    report = import_table([path], store, skip_bad=True)
    assert (report.new, report.refused_count) == (len(rows) - 1, 1)
