"""Small files that fill memory or time if they are read without limits; run as a program, it imports each.

python bombs.py FOLDER      one line of JSON for each: name, error or null, peak memory [MB]
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import resource
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["BOMBS", "MEMORY_MB", "TIME_S"]

MEMORY_MB = 300
TIME_S = 60
HEADER = "item_id,model,correct,instruction\n"


def _table(folder: Path, name: str, content: bytes) -> tuple[str, Path]:
    (path := folder / name).write_bytes(content)
    return "table", path


def wide_csv(folder: Path, columns: int) -> tuple[str, Path]:
    names = ",".join(f"column{place}" for place in range(columns))
    return _table(folder, "wide.csv", f"item_id,model,correct,{names}\nq,m,1{',x' * columns}\n".encode())


def open_quote(folder: Path) -> tuple[str, Path]:
    return _table(folder, "quote.csv", HEADER.encode() + b'q,m,1,"' + b"many words, and no end\n" * 1_000_000)


def long_line(folder: Path) -> tuple[str, Path]:
    return _table(folder, "line.csv", HEADER.encode() + b"q,m,1," + b"x" * 20_000_000)


def many_models(folder: Path) -> tuple[str, Path]:
    rows = "".join(f"q,{'model' * 100}{n},1,x\n" for n in range(31_000))
    return _table(folder, "models.csv", (HEADER + rows).encode())


def json_values(folder: Path, value: bytes, size: int = 6_000_000) -> tuple[str, Path]:
    inner = value * (size // len(value)) + value.rstrip(b",")
    return _table(folder, "values.jsonl", b'{"item_id": "q", "model": "m", "correct": 1, "x": [' + inner + b"]}\n")


def json_levels(folder: Path) -> tuple[str, Path]:
    row = b'{"item_id": "q", "model": "m", "correct": 1, "x": ' + b"[" * 900 + b"]" * 900 + b"}\n"
    return _table(folder, "levels.jsonl", row)


def json_digits(folder: Path) -> tuple[str, Path]:
    return _table(folder, "digits.jsonl", b'{"item_id": "q", "model": "m", "correct": ' + b"9" * 5_000_000 + b"}\n")


def gz(folder: Path) -> tuple[str, Path]:
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = packed.compress(HEADER.encode())
    for _ in range(200):
        content += packed.compress(b" " * 2**20)
    return _table(folder, "bomb.csv.gz", content + packed.flush())


def options_text(folder: Path) -> tuple[str, Path]:
    """A list that is spelt in a text, as lm-evaluation-harness has them."""
    return lm_eval(folder, {"question": "q?", "choices": "[" + "0," * 3_000_000 + "0]"})


def lm_eval(folder: Path, document: Any) -> tuple[str, Path]:
    (inner := folder / "org__model").mkdir(exist_ok=True)
    line = {"doc_id": 1, "doc_hash": "h", "doc": document, "metrics": ["acc"], "acc": 1.0}
    (path := inner / "samples_t_2024-01-01T00-00-00.jsonl").write_text(json.dumps(line) + "\n")
    return "lm_eval", path


def zipped(folder: Path, name: str, members: dict[str, tuple[bytes, int]]) -> Path:
    """Members of a text that is repeated."""
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for member, (text, times) in members.items():
            with archive.open(member, "w", force_zip64=True) as file:
                for _ in range(times):
                    file.write(text)
    return folder / name


def zip_of_spaces(folder: Path) -> tuple[str, Path]:
    return "mmlu_pro", zipped(folder, "model_outputs_m.zip", {"a.json": (b" " * 2**20, 200)})


def lying_zip(folder: Path) -> tuple[str, Path]:
    path = zipped(folder, "model_outputs_m.zip", {"a.json": (b"[" * 2**20, 200)})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    return "mmlu_pro", path


def zip_of_many(folder: Path) -> tuple[str, Path]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(60_000):
            archive.writestr(zipfile.ZipInfo(f"{number}.json"), b"")
    (path := folder / "model_outputs_m.zip").write_bytes(buffer.getvalue())
    return "mmlu_pro", path


def eval_log(folder: Path, sample: bytes, times: int) -> tuple[str, Path]:
    header = json.dumps({"eval": {"task": "t", "model": "m"}}).encode()
    members = {"header.json": (header, 1), "samples/1_epoch_1.json": (sample, times)}
    return "inspect", zipped(folder, "log.eval", members)


def long_json_log(folder: Path) -> tuple[str, Path]:
    """A log whose samples have long events, of which nothing is needed: it is imported."""
    with (path := folder / "log.json").open("w") as file:
        file.write('{"eval": {"task": "t", "model": "m"}, "samples": [')
        events = json.dumps([{"event": "x" * 1_000, "n": [1, 2, {"a": '"]}\\'}]}] * 4_000)
        for number in range(4):
            scores = json.dumps({"match": {"value": "C"}})
            file.write(f'{"," * bool(number)}{{"id": {number}, "input": "q?", "scores": {scores}, "events": {events}}}')
        file.write("]}")
    return "inspect", path


def framed(folder: Path, content: bytes) -> tuple[str, Path]:
    (path := folder / "frame.pkl").write_bytes(content)
    return "routerbench", path


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def name(module: str, last: str) -> bytes:
    return text(module) + text(last) + b"\x93"


COLUMNS = ("sample_id", "prompt", "eval_name", "m", "m|total_cost")


def object_array(values: bytes, *shape: int) -> bytes:
    axes = b"(" + b"".join(b"\x8a\x06" + axis.to_bytes(6, "little") for axis in shape) + b"t"
    made = name("numpy._core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    dtype = name("numpy", "dtype") + text("O8") + b"\x89\x88\x87R"
    return made + b"(K\x01" + axes + dtype + b"\x89" + values + b"tb"


def pickled(cells: bytes, columns: int = 5, length: int = 1) -> bytes:
    """A frame of these cells."""
    names = [text(column) for column in COLUMNS[:columns]]
    labels = object_array(b"](" + b"".join(names) + b"e", columns)
    index = name("pandas.core.indexes.base", "_new_Index") + name("pandas", "Index")
    index += b"}" + text("data") + labels + b"s\x86R"
    whole = name("builtins", "slice") + b"K\x00M" + struct.pack("<H", columns) + b"K\x01\x87R"
    block = (
        name("pandas._libs.internals", "_unpickle_block") + object_array(cells, columns, length) + whole + b"K\x02\x87R"
    )
    manager = name("pandas.core.internals.managers", "BlockManager") + b"(" + block + b"t(" + index + b"t\x86R"
    frame = name("pandas", "DataFrame") + b")\x81}" + text("_mgr") + manager + b"sb."
    return b"\x80\x05" + frame


def nested_list() -> bytes:
    """A list of lists of lists, each twice: 2**40 values if it is spelt out."""
    content = b"]q\x00"
    for level in range(40):
        content += b"0](h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    return content


def nested_tuple() -> bytes:
    content = b")q\x00"
    for level in range(40):
        content += b"0(h" + bytes([level]) + b"h" + bytes([level]) + b"tq" + bytes([level + 1])
    return content


def cells(*values: bytes) -> bytes:
    return b"](" + b"".join(values) + b"e"


def parquet(folder: Path, make: Callable[[Any], Any], **options: Any) -> tuple[str, Path]:
    import pyarrow
    from pyarrow.parquet import write_table

    write_table(make(pyarrow), folder / "t.parquet", **options)
    return "table", folder / "t.parquet"


def equal_rows(arrow: Any, rows: int = 3_000_000) -> Any:
    row = {"item_id": "q", "model": "m", "correct": 1}
    return arrow.table({column: arrow.repeat(value, rows) for column, value in row.items()})


def one_text(arrow: Any) -> Any:
    return arrow.table({"item_id": ["q"], "model": ["m"], "correct": [1], "instruction": ["x" * 200_000_000]})


BOMBS: dict[str, Callable[[Path], tuple[str, Path]]] = {
    "csv: 60,000 columns": lambda folder: wide_csv(folder, 60_000),
    "csv: 1,000,000 columns": lambda folder: wide_csv(folder, 1_000_000),
    "csv: a quote that is not closed": open_quote,
    "csv: a line of 20 MB": long_line,
    "csv: 31,000 models": many_models,
    "csv: packed spaces": gz,
    "json: numbers": lambda folder: json_values(folder, b"0,"),
    "json: lists": lambda folder: json_values(folder, b"[],"),
    "json: objects": lambda folder: json_values(folder, b'{"":0},'),
    "json: texts": lambda folder: json_values(folder, b'"ab",'),
    "json: levels": json_levels,
    "json: digits": json_digits,
    "lm-eval: options spelt as a list": options_text,
    "zip: spaces": zip_of_spaces,
    "zip: lies about its size": lying_zip,
    "zip: many files": zip_of_many,
    "eval: spaces": lambda folder: eval_log(folder, b" " * 2**20, 200),
    "eval: a long list": lambda folder: eval_log(folder, b"[0,0,0,0,", 1_500_000),
    "inspect: long events": long_json_log,
    "pickle: memo index": lambda folder: framed(folder, b"\x80\x04Nr\xff\xff\xff\x7f."),
    "pickle: 2**40 x 0": lambda folder: framed(folder, pickled(cells(b"N"), 5, 2**40)),
    "pickle: nested lists": lambda folder: framed(folder, pickled(cells(nested_list(), *map(text, "pemc")))),
    "pickle: nested tuples": lambda folder: framed(
        folder, pickled(cells(text("i"), nested_tuple(), *map(text, "emc")))
    ),
    "pickle: a score that is a nested list": lambda folder: framed(
        folder, pickled(cells(*map(text, "ipe"), nested_list(), text("c")))
    ),
    "pickle: nested keys": lambda folder: framed(folder, b"\x80\x04}" + nested_tuple() + b"Ns."),
    "pickle: lists without end": lambda folder: framed(folder, b"\x80\x04" + b"]" * 5_000_000 + b"."),
    "pickle: a million frames": lambda folder: framed(folder, pickle.dumps([{} for _ in range(1_100_000)])),
    "parquet: 3,000,000 rows": lambda folder: parquet(folder, equal_rows),
    "parquet: one long text": lambda folder: parquet(folder, one_text, compression="zstd"),
}


def _import(kind: str, path: Path, store: str) -> None:
    from cit_core.aptitude.importers.inspect_logs import import_inspect
    from cit_core.aptitude.importers.lm_eval import import_lm_eval
    from cit_core.aptitude.importers.mmlu_pro import import_mmlu_pro
    from cit_core.aptitude.importers.routerbench import import_routerbench
    from cit_core.aptitude.importers.table import import_table
    from cit_core.store import CapabilityStore

    importers: dict[str, Callable[..., Any]] = {
        "table": import_table, "lm_eval": import_lm_eval, "mmlu_pro": import_mmlu_pro, "inspect": import_inspect,
        "routerbench": import_routerbench,
    }  # fmt: skip
    with CapabilityStore(store) as opened:
        importers[kind]([path], opened)


def main(folder: Path, names: list[str]) -> None:
    for module in ("inspect_logs", "lm_eval", "mmlu_pro", "routerbench", "table"):  # once, not in every child
        importlib.import_module(f"cit_core.aptitude.importers.{module}")
    for number, bomb in enumerate(names or BOMBS):
        (inner := folder / str(number)).mkdir()
        maker = os.fork()
        if not maker:
            kind, path = BOMBS[bomb](inner)
            (inner / "kind").write_text(json.dumps([kind, str(path)]))
            os._exit(0)
        os.waitpid(maker, 0)
        kind, path = json.loads((inner / "kind").read_text())
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (TIME_S, TIME_S))
            error = None
            try:
                _import(kind, Path(path), f"sqlite:///{inner}/store.db")
            except Exception as raised:  # noqa: BLE001  # the test looks at what it is
                error = f"{type(raised).__name__}: {raised}"
            os.write(writer, json.dumps(error).encode()[:4_000])
            os._exit(0)
        os.close(writer)
        _, status, used = os.wait4(child, 0)
        told = os.read(reader, 5_000).decode()
        error = json.loads(told) if told else f"ended by signal {status}"
        Path(path).unlink()
        sys.stdout.write(json.dumps([bomb, error, used.ru_maxrss // 1024, round(used.ru_utime, 1)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
