"""Recognise errors that no retry mends: a refused connection or an unknown host."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["is_unreachable"]

NO_CONNECTION = frozenset(
    {
        *("ConnectionRefusedError", "gaierror", "herror"),  # Python
        "ConnectError",  # httpx, httpcore
        *("NewConnectionError", "NameResolutionError"),  # urllib3, requests
        *("ClientConnectorError", "ClientConnectorDNSError"),  # aiohttp
        "EndpointConnectionError",  # botocore
    }
)
"""Names of exception classes that mean: no connection was made."""
DEPTH = 20
"""Exceptions of a chain that are looked at."""


def is_unreachable(error: BaseException) -> bool:
    """Return whether no connection could be made to the server.

    Args:
        error: Exception of a client; those that it was raised from, or while handling, count as well.
    """
    return any(kind.__name__ in NO_CONNECTION for cause in _chain(error) for kind in type(cause).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < DEPTH:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        nested = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        waiting += [inner for inner in nested if isinstance(inner, BaseException)]
