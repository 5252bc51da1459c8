"""Who is asked: any LLM behind one small protocol, and what its failures mean."""

from cit_core.aptitude.clients.protocol import (
    Answer,
    CallableClient,
    Client,
    FakeClient,
    client,
    load_object,
    token_count,
)
from cit_core.provider_errors import from_exception

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
