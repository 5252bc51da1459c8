"""`capit_1.0`, the training data of the paper's authors (github.com/Now-Join-Us/LLMRec): read and written.

Two layouts, both JSON lists; the groups may be in several files:

- groups: `capit*.json`, {"model_repr": TEXT, "data_repr": {"pos": [TEXT, ...], "neg": [TEXT, ...]}}
- parts: `1_model_reprs.json`, {"model_repr_id", "model_repr"}; `2_interactions.json`, {"model_repr_id", "dataset_name",
  "correct_query_indices", "incorrect_query_indices"}; and `DATASET.json`, {"id", "data_repr"}, for each dataset named

A capability is a text there. Its lines `accuracy 75.0% on the task of "a, b"` become results, the rest becomes notes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.outcomes import UNASSIGNED, OutcomeMatrix
from cit_core.paper.dataset import TrainingData
from cit_core.records import Candidate, Capability, Task, TaskResult

__all__ = ["capability_of_text", "is_capit", "read_capit", "write_capit"]

MODELS, ANSWERS, GROUPS = "1_model_reprs.json", "2_interactions.json", "capit*.json"
QUESTIONS = 20
"""Questions behind each accuracy of a capability (paper: 50 tasks x 20 questions)."""
LINE = re.compile(r'accuracy (?:of )?(\d+(?:\.\d+)?) ?% (?:on|in) the task of ["“]([^"”]+)["”]')
FRAME = re.compile(r"The model achieves[\s,.]*|^[\s,.]+")
TEXTS = ("data_repr", "question", "instruction", "prompt", "text")
"""Fields in which a question of a dataset is looked for, in this order."""


class _Answer(NamedTuple):
    """One outcome: capability text, item and label."""

    model: str
    item: str
    correct: float


def is_capit(path: Path) -> bool:
    """Return True for a JSON file, or a folder with the files of one of the two layouts."""
    return path.suffix == ".json" or (path / ANSWERS).is_file() or any(path.glob(GROUPS))


def read_capit(path: Path) -> TrainingData:
    """Read the authors' data; in a folder with both layouts the parts, which say more.

    Args:
        path: Folder of either layout, or one file of groups.

    Raises:
        InvalidInput: If a file cannot be read, lacks a field, or a capability has no line that names a task.
    """
    if (path / ANSWERS).is_file():
        texts, of_item, answers = _parts(path)
    else:
        files = [path] if path.suffix == ".json" else sorted(path.glob(GROUPS))
        texts, of_item, answers = _groups(files)
    profiles = {model: capability_of_text(model, text) for model, text in texts.items()}
    table = _matrix(path.stem, sorted(profiles), of_item, answers)
    candidates = {model: profile.candidate for model, profile in profiles.items()}
    return TrainingData(table, (), candidates, profiles)


def capability_of_text(model: str, text: str) -> Capability:
    """Return the capability that a text says; its accuracies count as those of 20 questions each.

    Raises:
        InvalidInput: If it has no line `accuracy N% on the task of "..."`.
    """
    found: dict[str, TaskResult] = {}
    for accuracy, keywords in LINE.findall(text):
        words = tuple(word for word in (part.strip() for part in keywords.split(",")) if word)[:10]
        if words and float(accuracy) <= 100.0:
            task = Task(id=", ".join(words), keywords=words)
            found[task.id] = TaskResult(task=task, accuracy=float(accuracy) / 100.0, count=QUESTIONS)
    if not found:
        raise InvalidInput(
            f"the capability of {model!r} is {shown(text)}; it needs lines such as: accuracy 75.0% on the task of "
            '"Psychology, Memory"'
        )
    notes = " ".join(FRAME.sub("", LINE.sub("", text)).split()).strip(" ,.")
    return Capability(candidate=Candidate(id=model, notes=notes), results=tuple(found.values()))


def write_capit(
    data: TrainingData, folder: Path, capabilities: Sequence[Capability], groups: Iterable[Mapping[str, Any]]
) -> int:
    """Write both layouts into a folder, and return the number of groups.

    Args:
        data: The outcomes to write, with their texts: training items and models alone.
        folder: Made if it is not there.
        capabilities: Capability of every model of the table.
        groups: As `cit_core.paper.run.training_groups` draws them.
    """
    table, whole = data.table, list(groups)
    reprs = [{"model_repr_id": each.candidate.id, "model_repr": each.text} for each in capabilities]
    marks = [
        {
            "model_repr_id": model,
            "dataset_name": "questions",
            "correct_query_indices": [table.item_ids[row] for row in np.flatnonzero(marks_I >= 0.5)],
            "incorrect_query_indices": [table.item_ids[row] for row in np.flatnonzero(marks_I < 0.5)],
        }
        for model, marks_I in zip(table.candidates, table.labels_IK.T, strict=True)
    ]
    asked = [{"id": id_, "data_repr": text} for id_, text in zip(table.item_ids, table.instructions, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    files = {"capit-1.0.json": whole, MODELS: reprs, ANSWERS: marks, "questions.json": asked}
    for name, records in files.items():
        (folder / name).write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return len(whole)


Found = tuple[dict[str, str], dict[str, tuple[str, str]], list[_Answer]]
"""Capability text by model, (task, text) by item, and the answers."""


def _groups(files: Sequence[Path]) -> Found:
    texts: dict[str, str] = {}
    of_item: dict[str, tuple[str, str]] = {}
    answers = []
    for file in files:
        for number, record in enumerate(_records(file)):
            said, asked = record.get("model_repr"), record.get("data_repr")
            parts = {side: asked.get(side) for side in ("pos", "neg")} if isinstance(asked, dict) else {}
            if not (isinstance(said, str) and parts and all(_are_texts(part) for part in parts.values())):
                raise InvalidInput(
                    f"record {number} of {file} needs model_repr, a text, and data_repr with pos and neg, both texts "
                    "in a list"
                )
            model = f"model-{_hash(said)}"
            texts[model] = said
            for side, questions in parts.items():
                for question in questions or ():
                    of_item[_hash(question)] = UNASSIGNED, question
                    answers.append(_Answer(model, _hash(question), float(side == "pos")))
    return texts, of_item, answers


def _parts(folder: Path) -> Found:
    texts = {}
    for record in _records(folder / MODELS):
        said = record.get("model_repr")
        if not isinstance(said, str) or "model_repr_id" not in record:
            raise InvalidInput(f"{folder / MODELS} needs model_repr_id and model_repr, a text, in every record")
        texts[str(record["model_repr_id"])] = said
    of_item: dict[str, tuple[str, str]] = {}
    answers, read = [], set()
    for record in _records(folder / ANSWERS):
        model, dataset = str(record.get("model_repr_id")), record.get("dataset_name")
        if model not in texts or not isinstance(dataset, str) or Path(dataset).name != dataset:
            raise InvalidInput(
                f"{folder / ANSWERS} has an answer of model {shown(model)} in dataset {shown(dataset)}; the model must "
                f"be in {MODELS}, and the dataset the name of a JSON file beside it"
            )
        if dataset not in read:
            read.add(dataset)
            of_item |= {f"{dataset}/{id_}": (dataset, text) for id_, text in _questions(folder / f"{dataset}.json")}
        for field, correct in (("correct_query_indices", 1.0), ("incorrect_query_indices", 0.0)):
            for id_ in record.get(field) or ():
                if f"{dataset}/{id_}" not in of_item:
                    raise InvalidInput(f"{folder / ANSWERS} names question {shown(id_)}, which {dataset}.json lacks")
                answers.append(_Answer(model, f"{dataset}/{id_}", correct))
    return texts, of_item, answers


def _questions(file: Path) -> Iterator[tuple[str, str]]:
    """Yield id and text of a dataset's questions; options that are beside the text are put behind it."""
    for record in _records(file):
        text = next((record[name] for name in TEXTS if isinstance(record.get(name), str)), None)
        if text is None or "id" not in record:
            raise InvalidInput(f"{file} needs in every record an id and a text, in one of {', '.join(TEXTS)}")
        options = record.get("choices") or []
        listed = [f"{chr(65 + place)}. {option}" for place, option in enumerate(options)]
        yield str(record["id"]), "\n".join([text, *listed])


