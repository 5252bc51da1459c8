"""Tables are routed alike by pandas, Arrow, datasets and Ray; on Ray each block comes out once, whatever is killed."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cit_core import Candidate, FakeScorer, Router
from cit_core.batch import COLUMNS, TableRouter, route_dataset, route_files
from cit_core.errors import InvalidInput

pyarrow = pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
parquet = pytest.importorskip("pyarrow.parquet")
TEXTS = [f"What is {number} times 8?" for number in range(100)]


def fake_router() -> Router:
    return Router(FakeScorer({"a": 0.9, "b": 0.5}), [Candidate(id="a"), Candidate(id="b")])


class Mortal:
    """A router whose process is killed at its third call, once."""

    def __init__(self, mark: Path) -> None:
        self.mark, self.router, self.calls = mark, fake_router(), 0

    def route_many(self, texts: list[str]) -> Any:
        self.calls += 1
        if self.calls == 3 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.router.route_many(texts)


def test_pandas_and_spark() -> None:
    pandas = pytest.importorskip("pandas", reason="uv pip install --group test")
    table = pickle.loads(pickle.dumps(TableRouter(fake_router, column="q")))
    frame = pandas.DataFrame({"q": [*TEXTS[:3], None], "n": range(4)})
    routed = table(frame)
    assert list(routed) == ["q", "n", *COLUMNS]
    assert list(routed["cit_model"]) == ["a"] * 4
    assert json.loads(routed["cit_scores"][0]) == {"a": 0.9, "b": 0.5}
    assert [len(part) for part in table.frames(iter([frame, frame[:2]]))] == [4, 2]


def test_arrow_and_datasets() -> None:
    datasets = pytest.importorskip("datasets", reason="pip install 'cit-router[train]'")
    table = TableRouter(fake_router())
    routed = table(pyarrow.table({"instruction": TEXTS[:3]}))
    assert routed.schema.names == ["instruction", *COLUMNS]
    assert routed["cit_expected_cost_usd"].to_pylist() == [None] * 3
    mapped = datasets.Dataset.from_dict({"instruction": TEXTS[:3]}).map(table, batched=True)
    assert mapped["cit_model"][:] == ["a"] * 3
    assert mapped["instruction"][:] == TEXTS[:3]


@pytest.mark.parametrize(("batch", "said"), [({"text": ["x"]}, "no column"), ({"instruction": [3]}, "must be a text")])
def test_what_is_no_query(batch: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        TableRouter(fake_router)(batch)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A local cluster of two nodes."""
    ray = pytest.importorskip("ray", reason="pip install 'cit-router[ray]'")
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield ray
    ray.shutdown()
    cluster.shutdown()


def written(folder: Path) -> list[str]:
    return sorted(
        text for path in folder.glob("*.parquet") for text in parquet.read_table(path)["instruction"].to_pylist()
    )


def test_a_ray_dataset(ray: Any) -> None:
    rows = route_dataset(ray.data.from_items([{"instruction": text} for text in TEXTS]), fake_router, workers=2)
    assert sorted(row["instruction"] for row in rows.take_all()) == sorted(TEXTS)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_files_come_out_once_though_a_worker_is_killed(ray: Any, tmp_path: Path, kind: str) -> None:
    source, target, mark = tmp_path / f"queries.{kind}", tmp_path / "out", tmp_path / "killed"
    if kind == "jsonl":
        source.write_text("".join(json.dumps({"instruction": text}) + "\n" for text in TEXTS))
    else:
        parquet.write_table(pyarrow.table({"instruction": TEXTS}), source, row_group_size=10)
    tally = route_files(source, target, lambda: Mortal(mark), workers=2, rows=10)  # type: ignore[arg-type, return-value]
    assert mark.exists()
    assert tally == (10, 0)
    assert written(target) == sorted(TEXTS)
    (target / "part-000004.parquet").unlink()
    assert route_files(source, target, fake_router, rows=10) == (1, 9)
    assert written(target) == sorted(TEXTS)
    with pytest.raises(InvalidInput, match="new folder"):
        route_files(source, target, fake_router, column="other", rows=10)
