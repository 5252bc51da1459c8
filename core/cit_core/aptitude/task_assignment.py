"""Assign tasks to items without one, and keywords to tasks that have only a name.

Axes: N items, T tasks, W words, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cit_core.aptitude.item_vectors import Encoder, catalogue_vectors
from cit_core.aptitude.suites.registry import words_of
from cit_core.catalogue import known_tasks
from cit_core.errors import InvalidInput, MissingExtra
from cit_core.records import Item, Suite, Task
from cit_core.store import UNASSIGNED, CapabilityStore, in_batches

__all__ = ["assign_tasks", "describe_tasks", "keywords_of", "require_keyword_finder"]

BATCH = 10_000
"""Items in one transaction."""
DESCRIPTION_COUNTS = 3
"""A task's keywords count as much as so many of its items: best or near it with 20, 10, 5, 2 and 1 items a task, on
MMLU-Pro's training items. Without any item they do alone."""
TEXTS = 200
"""Maximum number of a task's texts from which its keywords are taken."""
WORD = r"(?<![\\\w])[^\W\d_]{3,}"
"""Three letters or more, and no command of LaTeX."""
DECIMALS = 9
"""Decimals of a word's weight, so that the order of a sum does not decide between words."""
ALIKE = 5
"""Number of equal first letters, or all of a shorter word, by which words count as forms of one word."""


# -- tasks of items ---------------------------------------------------------------------------------------------------


def assign_tasks(
    store: CapabilityStore, suite: Suite, scorer: Encoder, *, progress: Callable[[int], None] | None = None
) -> int:
    """Give items without a task one of the suite's; returns how many got one.

    An item of the suite gets the task that the suite states. Any other that has a vector gets the task with the nearest
    one, and is marked as assigned: a task that a source states later takes its place.

    Args:
        store: The store with the items; `encode_items` gives them their vectors.
        suite: The suite with the tasks.
        scorer: Makes the vectors of the tasks' keywords; the items' must be its own.
        progress: Called after every batch with the number of items that have got a task so far.
    """
    unassigned = store.unassigned()
    if not unassigned:
        return 0
    found = _tasks_for(unassigned, store, suite, scorer)
    done = 0
    for batch in in_batches(found, BATCH):
        tasks = {item.task for item in batch}
        with store.transaction() as writer:
            tasks -= {task.id for task in writer.tasks()}
            writer.add_tasks([task for task in suite.tasks if task.id in tasks])
            writer.add_items(batch)
        done += len(batch)
        if progress is not None:
            progress(done)
    return done


def _tasks_for(ids: Sequence[str], store: CapabilityStore, suite: Suite, scorer: Encoder) -> list[Item]:
    evidence = store.outcome_matrix(encoder=scorer.encoder)
    row_of = {id_: row for row, id_ in enumerate(evidence.item_ids)}
    stated = {id_: task.id for task in suite.tasks for id_ in suite.items[task.id]}
    known = [Item(id=id_, task=stated[id_]) for id_ in ids if id_ in stated]
    others = [id_ for id_ in ids if id_ in row_of and id_ not in stated]
    if not others:
        return known
    vectors = {**catalogue_vectors(scorer), **{id_: evidence.vectors_ID[row_of[id_]] for id_ in stated.keys() & row_of}}
    tasks_TD = _task_vectors(suite, vectors, scorer)
    items_ND = evidence.vectors_ID[[row_of[id_] for id_ in others]].astype(np.float32)
    nearest = (items_ND @ tasks_TD.T).argmax(1)
    return known + [
        Item(id=id_, task=suite.tasks[place].id, assigned=True) for id_, place in zip(others, nearest, strict=True)
    ]


def _task_vectors(suite: Suite, vectors: Mapping[str, NDArray[np.floating]], scorer: Encoder) -> NDArray[np.float32]:
    """Return unit vectors T x D: of a task's items, as far as they are known, and its keywords."""
    sum_TD: NDArray[np.float32] = DESCRIPTION_COUNTS * scorer.encode([task.description for task in suite.tasks])
    for place, task in enumerate(suite.tasks):
        own = [vectors[id_] for id_ in suite.items[task.id] if id_ in vectors]
        sum_TD[place] += np.sum(own, axis=0, dtype=np.float32)
    sum_TD /= np.linalg.norm(sum_TD, axis=1, keepdims=True)
    return sum_TD


