"""Logs of Inspect as files: the task, the model and the samples; everything else is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cit_core.aptitude.importers.archive import UNREADABLE, Archive, open_archive
from cit_core.aptitude.importers.fields import Fields
from cit_core.aptitude.importers.json_stream import JsonStream
from cit_core.aptitude.importers.limits import Limits
from cit_core.aptitude.importers.text_stream import open_text
from cit_core.errors import CITError, InvalidInput

__all__ = ["ATTACHED", "samples_of", "task_and_model"]

FIELDS = frozenset({"id", "epoch", "input", "choices", "target", "scores", "model_usage", "total_time", "error"})
"""Members of a sample that count; messages and events, which may be long, do not."""
HEADERS = ("header.json", "_journal/start.json")
"""Members of an .eval file with the task and the model; a run that was broken off has the second alone."""
ATTACHED = "attachment://"
"""Beginning of a text that is kept elsewhere in its sample."""
LOG = "Inspect log"


def task_and_model(path: Path, limits: Limits) -> Fields:
    """Return the members `task` and `model` of a log.

    Raises:
        InvalidInput: If it cannot be read, or does not have them.
    """
    if path.suffix.lower() != ".eval":
        with _json(path, limits) as stream:
            about = _member(stream, "eval")
    else:
        with open_archive(path, limits, LOG) as archive:
            header = next((name for name in HEADERS if name in archive.names()), None)
            if header is None:
                raise InvalidInput(f"{path} is not a readable Inspect log: it has no {HEADERS[0]}")
            with archive.text(header) as text, _named(f"{path}/{header}"):
                about = _member(JsonStream(text, limits), "eval")
    if not isinstance(about, dict) or not {"task", "model"} <= about.keys():
        raise InvalidInput(f"{path} is not an Inspect log: it has no eval with a task and a model")
    return about


def samples_of(path: Path, limits: Limits) -> Iterator[Any]:
    """Yield every sample of a log, or a text that says why one cannot be read.

    Raises:
        InvalidInput: If the log as a whole cannot be read, or has no samples.
    """
    count = 0
    for sample in _members(path, limits) if path.suffix.lower() == ".eval" else _listed(path, limits):
        count += 1
        yield sample
    if not count:
        raise InvalidInput(f"{path} has no samples; log them (--log-samples is the default of inspect eval)")


def _members(path: Path, limits: Limits) -> Iterator[Any]:
    with open_archive(path, limits, LOG) as archive:
        for name in archive.names():
            if name.startswith("samples/") and name.endswith(".json"):
                yield _member_sample(archive, name, limits)


def _member_sample(archive: Archive, name: str, limits: Limits) -> Any:
    try:
        with archive.text(name) as text:
            sample = _sample(JsonStream(text, limits))
        wanted = _attachments_of(sample)
        if wanted:
            with archive.text(name) as text:
                sample = _attached(sample, _picked(JsonStream(text, limits), wanted))
    except InvalidInput as error:
        return str(error)
    except CITError:
        raise
    except UNREADABLE as error:
        return f"cannot be unpacked: {error!s:.200}"
    return sample


def _listed(path: Path, limits: Limits) -> Iterator[Any]:
    with _json(path, limits) as stream:
        for member in stream.members() if stream.peek() == "{" else ():
            if member == "samples" and stream.peek() == "[":
                for _ in stream.elements():
                    yield _sample(stream) if stream.peek() == "{" else stream.value()
            else:
                stream.skip()


def _sample(stream: JsonStream) -> Any:
    """Read the members of a sample that count; of its attachments, nothing is kept that no message refers to."""
    sample: dict[str, Any] = {}
    for member in stream.members():
        if member in FIELDS:
            sample[member] = stream.value()
        elif member == "attachments" and (wanted := _attachments_of(sample)):
            sample = _attached(sample, {name: stream.value() for name in _wanted_members(stream, wanted)})
        else:
            stream.skip()
    return sample


def _picked(stream: JsonStream, wanted: set[str]) -> dict[str, Any]:
    for member in stream.members():
        if member == "attachments":
            return {name: stream.value() for name in _wanted_members(stream, wanted)}
        stream.skip()
    return {}


def _wanted_members(stream: JsonStream, wanted: set[str]) -> Iterator[str]:
    for member in stream.members():
        if member in wanted:
            yield member
        else:
            stream.skip()


def _attachments_of(sample: Mapping[str, Any]) -> set[str]:
    return {text.removeprefix(ATTACHED) for text in _texts(sample.get("input")) if text.startswith(ATTACHED)}


def _texts(given: Any) -> Iterator[str]:
    for message in given if isinstance(given, list) else [{"content": given}]:
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else [{"text": content}]:
            text = part.get("text") if isinstance(part, Mapping) else None
            if isinstance(text, str):
                yield text


def _attached(sample: dict[str, Any], texts: Mapping[str, Any]) -> dict[str, Any]:
    def full(given: Any) -> Any:
        if isinstance(given, str) and given.startswith(ATTACHED):
            return texts.get(given.removeprefix(ATTACHED), given)
        if isinstance(given, list):
            return [full(part) for part in given]
        if isinstance(given, dict):
            return {name: full(value) if name in ("content", "text") else value for name, value in given.items()}
        return given

    return {**sample, "input": full(sample.get("input"))}


def _member(stream: JsonStream, name: str) -> Any:
    for member in stream.members() if stream.peek() == "{" else ():
        if member == name:
            return stream.value()
        stream.skip()
    return None


@contextmanager
def _json(path: Path, limits: Limits) -> Iterator[JsonStream]:
    with open_text(path, limits) as text, _named(str(path)):
        yield JsonStream(text, limits)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Name the file in what is said of it."""
    try:
        yield
    except UnicodeError as error:
        raise InvalidInput(f"{name} cannot be read: {error}") from error
    except InvalidInput as error:
        raise error if str(error).startswith(name) else InvalidInput(f"{name} {error}") from None
