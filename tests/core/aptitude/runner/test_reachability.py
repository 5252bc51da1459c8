"""A server that cannot be reached is told from one that is slow or busy, in whatever a library has wrapped it."""

from __future__ import annotations

import socket
import urllib.error

import pytest

from cit_core.aptitude.clients.openai_client import OpenAIClient
from cit_core.aptitude.runner.reachability import is_unreachable
from cit_core.errors import Transient


def wrapped(error: Exception) -> Exception:
    try:
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("connection error") from inner
    except RuntimeError:
        try:
            raise Transient("no usable response") from None
        except Transient as outer:
            return outer


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(), socket.gaierror(), type("ConnectError", (Exception,), {})(),
        urllib.error.URLError(ConnectionRefusedError()),
    ],
)  # fmt: skip
def test_unreachable(error: Exception) -> None:
    assert is_unreachable(error)
    assert is_unreachable(wrapped(error))


@pytest.mark.parametrize(
    "error", [TimeoutError(), ConnectionResetError(), Transient("busy", status=503), ValueError("x")]
)
def test_reachable(error: Exception) -> None:
    assert not is_unreachable(error)
    assert not is_unreachable(wrapped(error))


async def test_the_real_library_at_a_port_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = OpenAIClient("m", api_key="k", base_url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with pytest.raises(Transient) as caught:
            await client.ask("q", key="k")
        await client.aclose()
    assert is_unreachable(caught.value)
