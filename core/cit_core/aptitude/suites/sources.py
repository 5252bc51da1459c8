"""The texts of a suite's items, which are not ours to ship: from a local table, or from Hugging Face `datasets`.

What a row is, its columns say:

- `item_id`, with what `read_items` takes                  a table of your own
- `question_id`, `question`, `options`, `answer_index`     as in `TIGER-Lab/MMLU-Pro`: item `mmlu-pro/<question_id>`
- `subject`, `question`, `choices`, `answer`               as in `cais/mmlu`: item `mmlu/<subject>/<split>/<row>`
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import takewhile
from pathlib import Path

from cit_core.aptitude.grading import with_options
from cit_core.aptitude.grading.answers import LETTERS
from cit_core.aptitude.grading.numerals import is_number
from cit_core.aptitude.importers.fields import Fields, checked, identifier, listed_texts, shown, spelt_list, text
from cit_core.aptitude.importers.files import TABLES, check_files, read_rows
from cit_core.aptitude.importers.text_stream import kind_of
from cit_core.aptitude.suites.registry import find_suite, generated, words_of
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Item, Suite, Task
from cit_core.store import UNASSIGNED

__all__ = ["by_id", "own_questions", "read_items", "suite_and_items", "texts"]

CONFIGURATIONS = {"cais/mmlu": "all"}
"""Configurations of the hub's datasets that have several."""
NO_OPTION = "N/A"
"""Text that MMLU-Pro has in place of an option where a question has fewer than ten."""
SHOWN = 3
"""Ids that a message names."""
SHOWN_COLUMNS = 20


def texts(suite: Suite, source: str | Path | None = None) -> tuple[Item, ...]:
    """Return every item of a suite with its text and answer, in the suite's order, under the suite's tasks.

    Args:
        suite: Its hashes, if it has any, are what the texts must have.
        source: A .csv, .jsonl or .parquet file; or what `datasets` can load, a folder or an id of the hub (with
            `ID@REVISION` for an older state). `cit-basics` needs none, its questions are made up again.

    Raises:
        InvalidInput: If the source cannot be read, lacks items or answers, or has other texts than the suite's.
        MissingExtra: If the source needs `datasets` or pyarrow and it is not installed.
    """
    items = _made_up(suite) if source is None else _loaded(source)
    wanted = set(suite.item_ids)
    found = by_id(item for item in items if item.id in wanted)
    _check(suite, found, f"the texts of suite {suite.name!r} from {source or 'its generator'}")
    return tuple(
        found[id_].model_copy(update={"task": task.id}) for task in suite.tasks for id_ in suite.items[task.id]
    )


def read_items(path: Path) -> Iterator[Item]:
    """Yield the items of a table: CSV, JSON lines or Parquet with a row for each.

    Columns: item_id; task; instruction, or question and options to make it of; options or choices (in CSV a list as in
    Python, `['a', 'b']`), or a column A, B, ... for each; answer; grader. All but item_id may be absent, others are
    ignored.

    Raises:
        InvalidInput: If the file cannot be read or a row is wrong, with its file and line.
        MissingExtra: If it is a Parquet file and pyarrow is not installed.
    """
    check_files([path], TABLES)
    return _items(read_rows(path), split=None)


def suite_and_items(
    suite: str, source: str | Path | None = None, questions: str | Path | None = None
) -> tuple[Suite, tuple[Item, ...]]:
    """Find a suite with its texts, or make one of a file of questions.

    Args:
        suite: As `find_suite` takes it.
        source: As `texts` takes it.
        questions: As `own_questions` takes it; goes before the suite.

    Raises:
        InvalidInput: If there is no such suite, or a file cannot be used.
    """
    if questions is not None:
        if source is not None:
            raise InvalidInput("questions have their own texts; give --questions FILE, or --suite with --texts")
        return own_questions(questions)
    found = find_suite(suite)
    return found, texts(found, source)


