"""Answers to MMLU-Pro: letters become right or wrong, items are named as everywhere else, and zips are not trusted."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from outcome_tables import SHARED, needs_shared_data

from cit_core.aptitude.importers import Limits
from cit_core.aptitude.importers.mmlu_pro import import_mmlu_pro
from cit_core.errors import InvalidInput
from cit_core.records import Item
from cit_core.store import CapabilityStore

NAME = "model_outputs_Org-7B_Instruct_5shots"


def record(number: int, pred: str | None, **others: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "question": f"Question {number}?",
        "options": ["red", "green", "blue", "N/A"],
        "answer": "B",
        "answer_index": 1,
        "cot_content": "",
        "category": "health",
        "src": "ori_mmlu-anatomy",
        "pred": pred,
        "model_outputs": "The answer is ...",
        **others,
    }


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def listed(*records: Any) -> bytes:
    return json.dumps(records).encode()


@pytest.mark.parametrize("end", ["json", "zip"])
def test_answers_become_outcomes(store: CapabilityStore, tmp_path: Path, end: str) -> None:
    path, content = (
        tmp_path / f"{NAME}.{end}",
        listed(*(record(n, pred) for n, pred in enumerate(["B", "C", None, ""]))),
    )
    if end == "json":
        path.write_bytes(content)
    else:
        zipped(
            path, **{f"{NAME}.json": content, f"__MACOSX/._{NAME}.json": b"\0", "a/._x.json": b"\0", "notes.txt": b"hi"}
        )
    assert import_mmlu_pro([path], store).new == 4
    (result,) = store.capability("Org-7B_Instruct").results
    assert (result.task.id, result.accuracy, result.count) == ("ori_mmlu-anatomy", 0.25, 4)
    assert store.measured("Org-7B_Instruct", f"mmlu-pro:{path.name}") == {f"mmlu-pro/{n}" for n in range(4)}
    assert store.items(["mmlu-pro/0"]) == (
        Item(
            id="mmlu-pro/0",
            task="ori_mmlu-anatomy",
            instruction="Question 0?\n(A) red\n(B) green\n(C) blue",
            options=("red", "green", "blue"),
            answer="B",
        ),
    )


@needs_shared_data
def test_the_items_are_those_of_the_shared_data(tmp_path: Path, sqlite_url: str) -> None:
    """Same id, task and text, so that what is measured here and there comes together."""
    arrow = pytest.importorskip("pyarrow.parquet", reason="pip install 'cit-router[data]'")
    rows = arrow.read_table(SHARED / "items-mmlu-pro.parquet").slice(0, 2000).to_pylist()
    records = [{**row, "question_id": row["item_id"].split("/")[1], "src": row["task"], "pred": "A"} for row in rows]
    (path := tmp_path / f"{NAME}.json").write_bytes(listed(*records))
    with CapabilityStore(sqlite_url) as store:
        assert import_mmlu_pro([path], store).new == 2000
        items = [(item.id, item.task, item.instruction, list(item.options), item.answer) for item in store.items()]
    names = ("item_id", "task", "instruction", "options", "answer")
    assert sorted(items) == sorted(tuple(row[name] for name in names) for row in rows)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("model_outputs_Meta-Llama-3_1-8B_5shots", "Meta-Llama-3_1-8B"),
        ("model_outputs_gpt-4o_0shot", "gpt-4o"),
        ("model_outputs_claude", "claude"),
    ],
)
def test_the_file_says_who_answered(store: CapabilityStore, tmp_path: Path, name: str, model: str) -> None:
    path = zipped(tmp_path / f"{name}.zip", **{"x.json": listed(record(1, "B"))})
    import_mmlu_pro([path], store)
    import_mmlu_pro([path], store, model="mine")
    assert [candidate.id for candidate in store.candidates()] == [model, "mine"]


def test_a_file_that_does_not_say_it(store: CapabilityStore, tmp_path: Path) -> None:
    (path := tmp_path / "history_result.json").write_bytes(listed(record(1, "B")))
    with pytest.raises(InvalidInput, match=r"does not name its model .*--model, or model= in Python"):
        import_mmlu_pro([path], store)
    assert import_mmlu_pro([path], store, model="deepseek").new == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({key: value for key, value in record(2, "B").items() if key != "pred"}, "has no pred; it must be the letter"),
        ({**record(2, "B"), "pred": 3}, "has no pred; it must be the letter"),
        (record(2, "B", options="red"), "options is 'red'; it must be a list of texts"),
        (record(2, "B", options=["red", 1]), "it must be a list of texts"),
        (record(2, "B", options=["x"] * 27), "27 options; a question may have 26"),
        (record(2, "B", question=""), "has no question"),
        (record(2, "B", answer=None), "has no answer"),
        (record(1.5, "B"), "question_id is 1.5; it must be a text or a whole number"),
        (["a", "list"], "is list in JSON; it must be an object"),
        (record(1, "B", question="Another?"), "item 'mmlu-pro/1' has another instruction here"),
        (record(1, "B", answer="C"), "item 'mmlu-pro/1' has another answer here ('C') than before"),
        (record(1, "A"), "correct=0, but an earlier row says 1"),
    ],
)
def test_bad_records(store: CapabilityStore, tmp_path: Path, bad: Any, says: str) -> None:
    path = zipped(tmp_path / f"{NAME}.zip", **{"a.json": listed(record(1, "B"), bad)})
    with pytest.raises(InvalidInput) as caught:
        import_mmlu_pro([path], store)
    assert str(caught.value).startswith(f"{path}/a.json:2: ")
    assert says in str(caught.value)
    assert store.version == 0
    assert import_mmlu_pro([path], store, skip_bad=True).new == 1


def encrypted() -> bytes:
    """A zip whose member says that it is encrypted."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.json", listed(record(1, "B")))
    content = bytearray(stream.getvalue())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def packed(name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


GOOD = packed("a.json", listed(record(1, "B")))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a readable zip"),
        (b"PK\x03\x04 and nothing more", "is not a readable zip"),
        (GOOD.replace(b"a.json", b"b.json", 1), "is not a readable zip"),
        (GOOD[:40] + b"\xff\xff" + GOOD[42:], "is not a readable zip"),
        (packed("a.txt", b"[]"), "holds no .json file"),
        (packed("a.json", b"[{"), "a.json is not JSON"),
        (packed("a.json", b"[1, tru" + b"\xff"), "a.json is not JSON"),
        (packed("a.json", b"[" * 100_000), "a.json is not JSON"),
        (packed("a.json", b'{"total": {"acc": 1}}'), "a.json holds an object in JSON; it must be a list"),
        (packed("a.json", b"[" + b" " * 2000 + b"]"), "a.json unpacks to 2,002 bytes; the limit expansion"),
        (packed("a.json", b"[]", zipfile.ZIP_LZMA), "a.json is packed in a way that is not read here"),
        (encrypted(), "a.json is encrypted; unpack it and import the .json file"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_zip_that_cannot_be_read(sqlite_url: str, tmp_path: Path, content: bytes, says: str, skip_bad: bool) -> None:
    limits = Limits(unpacked_bytes=1000) if "bytes" in says else Limits()
    (path := tmp_path / f"{NAME}.zip").write_bytes(content)
    with CapabilityStore(sqlite_url) as store:
        with pytest.raises(InvalidInput, match=says):
            import_mmlu_pro([path], store, skip_bad=skip_bad, limits=limits)
        assert store.version == 0
    assert sorted(file.name for file in tmp_path.iterdir() if "store" not in file.name) == [path.name], (
        "nothing unpacked"
    )


def test_a_member_gives_no_more_than_the_size_it_states(tmp_path: Path, sqlite_url: str) -> None:
    """A zip bomb that lies about its size is cut off, and its checksum is then wrong."""
    content = bytearray(packed("a.json", b"[" + b" " * 1_000_000 + b"]"))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(mark) + place
        content[start : start + 4] = (2).to_bytes(4, "little")
    (path := tmp_path / f"{NAME}.zip").write_bytes(content)
    with (
        CapabilityStore(sqlite_url) as store,
        pytest.raises(InvalidInput, match="is not a readable zip: Bad CRC"),
    ):
        import_mmlu_pro([path], store)
