"""A provider on loopback that speaks OpenAI's and Anthropic's protocols and misbehaves as its path says.

The first part of a path names the behaviour (`/overloaded/...`), the rest is the SDK's. Behaviours are entries of
`OPENAI` and `ANTHROPIC`: what is sent for a request that asks for a stream, and for one that does not.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "fine answer"


def sse(*events: object, names: bool = False) -> list[bytes]:
    """Server-sent events; with the name of their type where the protocol has it."""
    lines = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {event['type']}\n" if names and isinstance(event, dict) else ""
        lines.append(f"{name}data: {data}\n\n".encode())
    return lines


def openai_chunk(delta: dict[str, Any], finish_reason: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def openai_answer(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def anthropic_answer(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }


def anthropic_events(text: str) -> list[dict[str, Any]]:
    message = {**anthropic_answer(""), "content": [], "stop_reason": None}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 1, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


ROLE = openai_chunk({"role": "assistant", "content": ""})
STALL, CUT = object(), object()
"""In a stream: say nothing more, and keep the connection; break it off."""


def openai_error(message: str, kind: str | None = None, code: object = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


Scripted = tuple[int, object]
"""HTTP status and body: a list is a stream, anything else JSON, bytes are sent as they are."""

ANSWERS: dict[str, Scripted] = {
    "ok": (200, openai_answer(ANSWER)),
    "says-yes": (200, openai_answer("Good. VERDICT: YES")),
    "says-no": (200, openai_answer("Bad. VERDICT: NO")),
}
STREAMS: dict[str, Scripted] = {
    "ok": (200, [*sse(ROLE, openai_chunk({"content": "fine "}), openai_chunk({"content": "answer"}))])
}
STREAMS["ok"][1].extend(sse(openai_chunk({}, "stop"), "[DONE]"))  # type: ignore[attr-defined]
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "multiply", "arguments": '{"a": 7, "b": 8}'}}
ANSWERS["tool"] = (200, openai_answer(""))
ANSWERS["tool"][1]["choices"][0] |= {  # type: ignore[index]
    "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    "finish_reason": "tool_calls",
}
STREAMS["tool"] = 200, sse(ROLE, openai_chunk({"tool_calls": [CALL]}), openai_chunk({}, "tool_calls"), "[DONE]")
ANSWERS["kept-back"] = 200, openai_answer("")
ANSWERS["kept-back"][1]["choices"][0]["finish_reason"] = "content_filter"  # type: ignore[index]
STREAMS["kept-back"] = 200, sse(ROLE, openai_chunk({}, "content_filter"), "[DONE]")
ANSWERS["json"] = (200, openai_answer('{"product": 56}'))
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}
DELTA = {"type": "response.output_text.delta", "delta": ANSWER, "item_id": "msg_1", "output_index": 0}
ANSWERS["response"] = (200, RESPONSE)
STREAMS["response"] = (
    200,
    sse(
        {
            "type": "response.created",
            "response": {**RESPONSE, "status": "in_progress", "output": []},
            "sequence_number": 0,
        },
        {**DELTA, "content_index": 0, "logprobs": [], "sequence_number": 1},
        {"type": "response.completed", "response": RESPONSE, "sequence_number": 2},
        names=True,
    ),
)
STREAMS["response-cut-in-a-line"] = 200, [*STREAMS["response"][1][:2], STREAMS["response"][1][2][:60]]  # type: ignore[index]
BOTH: dict[str, Scripted] = {
    "unauthorized": (
        401,
        openai_error("Incorrect API key provided: SECRET", "invalid_request_error", "invalid_api_key"),
    ),
    "no-credit": (402, openai_error("Insufficient credits", code=402)),
    "forbidden": (403, openai_error("You are not allowed to sample from this model")),
    "retired": (404, openai_error("The model has been deprecated", "invalid_request_error", "model_not_found")),
    "too-long": (400, openai_error("too long", "invalid_request_error", "context_length_exceeded")),
    "too-long-in-words": (400, openai_error("This model's maximum context length is 4096 tokens.")),
    "filtered": (400, openai_error("filtered", None, "content_filter")),
    "quota": (429, openai_error("You exceeded your quota", "insufficient_quota", "insufficient_quota")),
    "rate-limit": (429, openai_error("slower", "tokens", "rate_limit_exceeded")),
    "down": (503, openai_error("down", "server_error")),
    "page": (200, b"<html>maintenance</html>"),
    "moved": (302, b"<html>sign in first</html>"),
    "busy-page": (429, b"<html>slow down</html>"),
    "down-page": (503, b"<html>down</html>"),
    "cut": (200, CUT),
    "silent": (200, [STALL]),
    "bad-request": (400, openai_error("Invalid value for 'temperature'", "invalid_request_error")),
}
IN_STREAM: dict[str, list[object]] = {
    "server-error": sse(openai_error("The server had an error", "server_error"), "[DONE]"),
    "stream-rate-limit": sse(openai_error("slower", "tokens", "rate_limit_exceeded")),
    "code-as-number": sse({"error": {"message": "Provider disconnected", "code": 502}}),
    "code-as-text": sse({"error": {"message": "Provider disconnected", "code": "502"}}),
    "after-an-empty-chunk": sse(ROLE, openai_error("The server had an error", "server_error")),
    "empty": sse("[DONE]"),
    "empty-and-open": [*sse("[DONE]"), STALL],
    "empty-chunk-alone": sse(ROLE, "[DONE]"),
    "stall": [STALL],
    "stall-after-an-empty-chunk": [*sse(ROLE), STALL],
    "cut-after-an-empty-chunk": [*sse(ROLE), CUT],
    "cut-later": [*sse(ROLE, openai_chunk({"content": "half"})), CUT],
    "cut-in-a-line": [*sse(ROLE, openai_chunk({"content": "half"})), b'data: {"choices": [{"delta": {"con', CUT],
    "cut-in-one-of-two": [
        *sse(openai_chunk({"content": "half"}, "stop"), openai_chunk({"content": "b"}, index=1)),
        CUT,
    ],
    "end-with-the-last-text": sse(
        ROLE, openai_chunk({"content": "fine "}), openai_chunk({"content": "answer"}, "stop")
    ),
    "end-without-a-blank-line": [*sse(ROLE, openai_chunk({"content": ANSWER})), sse(openai_chunk({}, "stop"))[0][:-2]],
    "error-without-a-blank-line": [
        *sse(ROLE, openai_chunk({"content": ANSWER})),
        sse(openai_chunk({}, "error"))[0][:-2],
    ],
    "error-in-a-late-choice": sse(ROLE, openai_chunk({"content": "half"}), openai_chunk({}, "error"), "[DONE]"),
    "stalls-later": [*sse(ROLE, openai_chunk({"content": "half"})), STALL],
    "breaks-later": [*sse(ROLE, openai_chunk({"content": "half"})), *sse(openai_error("broken", "server_error"))],
}
IN_BODY: dict[str, object] = {
    "error-in-200": {"error": {"message": "Provider returned error", "code": "502"}},
    "error-in-200-null-choices": {**openai_answer("x"), "choices": None, "error": {"message": "x", "code": 429}},
    "no-choices": {**openai_answer("x"), "choices": []},
    "error-in-a-choice": {**openai_answer("x"), "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]},
    "no-answer": {**openai_answer("x"), "choices": [{"index": 0, "message": {"role": "assistant", "content": None}}]},
    "no-protocol": {"code": 500, "msg": "upstream timeout"},
    "cancelled": {**RESPONSE, "status": "cancelled"},
}
ANTHROPIC: dict[str, tuple[Scripted, Scripted]] = {
    "ok": ((200, anthropic_answer(ANSWER)), (200, sse(*anthropic_events(ANSWER), names=True))),
}
ANTHROPIC["cut-later"] = ANTHROPIC["ok"][0], (200, [*sse(*anthropic_events("half")[:3], names=True), CUT])
ANTHROPIC["no-protocol"] = ((200, IN_BODY["no-protocol"]),) * 2
ANTHROPIC["not-streamed"] = (ANTHROPIC["ok"][0],) * 2
ANTHROPIC["a-page"] = (BOTH["page"],) * 2
ANTHROPIC["no-answer"] = (200, {**anthropic_answer(""), "content": [], "stop_reason": None}), ANTHROPIC["ok"][1]
_refusal = anthropic_events("")
_refusal[4]["delta"]["stop_reason"] = "refusal"
ANTHROPIC["refusal"] = (
    (200, {**anthropic_answer(""), "content": [], "stop_reason": "refusal"}),
    (200, sse(_refusal[0], *_refusal[4:], names=True)),
)
for _kind, _status in (("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500)):
    _error = {"type": "error", "error": {"type": _kind, "message": "SECRET"}}
    ANTHROPIC[_kind] = (_status, _error), (200, sse(_error, names=True))
    _late = sse(*anthropic_events(ANSWER)[:2], _error, names=True)
    ANTHROPIC[f"{_kind}-after-the-beginning"] = (_status, _error), (200, _late)
for _status, _kind, _said in (
    (401, "authentication_error", "invalid x-api-key"),
    (403, "permission_error", "not allowed"),
    (404, "not_found_error", "model: claude-retired"),
    (400, "invalid_request_error", "prompt is too long: 214000 tokens > 200000 maximum"),
    (413, "request_too_large", "Request exceeds the maximum size"),
):
    _body = {"type": "error", "error": {"type": _kind, "message": _said}}
    ANTHROPIC[f"status-{_status}"] = (_status, _body), (_status, _body)


class ScriptedProvider:
    """Serve on loopback while in a `with`.

    Attributes:
        hits: Requests by behaviour.
        bodies: What was sent, as it came.
        headers: Of the requests.
        retry_after: Sent with every 429 and 503, if set.
    """

    def __init__(self, retry_after: str | None = None) -> None:
        self.hits: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.retry_after = retry_after
        self.release = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                provider.bodies.append(self.rfile.read(length))
                provider.headers.append(dict(self.headers))
                asked = json.loads(provider.bodies[-1] or b"{}")
                behaviour, _, rest = self.path.strip("/").partition("/")
                provider.hits[behaviour] += 1
                provider.reply(self, *scripted(behaviour, "messages" in rest, bool(asked.get("stream"))))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ScriptedProvider:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def reply(self, handler: BaseHTTPRequestHandler, status: int, body: object) -> None:
        """Send what the script says."""
        handler.close_connection = True
        stream, raw = isinstance(body, list), body if isinstance(body, bytes) else b""
        if not stream and body is not CUT and not raw:
            raw = json.dumps(body).encode()
        page = raw.startswith(b"<")
        handler.send_response(status)
        handler.send_header(
            "content-type", "text/event-stream" if stream else "text/html" if page else "application/json"
        )
        handler.send_header("connection", "close")
        if not stream:
            handler.send_header("content-length", str(len(raw) or 5000))
        if self.retry_after is not None and status in (429, 503):
            handler.send_header("retry-after", self.retry_after)
        handler.end_headers()
        for part in body if isinstance(body, list) else [raw]:
            if part is STALL:
                self.release.wait(60)
            elif part is CUT:
                handler.connection.close()
            else:
                handler.wfile.write(part)
                handler.wfile.flush()


def scripted(behaviour: str, anthropic: bool, stream: bool) -> Scripted:
    """Return what a behaviour sends."""
    if anthropic:
        return ANTHROPIC[behaviour][stream]
    if behaviour in BOTH:
        return BOTH[behaviour]
    if behaviour in IN_STREAM:
        return (200, IN_STREAM[behaviour]) if stream else (500, openai_error("down", "server_error"))
    if behaviour in IN_BODY:
        return 200, sse(IN_BODY[behaviour], "[DONE]") if stream else IN_BODY[behaviour]
    return (STREAMS if stream else ANSWERS)[behaviour]
