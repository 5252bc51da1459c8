"""Context windows of LLMs, and those which are too short for a call."""

from __future__ import annotations

from collections.abc import Mapping

from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW
from llama_index.core.llms import LLM

__all__ = ["own_window", "shorter", "too_short"]


def own_window(llm: LLM) -> int | None:
    """Return the context window that an LLM states [tokens]; None where it only repeats LlamaIndex's default."""
    try:
        window = llm.metadata.context_window
    except ValueError:  # how OpenAI's class says that it does not know the model
        return None
    return None if window == DEFAULT_CONTEXT_WINDOW or window <= 0 else window


def shorter(one: int | None, other: int | None) -> int | None:
    """Return the smaller of two limits; None is no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


def too_short(windows: Mapping[str, int | None], tokens: int) -> dict[str, str]:
    """Return the candidates with a window too short for a call, id to reason.

    A call's length is an estimate, so it never excludes all: if no window is long enough, the longest stay.

    Args:
        windows: Context window of each candidate [tokens]; None if it is not known.
        tokens: Estimated length of the call.
    """
    longest = None if None in windows.values() else max(filter(None, windows.values()), default=None)
    needed = tokens if longest is None else min(tokens, longest)
    return {
        id_: f"context window of {window} tokens is shorter than the query (about {tokens})"
        for id_, window in windows.items()
        if window is not None and window < needed
    }
