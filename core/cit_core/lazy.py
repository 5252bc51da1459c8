"""`cached_property` that a fork cannot leave locked."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["cached_property"]

T = TypeVar("T")

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property(functools.cached_property[T]):  # noqa: N801  # it takes the place of Python's
        """Lock-free `cached_property`: up to Python 3.11 all objects share one lock, which a fork may leave held."""

        def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
            """Compute the value at the first access; two threads may compute it twice."""
            if instance is None:
                return self
            value = self.func(instance)
            instance.__dict__[self.attrname] = value
            return value
