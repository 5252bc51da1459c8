"""Small files that unpack to gigabytes are refused in less than 300 MB; and every limit can be raised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bombs
import pytest

from cit_core.aptitude.importers import Limits
from cit_core.aptitude.importers.table import import_table
from cit_core.errors import InvalidInput
from cit_core.store import CapabilityStore

TAKEN = {"inspect: long events", "lm-eval: options spelt as a list"}
"""Long, but of nothing that is needed."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak memory of a child is read as on Linux")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", sorted({name.partition(":")[0] for name in bombs.BOMBS} - {"parquet"}))
def test_bombs_are_refused_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    names = [name for name in bombs.BOMBS if name.startswith(f"{kind}:")]
    ended = subprocess.run(
        [sys.executable, bombs.__file__, tmp_path, *names], check=True, capture_output=True, text=True, timeout=1500
    )
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [name for name, *_ in results] == names
    for name, error, megabytes, _ in results:
        if name not in TAKEN:
            assert error is not None, name
            assert error.startswith("InvalidInput: "), (name, error)
        assert megabytes < bombs.MEMORY_MB, (name, megabytes)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak memory of a child is read as on Linux")
@pytest.mark.timeout(1800)
def test_bombs_in_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pip install 'cit-router[data]'")
    names = [name for name in bombs.BOMBS if "parquet" in name]
    ended = subprocess.run(
        [sys.executable, bombs.__file__, tmp_path, *names], check=True, capture_output=True, text=True, timeout=1500
    )
    for name, error, megabytes, _ in map(json.loads, ended.stdout.splitlines()):
        assert (error or "").startswith("InvalidInput: "), (name, error)
        assert "the limit expansion" in error, name
        assert megabytes < bombs.MEMORY_MB, (name, megabytes)


@pytest.mark.parametrize(
    ("limit", "content"),
    [
        ("columns", "item_id,model,correct,a,b,c\nq,m,1,,,\n"),
        ("rows", "item_id,model,correct\n" + "".join(f"q{n},m,1\n" for n in range(6))),
        ("record_bytes", f"item_id,model,correct,instruction\nq,m,1,{'x' * 60}\n"),
        ("names", "item_id,model,correct\n" + "".join(f"q,m{n},1\n" for n in range(6))),
        ("unpacked_bytes", "item_id,model,correct\n" + "q,m,1\n" * 6),
    ],
)
def test_a_limit_names_itself_and_can_be_raised(sqlite_url: str, tmp_path: Path, limit: str, content: str) -> None:
    (path := tmp_path / "t.csv").write_text(content)
    low = {"columns": 5, "rows": 5, "record_bytes": 50, "names": 5, "unpacked_bytes": 50}[limit]
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(InvalidInput, match=rf"the limit {limit} is {low} \(limits=Limits\({limit}="):
            import_table([path], store, limits=Limits(**{limit: low}))
        assert store.outcome_count() == 0
        assert import_table([path], store, limits=Limits(**{limit: 1000})).new > 0


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many"])
def test_a_limit_that_is_none(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"limit rows is .*; it must be a whole number, 1 or more"):
        Limits(rows=value)  # type: ignore[arg-type]