def _matrix(
    name: str, models: Sequence[str], of_item: Mapping[str, tuple[str, str]], answers: Iterable[_Answer]
) -> OutcomeMatrix:
    """Return the outcomes; a question that a model got both right and wrong counts by the mean."""
    marks: dict[tuple[str, str], list[float]] = defaultdict(list)
    for answer in answers:
        marks[answer.item, answer.model].append(answer.correct)
    items = sorted({item for item, _ in marks})
    rows, columns = ({id_: place for place, id_ in enumerate(ids)} for ids in (items, models))
    correct_IK = np.full((len(items), len(models)), np.nan)
    for (item, model), given in marks.items():
        correct_IK[rows[item], columns[model]] = np.mean(given)
    table = OutcomeMatrix(
        name=name,
        item_ids=tuple(items),
        candidates=tuple(models),
        correct_IK=correct_IK,
        tasks=tuple(of_item[item][0] for item in items),
        instructions=tuple(of_item[item][1] for item in items),
    ).measured()
    if not len(table):
        raise InvalidInput(f"{name} has no answers: lists of questions that a model handled or failed are empty")
    return replace(table, name=name)


def _records(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise InvalidInput(f"{file} must be a list of objects, as capit_1.0 is")
    return found


def _are_texts(texts: object) -> bool:
    return texts is None or (isinstance(texts, list) and all(isinstance(text, str) for text in texts))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
