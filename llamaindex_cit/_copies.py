"""Copies of a routed LLM: shallow, deep, and pickled. None of them changes the original.

LlamaIndex's own `__getstate__` removes what does not pickle from the object that it is called on. So it is only ever
called on copies here, for a routed LLM and for its candidates.
"""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM

__all__ = ["deep_copies", "picklable", "shallow_copies", "without_listeners"]

logger = logging.getLogger(__name__)


def shallow_copies(models: Mapping[str, LLM]) -> dict[str, LLM]:
    """Return copies that share clients and caches with the originals."""
    return {id_: llm.model_copy() for id_, llm in models.items()}


def without_listeners(models: Mapping[str, LLM], own: Mapping[str, CallbackManager]) -> dict[str, LLM]:
    """Return shallow copies which have their own callbacks alone, not those of the routed LLM."""
    copies = shallow_copies(models)
    for id_, llm in copies.items():
        llm.callback_manager = own[id_]
    return copies


def deep_copies(models: Mapping[str, LLM], own: Mapping[str, CallbackManager], memo: dict[int, Any]) -> dict[str, LLM]:
    """Return copies that share only callbacks, and the clients of LLMs that cannot be copied deeply."""
    memo |= {id(manager): manager for manager in own.values()}
    return {id_: _deep_copy(llm, memo) for id_, llm in without_listeners(models, own).items()}


def _deep_copy(llm: LLM, memo: dict[int, Any]) -> LLM:
    try:
        return copy.deepcopy(llm, memo)
    except (TypeError, pickle.PicklingError):  # a client in use holds a lock or a socket
        return llm.model_copy()


def picklable(parts: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    """Return the parts that pickle.

    Args:
        parts: Name to value.
        required: Names of those without which nothing could be made of the rest.

    Raises:
        PicklingError: If a required part does not pickle.
    """
    missing = [name for name, value in parts.items() if not _pickles(value)]
    if needed := [name for name in required if name in missing]:
        raise pickle.PicklingError(f"a CITLLM pickles if its parts do, and its {', '.join(needed)} did not")
    if missing:
        logger.warning("pickled without %s, which cannot be pickled", ", ".join(missing))
    return {name: value for name, value in parts.items() if name not in missing}


def _pickles(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001  # any error of a foreign __reduce__ means the same
        return False
    return True
