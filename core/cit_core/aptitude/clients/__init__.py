"""Who is asked: any LLM behind one small protocol, and what its failures mean."""

from cit_core.aptitude.clients.failures import from_exception
from cit_core.aptitude.clients.protocol import (
    Answer,
    CallableClient,
    Client,
    FakeClient,
    client,
    load_object,
    token_count,
)

__all__ = [
    "Answer",
    "CallableClient",
    "Client",
    "FakeClient",
    "client",
    "from_exception",
    "load_object",
    "token_count",
]
