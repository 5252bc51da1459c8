"""What a chat model that may become any of several can promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from langchain_core.language_models import ModelProfile

__all__ = ["conjunction"]


def conjunction(profiles: Iterable[ModelProfile | None]) -> ModelProfile | None:
    """What holds for every model, so that nobody asks more than the weakest can do.

    Args:
        profiles: Of the models, None for one that is not known.

    Returns:
        True where all say so, False where one does, nothing where one is silent; of limits the lowest. None if there is
        a model of which nothing is known.
    """
    known: list[Mapping[str, Any]] = []
    for profile in profiles:
        if profile is None:
            return None
        known.append(profile)
    names = dict.fromkeys(name for profile in known for name in profile)
    together = {name: _together([profile.get(name) for profile in known]) for name in names}
    return cast("ModelProfile", {name: value for name, value in together.items() if value is not None})


def _together(values: list[Any]) -> bool | int | None:
    if any(value is False for value in values):
        return False
    if all(value is True for value in values):
        return True
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return min(numbers) if numbers else None
