"""An OpenAI-compatible server on loopback that answers by a function, makes trouble by a script, and keeps the bill.

    with ScriptedLLM(lambda prompt: "B", troubles={0: status(429, retry_after="2"), 3: reset()}) as llm:
        client = OpenAIClient("any", api_key="none", base_url=llm.base_url)
    llm.requests, llm.billed

A request is billed once its answer is completely written, whether or not anybody is left to read it; one with the
Idempotency-Key of a billed request gets the same answer again for nothing. As a process of its own it outlives those
who ask it, and writes a line of JSON for every billed request (the log is whole once the process has ended):

    python tests/support/scripted_llm.py --url-file URL --log BILLED.jsonl --answer my_skills:answer --trouble-share 0.2
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import re
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = [
    "Request",
    "ScriptedLLM",
    "Trouble",
    "body",
    "by_prompt",
    "cut_off",
    "hang",
    "no_text",
    "reset",
    "status",
]

PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Request:
    """What came in."""

    number: int
    """From 0, in the order of arrival."""
    prompt: str
    """The last message."""
    key: str | None
    """Idempotency-Key."""
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""


Trouble = Callable[["_Handler", Request], None]
"""Answers a request in place of the server; such a request is never billed."""


def status(code: int, *, retry_after: str | None = None, error_code: str | None = None) -> Trouble:
    """An HTTP error, whose message quotes the prompt and the key, as servers do."""

    def trouble(handler: _Handler, request: Request) -> None:
        said = f"cannot do {request.prompt!r} with {request.headers.get('authorization')}"
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        handler.reply(code, {"error": {"message": said, "code": error_code, "type": None}}, headers)

    return trouble


def hang() -> Trouble:
    """No answer for as long as the server lives."""

    def trouble(handler: _Handler, request: Request) -> None:
        handler.llm.stopping.wait()
        handler.close_connection = True

    return trouble


def body(content: str | bytes, content_type: str = "application/json") -> Trouble:
    """A 200 with any body."""
    sent = content.encode() if isinstance(content, str) else content
    return lambda handler, request: handler.send(200, sent, {"Content-Type": content_type})


def cut_off() -> Trouble:
    """A good answer of which the second half never comes."""

    def trouble(handler: _Handler, request: Request) -> None:
        whole = json.dumps(handler.llm.completion(request, "half of this is lost")).encode()
        handler.send(200, whole[: len(whole) // 2], {"Content-Type": "application/json"}, length=len(whole))
        handler.close_connection = True

    return trouble


def reset() -> Trouble:
    """The connection is torn down with an RST."""

    def trouble(handler: _Handler, request: Request) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.server.torn.add(handler.connection)
        handler.close_connection = True

    return trouble


def no_text(finish_reason: str = "stop") -> Trouble:
    """A good answer whose content is null."""

    def trouble(handler: _Handler, request: Request) -> None:
        handler.reply(200, handler.llm.completion(request, None, finish_reason))

    return trouble


def by_prompt(troubles: list[Trouble], share: float, *, times: int = 1) -> Callable[[Request], Trouble | None]:
    """Trouble for a share of the prompts, chosen by their hash, the first `times` they are asked."""
    asked: dict[str, int] = {}
    lock = threading.Lock()

    def script(request: Request) -> Trouble | None:
        with lock:
            before = asked.get(request.prompt, 0)
            asked[request.prompt] = before + 1
        digest = int(hashlib.sha256(request.prompt.encode()).hexdigest(), 16)
        unlucky = digest % 10_000 < share * 10_000
        return troubles[(digest // 10_000 + before) % len(troubles)] if unlucky and before < times else None

    return script


class ScriptedLLM:
    """The server; a context manager that serves from `__enter__` to `__exit__`.

    Args:
        answer: Prompt to answer.
        troubles: By number of the request, or a function of it; None is no trouble.
        usage: Prompt and completion tokens of every answer; None leaves usage out.
        delay_s: Before every answer [s].
        replay: Whether the Idempotency-Key of a billed request is honoured.
        log: Billed requests are appended here as JSON lines.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        answer: Callable[[str], str],
        *,
        troubles: Mapping[int, Trouble] | Callable[[Request], Trouble | None] | None = None,
        usage: tuple[int, int] | None = (11, 7),
        delay_s: float = 0.0,
        replay: bool = True,
        log: Path | None = None,
        port: int = 0,
    ) -> None:
        self.most_at_once = 0
        """The most requests that were in progress at one moment."""
        self.stopping = threading.Event()
        self.delay_s = delay_s
        self._answer = answer
        self._troubles = troubles if callable(troubles) else (lambda request: (troubles or {}).get(request.number))
        self._usage = usage
        self._replay = replay
        self._log = log
        self._requests: list[Request] = []
        self._billed: list[Request] = []
        self._paid: dict[str, Mapping[str, Any]] = {}
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.llm = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def requests(self) -> list[Request]:
        """Every request, in order of arrival."""
        with self._lock:
            return list(self._requests)

    @property
    def billed(self) -> list[Request]:
        """Those whose answer was completely written, in that order; whoever has an answer finds it here."""
        with self._lock:
            return list(self._billed)

    def __enter__(self) -> ScriptedLLM:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def completion(self, request: Request, text: str | None, finish_reason: str = "stop") -> Mapping[str, Any]:
        """The body of an answer."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage = {} if self._usage is None else dict(zip(names, (*self._usage, sum(self._usage)), strict=True))
        return {
            "id": f"chatcmpl-{request.number}",
            "object": "chat.completion",
            "created": 0,
            "model": request.body.get("model"),
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
            ],
            **({"usage": usage} if usage else {}),
        }

    def take(self, prompt: str, sent: Mapping[str, Any], headers: Mapping[str, str]) -> Request:
        """Write down that a request has come."""
        with self._lock:
            request = Request(len(self._requests), prompt, headers.get("idempotency-key"), sent, headers)
            self._requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return request

    def serve(self, handler: _Handler, request: Request) -> None:
        """Answer a request, or make the trouble that stands in the script for it."""
        try:
            if self.delay_s:
                self.stopping.wait(self.delay_s)
            with self._lock:
                paid = self._paid.get(request.key) if request.key and self._replay else None
            trouble = None if paid else self._troubles(request)
            if trouble is not None:
                trouble(handler, request)
                return
            completion = paid or self.completion(request, self._answer(request.prompt))
            with self._lock:  # nobody looks at the bill between the answer and its entry
                handler.reply(200, completion)
                self._bill(request, completion)
        finally:
            with self._lock:
                self._at_once -= 1

    def _bill(self, request: Request, completion: Mapping[str, Any]) -> None:
        if request.key and self._replay:
            if request.key in self._paid:
                return
            self._paid[request.key] = completion
        self._billed.append(request)
        if self._log is not None:
            line = asdict(request)
            del line["headers"]  # the key of the account is among them
            with self._log.open("a") as file:
                file.write(f"{json.dumps(line)}\n")


class _Server(ThreadingHTTPServer):
    llm: ScriptedLLM
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.torn: set[socket.socket] = set()
        """Connections that end without a goodbye."""
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        if request in self.torn:
            self.close_request(request)  # a shutdown would say goodbye
        else:
            super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what is kept alive, so that no thread waits for a client."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # it was closed already
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is part of the game; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for one answer
    server: _Server

    @property
    def llm(self) -> ScriptedLLM:
        return self.server.llm

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != PATH:
            self.reply(404, {"error": {"message": f"there is nothing at {self.path}", "code": None}})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.llm.serve(self, self.llm.take(str(sent["messages"][-1]["content"]), sent, headers))

    def reply(self, code: int, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self.send(code, json.dumps(answer).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send(self, code: int, content: bytes, headers: Mapping[str, str], *, length: int | None = None) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: tests are quiet."""


