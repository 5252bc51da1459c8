"""Model-SAT without torch: an exported checkpoint on onnxruntime, in milliseconds on a CPU.

Four graphs, each run only when its answer is not known yet:

- reader   token ids -> hidden states            once a query (and once a new task line)
- encoder  hidden states -> unit vector          once a new task line, unless the catalogue has it; psi
- connector (task vectors, accuracies, counts) -> what phi keeps of it    once a capability, cached by its content hash
- phi      hidden states + what is kept of all candidates -> log-odds    once a query, whatever the size of the zoo

Axes: N queries, K candidates, L tokens, S task lines, D width; M H T E of what phi keeps are `model.network`'s.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from operator import is_
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.calibration import Calibration, sigmoid
from cit_core.catalogue import VECTORS_OF, task_vectors
from cit_core.cores import begun, usable_cores
from cit_core.errors import CheckpointError, InvalidInput
from cit_core.fork import abandon, no_fork, renew_after_fork
from cit_core.pictures import split_pictures
from cit_core.records import Candidate, Capability
from cit_core.runtime.checkpoint import GRAPHS, SHOWN, Checkpoint, shipped_checkpoints
from cit_core.runtime.readability import is_readable
from cit_core.runtime.sessions import LONGEST_RUN_S, MOST_MEMORY, failures, open_session, run
from cit_core.runtime.tokenizer import PROBES, highest_token, open_tokenizer, read_tokens
from cit_core.shutdown import leave_at_once, uninterrupted

__all__ = ["OnnxScorer"]

CACHED_CAPABILITIES = 4096
CACHED_TASKS = 4096
RECENT_ZOOS = 8
"""Zoos in a row of which each finds its capabilities stacked; a ninth pushes the oldest out."""
A_WORKERS_SHARE = 8
"""Fewest texts that are worth a worker of their own."""
LOOKED_AT = 600
"""Characters of a text by which its language is told."""
LEVELS = (0.02, 0.98)
"""Range of accuracies that stand for a network's answer."""
Known = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Keys and values MHTE in phi's layers and the level, of one capability."""


class _Graphs(NamedTuple):
    """Sessions of the four graphs."""

    reader: Any
    encoder: Any
    connector: Any
    phi: Any


