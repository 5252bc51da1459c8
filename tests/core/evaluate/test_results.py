"""Results come back from their files as they were, and say how to get them again where they cannot be read."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_results import FACTS, NEW_MODELS, RESULTS
from hypothesis import given, settings
from hypothesis import strategies as st

import cit_core
from cit_core.errors import InvalidInput
from cit_core.evaluate.metrics import Interval
from cit_core.evaluate.results import (
    ORDER,
    Column,
    Facts,
    Figure,
    Result,
    Series,
    Table,
    facts,
    read_result,
    read_results,
    write_result,
)

# ---- files

numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,2}", fullmatch=True)
texts = st.text(max_size=12)
dictionaries = st.dictionaries(texts, texts, max_size=3)
cells = st.one_of(
    texts,
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.builds(Interval, st.floats(), st.floats(), st.floats()),
    st.none(),
)


@st.composite
def all_tables(draw: st.DrawFn) -> Table:
    kinds = st.sampled_from(["text", "percent", "points", "signed", "precise", "count", "ms", "ratio", "usd"])
    columns = draw(st.lists(st.builds(Column, texts, kinds), max_size=3))
    rows = draw(st.lists(st.tuples(*(cells for _ in columns)), max_size=3))
    emphasis = draw(st.lists(st.integers(0, len(rows) - 1), max_size=2)) if rows else []
    return Table(draw(texts), tuple(columns), tuple(rows), draw(texts), tuple(emphasis))


@st.composite
def all_series(draw: st.DrawFn) -> Series:
    size = draw(st.integers(1, 3))

    def column(each: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return tuple(draw(st.lists(each, min_size=size, max_size=size)))

    known = st.one_of(st.floats(), st.none())
    ends = (column(known), column(known)) if draw(st.booleans()) else (None, None)
    labels = column(texts) if draw(st.booleans()) else None
    return Series(draw(texts), column(numbers), column(known), *ends, draw(st.booleans()), labels)


all_figures = st.builds(
    Figure,
    name=names,
    title=texts,
    x_label=texts,
    y_label=texts,
    series=st.lists(all_series(), min_size=1, max_size=2).map(tuple),
    kind=st.sampled_from(["line", "step", "points", "diagonal"]),
    note=texts,
)
all_results = st.builds(
    Result,
    experiment=names,
    title=texts,
    question=texts,
    held_out=texts,
    tables=st.lists(all_tables(), max_size=2).map(tuple),
    figures=st.lists(all_figures, max_size=2, unique_by=lambda figure: figure.name).map(tuple),
    facts=st.builds(
        Facts,
        command=texts,
        commit=st.one_of(texts, st.none()),
        data=dictionaries,
        checkpoint=st.one_of(texts, st.none()),
        seed=st.one_of(texts, st.integers(-9, 9), st.none()),
        versions=dictionaries,
        machine=texts,
        seconds=numbers,
        when=st.dates(),
    ),
)


@settings(max_examples=150, deadline=None)
@given(result=all_results)
def test_a_result_comes_back_as_it_was(result: Result) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_result(result, Path(folder))
        content = path.read_bytes()
        read = read_result(path)
        assert read == result
        assert repr(read) == repr(result), "5 is not 5.0, and an interval is no tuple"
        assert write_result(read, Path(folder)).read_bytes() == content
    json.loads(content, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_file_is_named_after_its_experiment_and_can_be_compared_line_by_line(tmp_path: Path) -> None:
    path = write_result(NEW_MODELS, tmp_path / "made" / "on the way")
    assert path == tmp_path / "made" / "on the way" / "new-models.json"
    lines = path.read_text("utf-8").splitlines()
    assert ' "title": "Models that were in no training run",' in lines
    changed = replace(NEW_MODELS, facts=replace(FACTS, seconds=1.5))
    others = write_result(changed, tmp_path).read_text("utf-8").splitlines()
    assert [(a, b) for a, b in zip(lines, others, strict=True) if a != b] == [
        ('  "seconds": 1312.4,', '  "seconds": 1.5,')
    ]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = write_result(NEW_MODELS, tmp_path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="surrogates not allowed"):
        write_result(replace(NEW_MODELS, title="\ud800"), tmp_path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_of_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    path = write_result(NEW_MODELS, tmp_path)
    with path.open("rb") as reader:
        write_result(replace(NEW_MODELS, title="another"), tmp_path)
        assert json.loads(reader.read())["title"] == NEW_MODELS.title
    assert read_result(path).title == "another"


OLD = '{"versions": {}, "command": "cit bench --data d", "comparisons": []}'
NEWER = json.dumps({"format": 2, "facts": {"command": "cit bench --new"}})


@pytest.mark.parametrize(
    ("content", "problem", "command"),
    [
        (OLD, "experiment: Field required", "`cit bench --data d`"),
        (NEWER, "experiment: Field required", "`cit bench --new`"),
        ("{", "file: Invalid JSON", "`cit bench`"),
        ("[1]", "file: Input should be an object", "`cit bench`"),
        ('{"command": 3}', "experiment: Field required", "`cit bench`"),
    ],
)
def test_another_format_is_refused_with_the_command_that_makes_it_again(
    tmp_path: Path, content: str, problem: str, command: str
) -> None:
    path = tmp_path / "held-out.json"
    path.write_text(content)
    with pytest.raises(InvalidInput) as raised:
        read_result(path)
    assert str(raised.value).startswith(f"{path} holds no result of this format ({problem}")
    assert str(raised.value).endswith(f"make it again with {command}")


def edited(folder: Path, *keys: str | int, value: object) -> Path:
    """A whole file of today with one value that is something else."""
    path = write_result(NEW_MODELS, folder)
    record = json.loads(path.read_bytes())
    where = record
    for key in keys[:-1]:
        where = where[key]
    where[keys[-1]] = value
    path.write_text(json.dumps(record))
    return path


def test_a_format_of_tomorrow_is_refused_even_if_it_looks_like_ours(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\(format: Input should be 1\); make it again with `cit bench --data"):
        read_result(edited(tmp_path, "format", value=2))


def test_a_file_is_held_to_what_the_records_are_held_to(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"tables\.0: .*9 columns and a row of 1 cells"):
        read_result(edited(tmp_path, "tables", 0, "rows", 0, value=["random"]))
    with pytest.raises(InvalidInput, match=r"figures\.0\.kind: Input should be 'line'"):
        read_result(edited(tmp_path, "figures", 0, "kind", value="pie"))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no result can be read from '.*none\.json'"):
        read_result(tmp_path / "none.json")


def test_results_of_a_folder_come_in_their_order(tmp_path: Path) -> None:
    known = [experiment for experiment in ORDER if experiment in {"zoos", "cost", "onboarding"}]
    for experiment in ["zebra", *reversed(known), "aardvark"]:
        write_result(replace(NEW_MODELS, experiment=experiment), tmp_path)
    (tmp_path / "notes.txt").write_text("no result")
    assert [result.experiment for result in read_results(tmp_path)] == [*known, "aardvark", "zebra"]
    assert len(known) == 3
    assert known != sorted(known), "or the test would not tell the order from that of names"


def test_one_bad_file_is_not_left_out_in_silence(tmp_path: Path) -> None:
    write_result(NEW_MODELS, tmp_path)
    (tmp_path / "old.json").write_text(OLD)
    with pytest.raises(InvalidInput, match=r"old\.json holds no result"):
        read_results(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInput, match="`cit bench` makes them"):
            read_results(folder)


# ---- records


def test_numbers_that_are_not_known_are_none() -> None:
    unknown, half = Interval(math.nan, math.nan, math.nan), Interval(0.7, math.nan, math.nan)
    table = Table("t", (Column("a"),), ((math.nan,), (math.inf,), (unknown,), (half,), (1,), ("nan",)))
    assert [row[0] for row in table.rows] == [None, None, None, 0.7, 1, "nan"]
    series = Series("s", (1, 2, 3), (math.nan, 5, -math.inf), (1, math.nan, 2), (3, None, 4))
    assert (series.y, series.low, series.high) == ((None, 5, None), (1, None, 2), (3, None, 4))


def test_a_series_can_be_made_of_what_numpy_computes() -> None:
    series = Series("s", tuple(np.arange(2)), tuple(np.array([0.5, np.nan], np.float32)))
    assert series == Series("s", (0.0, 1.0), (0.5, None))
    assert {type(value) for value in (*series.x, series.y[0])} == {float}


SERIES = Series("s", (1.0,), (1.0,))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Table("t", (Column("a"),), ((1, 2),)), "1 columns and a row of 2 cells"),
        (lambda: Table("t", (Column("a"),), ((1,),), emphasis=(1,)), r"1 rows and is to emphasise \(1,\)"),
        (lambda: Series("s", (), ()), "no points"),
        (lambda: Series("s", (1, 2), (1,)), "2 values of x and 1 of y"),
        (lambda: Series("s", (1,), (1,), low=(1,)), "both ends"),
        (lambda: Series("s", (1,), (1,), (1,), (1, 2)), "1 values of x and 2 of high"),
        (lambda: Series("s", (1,), (1,), labels=()), "1 values of x and 0 of labels"),
        (lambda: Series("s", (math.nan,), (1,)), "not a finite number"),
        (lambda: Figure("no spaces", "t", "x", "y", (SERIES,)), "cannot name a file"),
        (lambda: Figure("../up", "t", "x", "y", (SERIES,)), "cannot name a file"),
        (lambda: Figure("f", "t", "x", "y", ()), "no series"),
        (lambda: Figure("f", "t", "x", "y", (Series("s", (0,), (1,)),), x_log=True), "not above 0"),
        (lambda: replace(NEW_MODELS, experiment="New Models"), "cannot name a file"),
        (lambda: replace(NEW_MODELS, figures=NEW_MODELS.figures * 2), "duplicate figures of 'new-models'"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_made(make: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        make()


def test_a_figure_describes_itself_for_those_who_cannot_see_it() -> None:
    described = RESULTS[1].figures[0].description
    assert described == (
        "Reliability of the probabilities: share that was right by mean probability in the bin, "
        "for mini, kNN on trunk vectors"
    )


# ---- facts


def test_facts_say_what_it_takes_to_get_a_result_again() -> None:
    found = facts("cit bench", data={"mmlu-pro": "abc"}, seconds=12.345, checkpoint="mini@7", seed="cit-2502")
    assert (found.command, found.data, found.checkpoint) == ("cit bench", {"mmlu-pro": "abc"}, "mini@7")
    assert (found.seed, found.seconds) == ("cit-2502", 12.3)
    assert found.versions["cit-router"] == version("cit-router")
    assert found.versions["numpy"] == np.__version__
    assert "cores" in found.machine
    assert abs((found.when - date.today()).days) <= 1


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, elsewhere = tmp_path / "core" / "package", tmp_path / "results.json"
    package.mkdir(parents=True)
    code = package / "__init__.py"
    code.write_text("")
    monkeypatch.setattr(cit_core, "__file__", str(code))

    def git(*arguments: str) -> str:
        author = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit() -> str | None:
        return facts("c", data={}, seconds=0.0).commit

    assert commit() is None, "no repository"
    git("init")
    git("commit", "--allow-empty", "-m", "somebody's own")
    assert commit() is None, "a repository that does not hold the code"
    git("add", ".")
    git("commit", "-m", "code")
    assert commit() == git("rev-parse", "--short", "HEAD")
    elsewhere.write_text("{}")
    assert commit() == git("rev-parse", "--short", "HEAD"), "results are no code"
    code.write_text("changed = True")
    assert commit() == git("rev-parse", "--short", "HEAD") + "+changes"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None, "no git"
