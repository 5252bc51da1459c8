"""onnxruntime sessions: those of a stranger's graphs within limits of memory and time.

A graph of a few bytes can ask for a tensor of any size, and for days of arithmetic without a loop. So what a
stranger's graphs allocate comes from one arena of the process that holds no more than `MOST_MEMORY`, nothing is
computed while a graph is loaded, and a run ends after `LONGEST_RUN_S`. Weights count.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import CheckpointError
from cit_core.runtime.checkpoint import SHOWN
from cit_core.runtime.onnx_graph import require_plain_graph

__all__ = ["LONGEST_RUN_S", "MOST_MEMORY", "failures", "open_session", "run"]

MOST_MEMORY: Final = 4 * 2**30
"""Bytes that all graphs of strangers in this process may hold together."""
LONGEST_RUN_S: Final = 60.0
"""Longest run of such a graph [s]."""
SLOW_FUSIONS = ["SkipLayerNormFusion", "BiasSkipLayerNormFusion"]
"""Fusions of onnxruntime (seen in 1.32) to switch off: on a CPU the fused operation takes longer than its parts."""
_limited = threading.Event()
"""Set once the arena has been made."""
_limiting = threading.Lock()


def open_session(content: bytes, path: Path, *, threads: int | None = None, shipped: bool = False) -> Any:
    """Return a session of a graph.

    Args:
        content: The bytes of the file, with a checked hash.
        path: Its place, for errors.
        threads: Number of onnxruntime's threads within a call; its own choice if not given.
        shipped: True if it is the shipped graph, which needs no look and no limits: a test has looked.

    Raises:
        CheckpointError: If it is no graph of a network.
    """
    import onnxruntime  # not at the top: `import cit_core` stays quick

    if not shipped:
        require_plain_graph(content, str(path))
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    # Each session has threads of its own; left to spin after a run, those of one would take the cores from the next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what was checked, not ORT's own format
    options.log_severity_level = 3 if shipped else 4  # a refusal is an error of ours, and onnxruntime would print it
    without = SLOW_FUSIONS
    if not shipped:
        _limit_memory(onnxruntime)
        options.add_session_config_entry("session.use_env_allocators", "1")
        without = [*SLOW_FUSIONS, "ConstantFolding"]
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], disabled_optimizers=without
        )
    except failures() as error:
        raise CheckpointError(
            f"onnxruntime {onnxruntime.__version__} cannot load {path}: {str(error)[:SHOWN]}"
        ) from error
    return session if shipped else _Bounded(session)


def failures() -> tuple[type[Exception], ...]:
    """Return every error that onnxruntime raises; they have no parent of their own."""
    import onnxruntime

    state = vars(onnxruntime.capi.onnxruntime_pybind11_state)
    return tuple(kind for kind in state.values() if isinstance(kind, type) and issubclass(kind, Exception))


def run(session: Any, *inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Return the outputs of a session for its inputs, in order."""
    names = [node.name for node in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))  # type: ignore[no-any-return]


class _Bounded:
    """A session with a time limit on runs; onnxruntime checks it between two operations."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.get_inputs = session.get_inputs

    def run(self, names: Any, inputs: dict[str, NDArray[Any]]) -> Any:
        import onnxruntime

        options = onnxruntime.RunOptions()
        timer = threading.Timer(LONGEST_RUN_S, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            return self._session.run(names, inputs, options)
        finally:
            timer.cancel()


def _limit_memory(onnxruntime: Any) -> None:
    """Make the arena, once in a process; other sessions do not use it unless they ask for it."""
    with _limiting:  # graphs are opened at once
        if _limited.is_set():
            return
        info = onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        )
        onnxruntime.create_and_register_allocator(info, onnxruntime.OrtArenaCfg({"max_mem": MOST_MEMORY}))
        _limited.set()
