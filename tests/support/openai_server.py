"""Providers on loopback that speak OpenAI's chat completions API, in one piece and in streams, and fail in many ways.

    with Providers() as providers:
        OpenAILike(model="m", api_base=providers.url("overloaded"), api_key="x", max_retries=0)
    providers.asked        # how often each was asked

The first part of the path names the behaviour; `BEHAVIOURS` lists them.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["BEFORE_THE_FIRST_TOKEN", "NO_ANSWERS", "STATUSES", "Providers"]

TEXT = "fine answer"
CALL = {"id": "call_1", "type": "function", "function": {"name": "double", "arguments": '{"number": 21}'}}
DONE = "data: [DONE]\n\n"


def sse(event: Any) -> str:
    return f"data: {json.dumps(event)}\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "SECRET prompt and sk-secret", **fields}}


ROLE = chunk({"role": "assistant", "content": ""})
BEGUN = [ROLE, chunk({"content": "fine "})]

BEFORE_THE_FIRST_TOKEN: dict[str, list[str]] = {
    "server_error": [sse(error(type="server_error", code=None)), DONE],
    "rate_limit": [sse(error(type="tokens", code="rate_limit_exceeded"))],
    "number_502": [sse(error(code=502))],
    "text_502": [sse(error(code="502"))],
    "overloaded": [sse(error(type="overloaded_error"))],
    "after_role": [ROLE, sse(error(type="server_error"))],
    "empty": [DONE],
    "role_alone": [ROLE, DONE],
    "called_an_error": [ROLE, chunk({}, "error"), DONE],
}
"""Events of streams that begin with HTTP 200 and hold no token."""
BREAKS = {
    "breaks": [*BEGUN, sse(error(type="server_error"))],
    "breaks_off": [*BEGUN, chunk({}, "error"), DONE],
}
"""Events of streams that hold half an answer."""


def _whole(message: dict[str, Any], finish: str | None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **more}


NO_ANSWERS: dict[str, dict[str, Any]] = {
    "error_in_200": error(code=502),
    "half": _whole({"content": "half"}, "error"),
    "nothing": _whole({"content": None}, None),
    "kept_back": _whole({"content": ""}, "content_filter"),
}
"""Bodies of HTTP 200 that hold no answer."""
STATUSES: dict[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "401": (401, error(code="invalid_api_key"), {}),
    "402": (402, error(code=402), {}),
    "403": (403, error(code="permission_denied"), {}),
    "404": (404, error(code="model_not_found"), {}),
    "429": (429, error(code="rate_limit_exceeded"), {"Retry-After": "7"}),
    "context": (400, error(type="invalid_request_error", code="context_length_exceeded"), {}),
    "filtered": (400, error(type="invalid_request_error", code="content_filter"), {}),
    "500": (500, error(type="server_error"), {}),
    "503": (503, error(), {"Retry-After": "5"}),
}
"""Status, body and headers of refusals."""


class Providers:
    """The server; a context manager.

    Args:
        keep_alive: Leave connections open after an answer, as real providers do.
    """

    def __init__(self, *, keep_alive: bool = False) -> None:
        self.keep_alive = keep_alive
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.closing = threading.Event()

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{behaviour}/v1"

    def __enter__(self) -> Providers:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _events(behaviour: str, tools: bool) -> list[str]:
    if behaviour in BEFORE_THE_FIRST_TOKEN:
        return BEFORE_THE_FIRST_TOKEN[behaviour]
    if behaviour in BREAKS:
        return BREAKS[behaviour]
    if behaviour == "stalls":
        return [ROLE]
    if tools:
        return [ROLE, chunk({"tool_calls": [{"index": 0, **CALL}]}), chunk({}, "tool_calls"), DONE]
    return [*BEGUN, chunk({"content": "answer"}), chunk({}, "stop"), DONE]


def _answer(tools: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": None if tools else TEXT, **({"tool_calls": [CALL]} if tools else {})}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return _whole(message, "tool_calls" if tools else "stop", usage=usage)


def _handler(providers: Providers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            behaviour = self.path.split("/")[1]
            providers.asked[behaviour] += 1
            providers.bodies.append(body)
            self.close_connection = not providers.keep_alive
            if behaviour == "hangs" or (behaviour == "stalls" and not body.get("stream")):
                providers.closing.wait(30)
            elif behaviour in STATUSES:
                self._reply(*STATUSES[behaviour])
            elif body.get("stream"):
                self._stream(_events(behaviour, "tools" in body), stalls=behaviour == "stalls")
            elif behaviour in NO_ANSWERS:
                self._reply(200, NO_ANSWERS[behaviour], {})
            elif behaviour in BEFORE_THE_FIRST_TOKEN or behaviour in BREAKS:
                self._reply(500, error(type="server_error"), {})
            else:
                self._reply(200, _answer("tools" in body), {})

        def _stream(self, events: list[str], *, stalls: bool) -> None:
            self._head(200, {"Content-Type": "text/event-stream"})
            for event in events:
                self.wfile.write(event.encode())
                self.wfile.flush()
            if stalls:
                providers.closing.wait(30)

        def _reply(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
            raw = json.dumps(body).encode()
            self._head(status, {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers})
            self.wfile.write(raw)

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Connection": "close" if self.close_connection else "keep-alive"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep quiet."""

    return Handler
