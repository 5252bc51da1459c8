"""Count tokens for a routed model: a limit that is kept by this count is kept for every candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

__all__ = ["TokenCounts"]


class TokenCounts(BaseChatModel):
    """The part of `ChatCIT` that counts tokens."""

    routes: Mapping[str, BaseChatModel]

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of the candidate that needs the most."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return max((model.get_token_ids(text) for model in self.routes.values()), key=len)

    def get_num_tokens(self, text: str) -> int:
        """Return the count of the candidate that counts the most."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens(text)
        return max(model.get_num_tokens(text) for model in self.routes.values())

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return the count of the candidate that counts the most; tools count where the model can count them."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens_from_messages(messages, tools)
        given = {} if tools is None else {"tools": tools}
        return max(model.get_num_tokens_from_messages(messages, **given) for model in self.routes.values())
