"""Cores that this process may use, and work shared among them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["begun", "usable_cores"]

T = TypeVar("T")

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1 = (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))


def usable_cores() -> int:
    """Return the number of cores: those that the process is bound to, or fewer where a container limits its time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return bound if quota is None else max(1, min(bound, math.ceil(quota)))


def _quota() -> float | None:
    """Return the limit of a container [cores]; None without one."""
    try:
        limit, period = CGROUP_V2.read_text().split()
    except (OSError, ValueError):
        try:
            limit, period = (path.read_text().strip() for path in CGROUP_V1)
        except OSError:
            return None
    try:
        cores = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):  # `max`
        return None
    return cores if cores > 0 else None  # -1 in the first version


def begun(pool: Executor, work: Callable[..., T], *arguments: Iterable[Any]) -> Iterator[T]:
    """Begin to work on all arguments in the threads of a pool, and return the results in order as they are ready.

    Once the main thread has ended no thread can begin; then each result is made when it is asked for.
    """
    try:
        return pool.map(work, *arguments)
    except RuntimeError:  # of `submit`: what `work` raises is raised by the iterator
        return map(work, *arguments)