def own_questions(path: str | Path) -> tuple[Suite, tuple[Item, ...]]:
    """Make a test of a file of questions and answers: a suite of the file's name, and its items.

    Columns: question (or instruction) and answer; options; task, the file's name if absent; grader; item_id. An answer
    that is a number, as 3.5, 1/2, 20 % or $35, is compared as a number; of one with `####`, what follows counts. A
    question has its content as its id, so a file may grow.

    Raises:
        InvalidInput: If the file cannot be read, is empty, or a row lacks its question or answer; with file and line.
        MissingExtra: If it is a Parquet file and pyarrow is not installed.
    """
    path = Path(path)
    check_files([path], TABLES)
    items: list[Item] = []
    for where, fields in read_rows(path):
        with _at(where):
            items.append(_own_question(checked(fields, ()), path.stem))
    found = by_id(items)
    by_task: dict[str, list[str]] = {}
    for item in found.values():
        by_task.setdefault(item.task, []).append(item.id)
    tasks = tuple(Task(id=task, keywords=words_of(task)) for task in by_task)
    suite = Suite(name=path.stem, tasks=tasks, items={task: tuple(ids) for task, ids in by_task.items()})
    return suite, tuple(found[id_] for id_ in suite.item_ids)


def _own_question(fields: Fields, name: str) -> Item:
    question, instruction, answer = text(fields, "question"), text(fields, "instruction"), _answer(fields)
    lacking = [what for what, given in (("question", question or instruction), ("answer", answer)) if given is None]
    if lacking:
        columns = ", ".join(list(fields)[:SHOWN_COLUMNS])
        raise InvalidInput(f"has no {' and no '.join(lacking)}; a row needs question and answer, and has {columns}")
    if question and instruction and question not in instruction:
        raise InvalidInput("has a question and another instruction; put all that is asked into question alone")
    assert answer is not None
    told = {"item_id": fields.get("item_id") or name, "answer": answer.rpartition("####")[2].strip() or answer}
    item = _own({**fields, **told})
    graded = {"grader": "number"} if not item.grader and not item.options and is_number(item.answer or "") else {}
    task = name if item.task == UNASSIGNED else item.task
    named = {} if fields.get("item_id") else {"id": f"{name}/{item.digest}"}
    return item.model_copy(update={"task": task, **named, **graded})


def by_id(items: Iterable[Item]) -> dict[str, Item]:
    """Return items by id; an item that occurs twice must be the same both times.

    Raises:
        InvalidInput: If it is not.
    """
    found: dict[str, Item] = {}
    for item in items:
        if found.setdefault(item.id, item) != item:
            raise InvalidInput(f"item {item.id!r} occurs twice, with different texts, answers or tasks; keep one")
    return found


# -- where texts come from --------------------------------------------------------------------------------------------


def _made_up(suite: Suite) -> Iterator[Item]:
    made = generated(suite.name, max(map(len, suite.items.values()), default=1))
    if made is None:
        raise InvalidInput(
            f"suite {suite.name!r} holds no texts: say where they are, a .csv, .jsonl or .parquet file or a dataset of "
            "the hub such as TIGER-Lab/MMLU-Pro (--texts FILE|ID)"
        )
    return iter(made[1])


def _loaded(source: str | Path) -> Iterator[Item]:
    path = Path(source)
    return read_items(path) if kind_of(path) in TABLES or path.is_file() else _from_datasets(str(source))


def _from_datasets(source: str) -> Iterator[Item]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra(f"datasets, which loads {source!r},", "data") from error
    id_, _, revision = (source, "", "") if Path(source).is_dir() else source.partition("@")
    try:
        splits = datasets.load_dataset(id_, CONFIGURATIONS.get(id_), revision=revision or None)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InvalidInput(
            f"{source!r} is not a file, and datasets cannot load it: {error}. Give a .csv, .jsonl or .parquet file, a "
            "folder, or an id of the hub such as TIGER-Lab/MMLU-Pro"
        ) from error
    for split, rows in splits.items():
        yield from _items(((f"{source} {split}:{number}", row) for number, row in enumerate(rows, start=1)), split)


# -- what a row says --------------------------------------------------------------------------------------------------


def _items(rows: Iterable[tuple[str, Fields | str]], split: str | None) -> Iterator[Item]:
    rows_of_subject: Counter[str] = Counter()
    for where, fields in rows:
        with _at(where):
            item = _item(checked(fields, ()), split, rows_of_subject)
        yield item


