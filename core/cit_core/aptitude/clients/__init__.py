"""Clients of the measured LLMs: one small protocol, and the meaning of a provider's failures."""

from cit_core.aptitude.clients.factory import client, load_object
from cit_core.aptitude.clients.protocol import (
    Answer,
    CallableClient,
    Client,
    FakeClient,
    checked_answer,
    token_count,
)
from cit_core.provider_errors import from_exception

__all__ = [
    "Answer",
    "CallableClient",
    "Client",
    "FakeClient",
    "checked_answer",
    "client",
    "from_exception",
    "load_object",
    "token_count",
]
