"""Routers as LangChain's JSON: addresses and settings in place of the objects that they are of."""

from __future__ import annotations

from typing import Any

from langchain_core.load.serializable import Serializable

from cit_core.errors import InvalidInput
from cit_core.router.serialization import fallback_to_config, router_to_config, sticky_to_config

__all__ = ["Saved"]


class Saved(Serializable):
    """LangChain's serialized form of `RunnableRouter` and `ChatCIT`."""

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True; see `to_json`."""
        return True

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Its settings, in place of the objects that they are of."""
        return self._settings()

    def to_json(self) -> Any:
        """Return the constructor as LangChain writes it; `not_implemented` for a router put together from parts."""
        try:
            return super().to_json()
        except InvalidInput:
            return self.to_json_not_implemented()

    def _settings(self) -> dict[str, Any]:
        own: Any = self
        if own.cascade is not None:
            raise InvalidInput(
                "a cascade has a function to verify, which JSON cannot hold; pass cascade= when it is made"
            )
        return {
            "router": router_to_config(own.router),
            "context": own.context,
            "sticky": None if own.sticky is None else sticky_to_config(own.sticky),
            "fallback": fallback_to_config(own.fallback),
            "default": own.default,
            "strict": own.strict,
        }