class OnnxScorer:
    """Scores with an exported Model-SAT network.

    Thread-safe; pickles as the path of its checkpoint. A forked process loads the graphs again when it first needs
    them, for the threads of the inherited ones stay with its parent.

    Queries are run one by one: int8 activations share one scale a call, so in a batch queries would change each other's
    scores in the last digits. Many queries are shared among the cores, each on one: the same bits, and more of them a
    second than with all cores on one query.

    Args:
        checkpoint: Name of a shipped checkpoint, or a folder.
        threads: Largest number of threads of a call; as many as this process has cores if not given.

    Raises:
        CheckpointError: If the checkpoint is missing, damaged or from a newer release.
    """

    def __init__(self, checkpoint: str | Path = "mini", *, threads: int | None = None) -> None:
        opened = Checkpoint.open(checkpoint)
        self.checkpoint = opened.released()
        self.name = self.checkpoint.name
        self.max_tokens: int = self.checkpoint.config["network"]["max_length"]
        """Tokens of a query that are read; what follows is cut."""
        self.encoder = self.checkpoint.encoder
        """Hash of the trunk that makes the vectors of `encode`."""
        self._threads = threads
        self._workers = threads or usable_cores()
        self._shipped = self.checkpoint.folder in shipped_checkpoints().values()
        self._calibration = _calibration(opened)
        self._load(opened)
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._task_vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._zoos: tuple[tuple[tuple[Capability, ...], Known], ...] = ()
        self._judged = "", True
        self._locks()
        renew_after_fork(self)
        if not self._shipped:  # ours do; looking takes 0.1 s
            self._require_fit()

    def _load(self, checkpoint: Checkpoint) -> None:
        with no_fork(), ThreadPoolExecutor(len(GRAPHS)) as pool:  # onnxruntime lets go of Python's lock meanwhile
            graphs = self._sessions(pool, checkpoint, self._threads)
            self._tokenizer = open_tokenizer(checkpoint, shipped=self._shipped)
            self._graphs = _Graphs(*graphs)
            self._one_thread: _Graphs | None = self._graphs if self._workers < 2 else None
        self._inherited = False

    def _locks(self) -> None:
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def _renew_after_fork(self) -> None:
        self._locks()
        if not self._inherited:
            abandon((self._tokenizer, self._graphs, self._one_thread))
            self._inherited = True
            leave_at_once()

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Run graphs of this process, to the end."""
        with uninterrupted():
            if self._inherited:
                with self._loading:
                    if self._inherited:
                        self._load_again()
            try:
                yield
            except failures() as error:
                raise CheckpointError(
                    f"{self.checkpoint.folder}: its graphs, tokenizer and config do not fit each other, or ask for "
                    f"more than {MOST_MEMORY >> 30} GiB or {LONGEST_RUN_S:.0f} s: "
                    f"{' '.join(str(error).split())[-SHOWN:]}; export the checkpoint again"
                ) from error

    def _load_again(self) -> None:
        self._load(self._opened_again())

    def _load_one_thread(self) -> None:
        checkpoint = self._opened_again()
        with no_fork(), ThreadPoolExecutor(len(GRAPHS)) as pool:
            self._one_thread = _Graphs(*self._sessions(pool, checkpoint, 1))

    def _sessions(self, pool: ThreadPoolExecutor, checkpoint: Checkpoint, threads: int | None) -> Iterator[Any]:
        """Begin to open all graphs; return them as they are ready, in order."""

        def opened(name: str) -> Any:
            path = checkpoint.folder / name
            return open_session(checkpoint.read(name), path, threads=threads, shipped=self._shipped)

        return begun(pool, opened, GRAPHS)

    def _opened_again(self) -> Checkpoint:
        now = Checkpoint.open(self.checkpoint.folder)
        if now.sha256 != self.checkpoint.sha256:
            raise CheckpointError(f"the checkpoint in {now.folder} was replaced; start the process again")
        return now

    def _require_fit(self) -> None:
        """Refuse parts that do not fit each other now, not at the first query that is long or has a rare word."""
        longest_1L = np.full((1, self.max_tokens), highest_token(self._tokenizer), np.int64)
        probe = Capability(candidate=Candidate(id="probe"))
        try:
            with self._running():
                run(self._graphs.reader, longest_1L, np.ones_like(longest_1L))
            odds_NK, vectors_ND = self.read(PROBES, [probe])
        except (ValueError, IndexError, TypeError) as error:
            raise CheckpointError(
                f"{self.checkpoint.folder}: its graphs, tokenizer and config do not fit each other: "
                f"{str(error)[:SHOWN]}; export the checkpoint again"
            ) from error
        if not (np.isfinite(odds_NK).all() and np.isfinite(vectors_ND).all()):
            raise CheckpointError(f"{self.checkpoint.folder}: its graphs give no numbers; export the checkpoint again")

    def __reduce__(self) -> tuple[Callable[[], OnnxScorer], tuple[()]]:
        return partial(OnnxScorer, self.checkpoint.folder, threads=self._threads), ()

    def score(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float64]:
        """Return P(correct) of N queries for K candidates.

        Args:
            instructions: N texts; what exceeds the network's length is cut.
            capabilities: K capabilities; one without results is judged by the query alone.

        Returns:
            (N, K) calibrated probabilities.
        """
        odds_NK = self._calibration.log_odds(self.log_odds(instructions, capabilities))
        return sigmoid(self._nearer_level(odds_NK, instructions, capabilities))

    def reads(self, instruction: str) -> bool:
        """Return False for a text in a language that the network was not taught.

        The scores of such a text are averaged with the candidates' levels.
        """
        last, known = self._judged  # one read: another thread may judge a text at any time
        if last != instruction:
            with self._running():  # in a child, the tokenizer of the parent may be held by a thread that is not there
                known = is_readable(self._tokenizer.encode(_whole(instruction[:LOOKED_AT])).tokens)
            self._judged = instruction, known
        return known

    def _nearer_level(
        self, odds_NK: NDArray[np.float64], instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> NDArray[np.float64]:
        """Take the mean of a text's log-odds and those of the candidates' mean accuracies where it is not read.

        What the network makes of a translation is worth something: docs/lab-notes.md, 2026-11-29.
        """
        unread = [place for place, text in enumerate(instructions) if not self.reads(text)]
        if unread:
            mean_K = np.clip([capability.mean_accuracy for capability in capabilities], *LEVELS)
            level_K = np.log(mean_K) - np.log1p(-mean_K)
            odds_NK[unread] = np.where(np.isnan(level_K), odds_NK[unread], (odds_NK[unread] + level_K) / 2.0)
        return odds_NK

    def read(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return calibrated log-odds (N, K) and unit vectors (N, D), in one pass over the texts."""
        odds_NK = np.empty((len(instructions), len(capabilities)), np.float32)
        vectors_ND = np.empty((len(instructions), self.checkpoint.config["network"]["width"]), np.float32)
        with self._running():
            known = self._known_zoo(capabilities) if capabilities else None

            def read_one(graphs: _Graphs, place: int, text: str) -> None:
                states = self._states(graphs, text)
                vectors_ND[place] = run(graphs.encoder, *states)[0][0]
                if known is not None:
                    odds_NK[place] = run(graphs.phi, *states, *known)[0][0]

            self._for_each(instructions, read_one)
        return self._nearer_level(self._calibration.log_odds(odds_NK), instructions, capabilities), vectors_ND

    def score_with_vectors(
        self, instructions: Sequence[str], capabilities: Sequence[Capability]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return what `score` and `encode` return, in one pass over the texts."""
        log_odds_NK, vectors_ND = self.read(instructions, capabilities)
        return sigmoid(log_odds_NK), vectors_ND

    def log_odds(self, instructions: Sequence[str], capabilities: Sequence[Capability]) -> NDArray[np.float32]:
        """Return the network's own answer before calibration, (N, K)."""
        rows = np.empty((len(instructions), len(capabilities)), np.float32)
        if not capabilities:
            return rows
        with self._running():
            known = self._known_zoo(capabilities)

            def score_one(graphs: _Graphs, place: int, text: str) -> None:
                rows[place] = run(graphs.phi, *self._states(graphs, text), *known)[0][0]

            self._for_each(instructions, score_one)
        return rows

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the trunk's unit vectors of texts, (len(texts), D): psi, and what evidence is compared by."""
        vectors = np.empty((len(texts), self.checkpoint.config["network"]["width"]), np.float32)

        def encode_one(graphs: _Graphs, place: int, text: str) -> None:
            vectors[place] = run(graphs.encoder, *self._states(graphs, text))[0][0]

        with self._running():
            self._for_each(texts, encode_one)
        return vectors

    def _for_each(self, texts: Sequence[str], work: Callable[[_Graphs, int, str], None]) -> None:
        """Do the work for every text: with all cores one by one, or many at once on one core each."""
        workers = min(self._workers, len(texts) // A_WORKERS_SHARE)
        if workers < 2:
            for place, text in enumerate(texts):
                work(self._graphs, place, text)
            return
        with self._loading:
            if self._one_thread is None:
                self._load_one_thread()
            graphs = self._one_thread
        assert graphs is not None
        with ThreadPoolExecutor(workers, thread_name_prefix="cit-reader") as pool:
            for _ in begun(pool, partial(work, graphs), range(len(texts)), texts):
                pass  # an error is raised here

    def _states(self, graphs: _Graphs, text: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        ids_1L = np.array([read_tokens(self._tokenizer, _whole(split_pictures(text)[0]), self.max_tokens)], np.int64)
        mask_1L = np.ones_like(ids_1L)
        return run(graphs.reader, ids_1L, mask_1L)[0], mask_1L

    def _known_zoo(self, capabilities: Sequence[Capability]) -> Known:
        recent = self._zoos  # one read: another thread may add a zoo at any time
        for zoo, known in recent:
            if len(zoo) == len(capabilities) and all(map(is_, zoo, capabilities)):  # 128 fingerprints take a while
                return known
        found = [self._known_of(capability) for capability in capabilities]
        known = np.stack([kept for kept, _ in found], axis=2), np.stack([level for _, level in found])
        self._zoos = ((tuple(capabilities), known), *recent[: RECENT_ZOOS - 1])
        return known

    def _known_of(self, capability: Capability) -> Known:
        with self._lock:
            known = self._known.get(capability.fingerprint)
            if known is not None:
                self._known.move_to_end(capability.fingerprint)
                return known
        known = self._connect(capability)  # outside the lock: two threads may do it twice, none waits for a network
        with self._lock:
            self._known[capability.fingerprint] = known
            while len(self._known) > CACHED_CAPABILITIES:
                self._known.popitem(last=False)
        return known

    def _connect(self, capability: Capability) -> Known:
        results = capability.results
        if results:
            vectors_SD = np.stack([self._task_vector(result.task.description) for result in results])
            accuracy_S = np.array([result.accuracy for result in results], np.float32)
            count_S = np.array([result.count for result in results], np.float32)
        else:  # one padding line: the connector then answers with what it expects of a model it knows nothing of
            vectors_SD = np.zeros((1, self.checkpoint.config["network"]["width"]), np.float32)
            accuracy_S, count_S = np.zeros(1, np.float32), np.zeros(1, np.float32)
        known_MHKTE, level_K = run(self._graphs.connector, vectors_SD[None], accuracy_S[None], count_S[None])
        return known_MHKTE[:, :, 0], level_K[0]

    def _task_vector(self, description: str) -> NDArray[np.float32]:
        shipped = task_vectors() if self.encoder == VECTORS_OF else {}
        if description in shipped:
            return shipped[description]
        with self._lock:
            known = self._task_vectors.get(description)
        if known is None:
            known = self.encode([description])[0]
            with self._lock:
                self._task_vectors[description] = known
                while len(self._task_vectors) > CACHED_TASKS:
                    self._task_vectors.popitem(last=False)
        return known


def _whole(text: str) -> str:
    """Return a text without half surrogate pairs, as cut JSON leaves them: those are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _calibration(checkpoint: Checkpoint) -> Calibration:
    fields = checkpoint.json("calibration.json")
    numbers = isinstance(fields, dict) and all(type(value) in (int, float) for value in fields.values())
    try:
        return Calibration(**{name: float(value) for name, value in fields.items()} if numbers else {"": fields})
    except (TypeError, OverflowError, InvalidInput) as error:
        raise CheckpointError(
            f"{checkpoint.folder / 'calibration.json'} must hold a slope above 0 and an intercept, both finite; "
            "export the checkpoint again"
        ) from error
