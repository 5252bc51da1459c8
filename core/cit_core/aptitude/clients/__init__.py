"""Clients of the LLMs that are measured: one small protocol, and what the failures of a provider mean."""

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