# -- keywords of tasks ------------------------------------------------------------------------------------------------


def describe_tasks(
    items: Iterable[Item], keywords: Mapping[str, Sequence[str]], known: Iterable[Task] = ()
) -> tuple[Task, ...]:
    """Return every task of some items with keywords, sorted by id.

    They come from `keywords`, else from the catalogue, else from `known` if they say more than the task's id does, else
    from the texts of its items by `keywords_of`; if there are none, from the id.

    Args:
        items: Items of every task.
        keywords: Task id to words, as a person gives them.
        known: Tasks as they are stored.

    Raises:
        InvalidInput: If keywords are given for a task that no item has.
        MissingExtra: If texts must be searched and scikit-learn is not installed.
    """
    texts: dict[str, list[str]] = {}
    for item in items:
        if item.task != UNASSIGNED:
            texts.setdefault(item.task, []).extend([item.instruction] if item.instruction else [])
    if keywords.keys() - texts:
        unknown = min(keywords.keys() - texts)
        raise InvalidInput(f"keywords are given for task {unknown!r}, and there is none; there are {', '.join(texts)}")
    described = {task.id: task.keywords for task in known if not set(task.keywords) <= set(words_of(task.id))}
    described |= {task.id: task.keywords for task in known_tasks()}
    described |= {task: tuple(words) for task, words in keywords.items()}
    silent = [task for task, own in texts.items() if own and task not in described]
    found = keywords_of(texts) if silent else {}
    return tuple(Task(id=id_, keywords=described.get(id_) or found.get(id_) or words_of(id_)) for id_ in sorted(texts))


def require_keyword_finder() -> None:
    """Ask for scikit-learn before any work is done.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        import sklearn.feature_extraction.text  # noqa: F401
    except ImportError as error:
        raise MissingExtra("scikit-learn, which finds keywords,", "bench") from error


def keywords_of(texts_by_task: Mapping[str, Sequence[str]], number: int = 5) -> dict[str, tuple[str, ...]]:
    """Return the words and pairs of words that distinguish the texts of each task, by TF-IDF.

    A word counts once for each text that has it. It weighs its mean TF-IDF over the task's texts, minus that over the
    other tasks.

    Args:
        texts_by_task: Texts of every task; the first 200 of each are read.
        number: Maximum number of keywords of a task.

    Returns:
        Task to keywords, the most telling first and no two of one stem; fewer, or none, where its texts have no more.

    Raises:
        MissingExtra: If scikit-learn is not installed.
    """
    require_keyword_finder()
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    read = [texts[:TEXTS] for texts in texts_by_task.values()]
    all_texts = [text for texts in read for text in texts]
    vectorizer = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), stop_words="english", binary=True, norm=None)
    if not any(map(vectorizer.build_analyzer(), all_texts)):
        return dict.fromkeys(texts_by_task, ())
    share = [1.0 / len(texts) for texts in read for _ in texts]
    task_of = np.repeat(np.arange(len(read)), [len(texts) for texts in read])
    share_TN = csr_array((share, (task_of, np.arange(len(all_texts)))), (len(read), len(all_texts)))
    mean_TW = share_TN @ vectorizer.fit_transform(all_texts)
    total_W, words = mean_TW.sum(0), vectorizer.get_feature_names_out()
    keywords = {}
    for place, task in enumerate(texts_by_task):
        own = mean_TW[[place]].tocoo()
        others = (total_W[own.col] - own.data) / max(len(read) - 1, 1)
        keywords[task] = _telling(words[own.col], own.data - others, number)
    return keywords


def _telling(words_W: NDArray[np.object_], weight_W: NDArray[np.floating], number: int) -> tuple[str, ...]:
    chosen: list[str] = []
    stems: list[str] = []
    parts_W = np.array([word.count(" ") for word in words_W])
    for place in np.lexsort((words_W, -parts_W, -weight_W.round(DECIMALS))):  # of equals, the pair says more
        if len(chosen) == number or weight_W[place] <= 0.0:
            break
        own = [part[:ALIKE] for part in words_W[place].split()]
        if _all_differ([*stems, *own]):
            chosen.append(words_W[place].title())
            stems += own
    return tuple(chosen)


def _all_differ(stems: Sequence[str]) -> bool:
    return not any(a.startswith(b) or b.startswith(a) for a, b in combinations(stems, 2))
