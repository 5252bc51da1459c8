"""Find suites by name: shipped ones, generated ones, or JSON files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from cit_core.catalogue import core_suite
from cit_core.errors import InvalidInput
from cit_core.records import Item, Suite

__all__ = ["BASICS", "find_suite", "generated", "next_version", "read_suite", "save_suite", "with_hashes", "words_of"]

BASICS = "cit-basics"
"""The generated suite; `cit-basics:SEED` is the same with other questions."""


def find_suite(name: str) -> Suite:
    """Find a suite by its name or file.

    Args:
        name: `mmlu-pro-core`, `cit-basics`, `cit-basics:SEED`, or the path of a suite's JSON file.

    Raises:
        InvalidInput: If there is none; the message lists what there is.
    """
    if name == core_suite().name:
        return core_suite()
    made = generated(name)
    if made is not None:
        return made[0]
    if Path(name).suffix == ".json" or Path(name).is_file():
        return read_suite(Path(name))
    raise InvalidInput(
        f"no suite {name!r}; there are {core_suite().name!r}, {BASICS!r}, '{BASICS}:SEED' with a whole number, and the "
        "path of a .json file that `cit aptitude build` has made"
    )


def generated(name: str, shots: int = 20) -> tuple[Suite, tuple[Item, ...]] | None:
    """Return the suite `cit-basics` or `cit-basics:SEED` with its items; None for any other name."""
    kind, _, seed = name.partition(":")
    if kind != BASICS or not (seed.isdecimal() or name == BASICS):
        return None
    from cit_core.aptitude.basics import basics

    return basics(int(seed or 0), shots)


def read_suite(path: Path) -> Suite:
    """Read a suite from its JSON file.

    Raises:
        InvalidInput: If the file cannot be read, or holds no suite.
    """
    try:
        return Suite.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"no suite can be read from {str(path)!r}: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{path} holds no suite; `cit aptitude build` makes one: {error}") from error


def save_suite(suite: Suite, path: Path) -> None:
    """Write a suite as JSON: all of it, or the file stays as it was."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(suite.model_dump_json(indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def with_hashes(suite: Suite, items: Mapping[str, Item]) -> Suite:
    """Return the suite with the content hash of every item; without any if some texts or answers are not known.

    Args:
        suite: The sampled suite.
        items: Items by id.
    """
    known = [items[id_] for id_ in suite.item_ids if id_ in items]
    complete = len(known) == len(suite.item_ids) and all(item.instruction and item.answer for item in known)
    return suite.model_copy(update={"hashes": {item.id: item.digest for item in known} if complete else {}})


def next_version(suite: Suite, before: Suite | None) -> Suite:
    """Return the suite under its version, or, if it differs from the one before it, under the next."""
    if before is None:
        return suite
    same = suite.model_copy(update={"version": before.version})
    return same if same == before else suite.model_copy(update={"version": before.version + 1})


def words_of(task: str) -> tuple[str, ...]:
    """Return the words in a task's id: its keywords where nothing else is known of it."""
    return tuple(dict.fromkeys(re.findall(r"[^\W_]+", task)))[:10] or (task,)