def main() -> None:
    """Serve until terminated; the address goes to --url-file once connections are taken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url-file", type=Path, required=True, help="where the base URL is written")
    parser.add_argument("--log", type=Path, required=True, help="where billed requests are written")
    parser.add_argument("--answer", default="A", help="module:function from prompt to answer, or the answer itself")
    parser.add_argument("--delay", type=float, default=0.0, help="before every answer [s]")
    parser.add_argument("--trouble-share", type=float, default=0.0, help="share of prompts that meet trouble first")
    parser.add_argument("--no-replay", action="store_true", help="do not honour Idempotency-Key")
    options = parser.parse_args()
    by_name = re.fullmatch(r"([\w.]+):(\w+)", options.answer)
    answer = getattr(importlib.import_module(by_name[1]), by_name[2]) if by_name else (lambda prompt: options.answer)
    troubles = [status(429, retry_after="0.05"), status(503), body('{"choices": ['), cut_off(), reset(), no_text()]
    script = by_prompt(troubles, options.trouble_share)
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    with ScriptedLLM(
        answer, troubles=script, delay_s=options.delay, replay=not options.no_replay, log=options.log
    ) as llm:
        ready = options.url_file.with_suffix(".new")
        ready.write_text(llm.base_url)
        ready.replace(options.url_file)  # whoever sees it sees all of it
        done.wait()


if __name__ == "__main__":
    main()