@contextmanager
def _at(where: str) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def _item(fields: Fields, split: str | None, rows_of_subject: Counter[str]) -> Item:
    if "item_id" in fields:
        return _own(checked(fields, ("item_id",)))
    if "question_id" in fields:
        return _mmlu_pro(checked(fields, ("question_id", "question", "options", "answer_index")))
    if "subject" in fields and "choices" in fields:
        subject = identifier(fields, "subject")
        rows_of_subject[subject] += 1
        return _mmlu(checked(fields, ("question", "answer")), subject, split, rows_of_subject[subject] - 1)
    raise InvalidInput(f"has {', '.join(fields) or 'nothing'}; it needs item_id and what is known of the item")


def _own(fields: Fields) -> Item:
    options = _options(fields, "options") or _options(fields, "choices") or _lettered(fields)
    question, instruction, task, grader = (text(fields, name) for name in ("question", "instruction", "task", "grader"))
    if instruction is None and question is not None:
        instruction = with_options(question, options)
    return Item.model_validate(
        {
            "id": identifier(fields, "item_id"),
            "task": task or UNASSIGNED,
            "instruction": instruction,
            "options": options,
            "answer": _answer(fields),
            "grader": grader,
        }
    )


def _answer(fields: Fields) -> str | None:
    """Return an answer as a text; a column of numbers may hold fractions."""
    value = fields.get("answer")
    fraction = isinstance(value, (float, Decimal)) and math.isfinite(value)
    return f"{value:.15g}" if fraction else text(fields, "answer")


def _lettered(fields: Fields) -> tuple[str, ...]:
    """Return the options of a row that has a column for each: A, B, C."""
    found = takewhile(bool, (text(fields, letter) for letter in LETTERS))
    options = tuple(option for option in found if option is not None)
    return options if len(options) > 1 else ()


def _mmlu_pro(fields: Fields) -> Item:
    given, right = _options(fields, "options"), fields["answer_index"]
    kept = [place for place, option in enumerate(given) if option != NO_OPTION or place == right]
    return _choice(
        f"mmlu-pro/{identifier(fields, 'question_id')}",
        str(fields.get("src") or UNASSIGNED),
        str(fields["question"]),
        [given[place] for place in kept],
        kept.index(right) if right in kept else right,
    )


def _mmlu(fields: Fields, subject: str, split: str | None, row: int) -> Item:
    if split is None:
        raise InvalidInput("rows of cais/mmlu are named by their split; give the folder that holds test-*.parquet")
    return _choice(
        f"mmlu/{subject}/{split}/{row}", subject, str(fields["question"]), _options(fields, "choices"), fields["answer"]
    )


def _choice(id_: str, task: str, question: str, options: Sequence[str], right: object) -> Item:
    if not isinstance(right, int) or not 0 <= right < len(options):
        raise InvalidInput(f"the right option is {shown(right)} of {len(options)}; it must be a place from 0")
    return Item(
        id=id_,
        task=task,
        instruction=with_options(question, options),
        options=tuple(options),
        answer=LETTERS[right],
    )


def _options(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.get(name)
    listed = spelt_list(value) if isinstance(value, str) and value.strip() else value
    if listed is None and value:
        raise InvalidInput(f"{name} is {shown(value)}; it must be a list of texts, as ['a', 'b']")
    return listed_texts(listed, name)


# -- whether they are the suite's -------------------------------------------------------------------------------------


def _check(suite: Suite, found: Mapping[str, Item], what: str) -> None:
    ids = suite.item_ids
    absent = [id_ for id_ in ids if id_ not in found]
    if absent:
        raise InvalidInput(
            f"{what}: {_these(absent, len(ids))} are not there; give the source that the suite is made of"
        )
    silent = [id_ for id_ in ids if not found[id_].instruction or not found[id_].answer]
    if silent:
        raise InvalidInput(f"{what}: {_these(silent, len(ids))} have no text or no answer; a test needs both")
    other = [id_ for id_ in ids if id_ in suite.hashes and suite.hashes[id_] != found[id_].digest]
    if other:
        raise InvalidInput(
            f"{what}: {_these(other, len(ids))} are not as they were when the suite was made; give the texts of that "
            "time (of a dataset on the hub: ID@REVISION), or build the suite again"
        )


def _these(ids: Sequence[str], of: int) -> str:
    named = ", ".join(map(repr, ids[:SHOWN])) + (", …" if len(ids) > SHOWN else "")
    return f"{len(ids)} of {of} items ({named})"
