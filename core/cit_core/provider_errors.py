"""Classify the exceptions of provider SDKs: why did an LLM give no answer, and may another attempt or another LLM help?

The core imports no SDK. Nearly all of them carry an HTTP status, a code and the response's headers under one of a few
names, and those that never saw a response are named after what happened. Texts are read but never kept: servers quote
prompts and keys in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import responses
from typing import Any

from cit_core._provider_words import (
    BROKEN_OFF,
    EXACT_CLASSES,
    GRPC_WORDS,
    HINTS,
    IN_A_STREAM,
    KEPT_BACK_TEXTS,
    KIND_OF_CLASS,
    KIND_OF_STATUS,
    KIND_OF_TEXT,
    KIND_OF_WORD,
    LIBRARIES,
    LIBRARY_TEXTS,
    MISREAD,
    NO_ROUTE,
    NOTHING,
    SHOWN,
    TRY_AGAIN,
    UNREADABLE,
    WITHOUT_TEXT,
    FaultKind,
)
from cit_core.errors import AnswerError, CITError, Refused, Transient

__all__ = [
    "Fault",
    "FaultKind",
    "answering",
    "classify",
    "from_exception",
    "from_library",
    "http_status",
    "require_text",
    "require_whole",
    "unavailable",
]

LONGEST_WAIT_S = 24 * 3600.0
"""A server that asks for more is taken to ask for this."""


@dataclass(frozen=True)
class Fault:
    """Kind of a provider's failure; holds nothing of its text.

    Attributes:
        kind: Kind of fault.
        status: The HTTP status, or the same number in the body of a response begun with 200.
        code: The provider's own word for it, such as `model_not_found`.
        retry_after_s: Wait that the server asks for [s].
    """

    kind: FaultKind
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return SHOWN[self.kind] if self.status is None else f"{SHOWN[self.kind]}, HTTP {self.status}"


def classify(error: BaseException) -> Fault | None:
    """Return why a provider gave no answer; None where the error is not a provider's.

    Args:
        error: The error. Its causes count as well, and all members of a group.
    """
    for cause in _causes(error):
        fault = _classify_one(cause)
        if fault is not None:
            return fault
    return None


def unavailable(error: BaseException) -> bool:
    """Return whether another LLM may answer where this one raised: true for every fault but an invalid request.

    Narrower than `Transient`, because whole chains are asked here: a text that is not JSON may be their own bug.

    Args:
        error: The error; its causes count as well.
    """
    fault = classify(error)
    return fault is not None and fault.kind != "invalid_request"


def from_exception(error: BaseException) -> Transient | Refused | None:
    """Translate an exception of any provider's client into `Transient` or `Refused`.

    Args:
        error: The error; its causes count as well.

    Returns:
        An error without the provider's text; None where this is no failure to answer but some other mistake.
    """
    if isinstance(error, (Transient, Refused)):
        return error
    fault = classify(error)
    if fault is not None:
        return _answer_error(fault, type(error).__name__)
    if any(_is_called(cause, UNREADABLE) for cause in _causes(error)):
        return Transient(f"no usable response ({type(error).__name__})")
    return None


def from_library(error: BaseException) -> Transient | Refused | None:
    """Classify an error as `from_exception` does, for code in which a library reads the response.

    Args:
        error: The library's error. Its own bugs look like a malformed response, and are tried again in vain.
    """
    known = from_exception(error)
    if known is None and isinstance(error, MISREAD) and not isinstance(error, CITError):
        return Transient(f"no usable response ({type(error).__name__})")
    return known


@contextmanager
def answering(translate: Callable[[Exception], Transient | Refused | None] = from_exception) -> Iterator[None]:
    """Turn what a provider's client raises within into `Transient` or `Refused`; raise anything else as it came.

    Args:
        translate: Makes one of the other.
    """
    try:
        yield
    except Exception as error:  # every provider has errors of its own
        known = translate(error)
        if known is None:
            raise
        raise known from None  # its traceback would print the provider's text


def require_text(text: object, finish_reason: object = None) -> str:
    """Return the text of an answer; an empty one is an answer unless the finish reason says why there is none.

    Raises:
        Refused: If the provider ended the answer before its text began.
        Transient: If there is no text, or the provider broke off within it.
    """
    require_whole(finish_reason)
    reason = finish_reason.lower() if isinstance(finish_reason, str) else ""
    if not text and reason in WITHOUT_TEXT:
        raise Refused(f"the answer has no text: {WITHOUT_TEXT[reason]}")
    if not isinstance(text, str):
        raise Transient("the answer has no text")
    return text


def require_whole(finish_reason: object) -> None:
    """Raise Transient where a finish reason says that the provider did not write an answer to its end."""
    if isinstance(finish_reason, str) and finish_reason.lower() in BROKEN_OFF:
        raise Transient("the provider broke off its answer")


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status that an exception carries under any of the names that providers use."""
    response = getattr(error, "response", None)
    found = [getattr(error, name, None) for name in ("status_code", "status", "code", "http_status")]
    found.append(getattr(response, "status_code", None))
    if isinstance(response, Mapping):
        found.append(_metadata(response).get("HTTPStatusCode"))
    return next((status for status in map(_as_status, found) if status is not None), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it was raised from, and so on."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, CITError) and not isinstance(cause, AnswerError):
            return
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__  # not __context__, which is the attempt before where a caller tries again


def _classify_one(error: BaseException) -> Fault | None:
    if isinstance(error, AnswerError):
        return _of_our_own(error)
    if _is_called(error, {"BaseExceptionGroup"}):  # by name: Python 3.10 has none, its backport has
        return _of_group(getattr(error, "exceptions", ()))
    reports = list(_reports(error))
    status, code = http_status(error), _code(reports)
    if status is None or status < 300:
        status = next((number for number in map(_number_in, reports) if number is not None), status)
    kind = _kind(error, reports, status)
    return None if kind is None else Fault(kind, status, code, _retry_after_s(_headers(error)))


def _of_our_own(error: AnswerError) -> Fault | None:
    if isinstance(error, Transient):
        kind: FaultKind = getattr(error, "kind", "rate_limit" if error.status == 429 else "unavailable")
        return Fault(kind, error.status, retry_after_s=error.retry_after_s)
    return None if error.status is None else Fault(_kind_of_status(error.status), error.status)


def _of_group(errors: Sequence[BaseException]) -> Fault | None:
    """Classify a group by its first error, if all of them are faults: one mistake among them means no outage."""
    faults = [classify(error) for error in errors]
    return faults[0] if faults and None not in faults else None


def _kind(error: BaseException, reports: Sequence[object], status: int | None) -> FaultKind | None:
    named = next((KIND_OF_CLASS[name] for name in _class_names(error) if name in KIND_OF_CLASS), None)
    if _is_called(error, EXACT_CLASSES):
        return named
    words = [kind for kind in map(_kind_of_report, reports) if kind is not None]
    word = next((kind for kind in words if kind != "invalid_request"), None)
    if status is None and not words:
        return named or _kind_without_report(error)
    if word is not None or status in (401, 404, 408, 429):
        return word or _kind_of_status(status or 200)
    text = _text(reports)
    found = next((kind for kind, pattern in KIND_OF_TEXT if pattern.search(text)), None)
    return found or named or ("invalid_request" if words and (status or 200) < 300 else _kind_of_status(status or 200))


def _kind_of_status(status: int) -> FaultKind:
    outside = status < 400 or status >= 500  # a redirect is no answer either
    return KIND_OF_STATUS.get(status, "unavailable" if outside else "invalid_request")


def _kind_without_report(error: BaseException) -> FaultKind | None:
    """Classify an error without status or code: a broken connection, or one that a library describes in its text."""
    unreachable = isinstance(error, OSError) and error.errno in NO_ROUTE
    in_a_stream = type(error).__name__ in IN_A_STREAM and hasattr(error, "body")
    retryable = getattr(error, "is_retryable", None) is True  # LangChain's ModelError
    if unreachable or in_a_stream or retryable:
        return "unavailable"
    if isinstance(error, (RuntimeError, ValueError)) and str(error).startswith(KEPT_BACK_TEXTS):
        return "content_filter"
    texts = isinstance(error, (OSError, TypeError, ValueError)) and str(error).startswith(LIBRARY_TEXTS)
    nothing = isinstance(error, TypeError) and NOTHING in str(error)
    misread = nothing or isinstance(error, (AttributeError, LookupError))
    return "unavailable" if texts or (misread and _raised_in(error).startswith(LIBRARIES)) else None


def _raised_in(error: BaseException) -> str:
    """Return the name of the module that raised an error."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else str(place.tb_frame.f_globals.get("__name__", ""))


def _reports(error: BaseException) -> Iterator[object]:
    """Yield all that may hold a provider's words for what went wrong."""
    if _is_called(error, {"RpcError"}):
        yield from _grpc_report(error)
        return
    if any(hasattr(error, name) for name in ("body", "response", "details")):
        yield error
    said = error.args[0] if error.args else None
    bodies = [getattr(error, "body", None), getattr(error, "response", None), getattr(error, "details", None), said]
    for body in bodies:
        first = body[0] if isinstance(body, list) and body else body
        if isinstance(first, Mapping):
            yield first
            yield from (inner for name in ("error", "Error") if isinstance(inner := first.get(name), Mapping))
        elif first is said and isinstance(getattr(said, "code", None), str) and hasattr(said, "message"):
            yield said  # an object of the OpenAI SDK, in a ValueError of langchain-openai


def _grpc_report(error: BaseException) -> Iterator[Mapping[str, object]]:
    """Yield the status of a gRPC error, a member of an enum, and its text."""
    code, details = (getattr(error, name, None) for name in ("code", "details"))
    status = getattr(code() if callable(code) else code, "name", None)
    if isinstance(status, str):
        yield {"code": GRPC_WORDS.get(status, status), "message": details() if callable(details) else None}


def _field(report: object, name: str) -> object:
    return report.get(name) if isinstance(report, Mapping) else getattr(report, name, None)


def _kind_of_report(report: object) -> FaultKind | None:
    for name in ("code", "Code", "error_code", "type", "status", "reason"):
        word = _field(report, name)
        if isinstance(word, str) and (kind := KIND_OF_WORD.get(_normal(word))) is not None:
            return kind
    return None


def _normal(word: str) -> str:
    return re.sub(r"(error|exception)+$", "", re.sub(r"[^a-z]", "", word[:80].lower()))


def _number_in(report: object) -> int | None:
    """Return the HTTP status that a body holds as its code, a number or digits."""
    code = _field(report, "code")
    return _as_status(int(code) if isinstance(code, str) and re.fullmatch("[1-5][0-9][0-9]", code) else code)


def _as_status(status: object) -> int | None:
    number = isinstance(status, int) and not isinstance(status, bool)
    return int(status) if number and 100 <= status <= 599 else None  # type: ignore[operator,call-overload]


def _text(reports: Sequence[object]) -> str:
    """Return what a provider says, in lower case; not what HTTP libraries say, which holds the address."""
    said = (_field(report, name) for report in reports for name in ("message", "Message", "error"))
    return " ".join(text[:4000] for text in said if isinstance(text, str)).lower()


def _is_called(error: BaseException, names: frozenset[str] | set[str]) -> bool:
    return any(name in names for name in _class_names(error))


def _class_names(error: BaseException) -> Iterator[str]:
    return (kind.__name__ for kind in type(error).__mro__)


def _answer_error(fault: Fault, name: str) -> Transient | Refused:
    """Translate a fault; where there is an HTTP status it decides whether another attempt may help."""
    status = fault.status if fault.status is not None and fault.status >= 300 else None
    if status is None:
        again, fatal = fault.kind in ("unavailable", "rate_limit"), fault.kind in HINTS
        unread = fault.status is not None and fault.kind == "unavailable"
        what = "no usable response" if fault.kind == "unavailable" else str(fault)
        message = f"HTTP {fault.status}, and a body that cannot be read" if unread else f"{what} ({name})"
    else:
        again = (status in TRY_AGAIN or status >= 500) and fault.kind != "quota"
        fatal = status in (401, 402, 403, 404) or (status == 429 and fault.kind == "quota")
        message = " ".join(filter(None, (f"HTTP {status}", responses.get(status), fault.code and f"({fault.code})")))
    if again:
        return Transient(message, status=fault.status, retry_after_s=fault.retry_after_s)
    hint = f": {HINTS[fault.kind]}" if fatal and fault.kind in HINTS else ""
    return Refused(f"{message}{hint}", status=fault.status, fatal=fatal)


def _code(reports: Sequence[object]) -> str | None:
    """Return the provider's own word, such as `model_not_found`; nothing that could be a text or a key."""
    codes = (_field(report, name) for report in reports for name in ("code", "Code"))
    fit = (code for code in codes if isinstance(code, str) and len(code) <= 40 and _WORD.fullmatch(code))
    return next(fit, None)


_WORD = re.compile(r"[a-z]+(_[a-z]+)*|[A-Za-z]+Exception")


def _headers(error: BaseException) -> Mapping[str, Any]:
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        headers: Any = _metadata(response).get("HTTPHeaders")
    else:
        headers = getattr(response, "headers", None) or getattr(error, "headers", None)
    return headers if hasattr(headers, "get") else {}


def _metadata(response: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = response.get("ResponseMetadata")  # as botocore calls it
    return metadata if isinstance(metadata, Mapping) else {}


def _retry_after_s(headers: Mapping[str, Any]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000.0, LONGEST_WAIT_S)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is None and text is not None:
        seconds = _seconds_until(str(text))
    return None if seconds is None else min(seconds, LONGEST_WAIT_S)


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _seconds_until(date: str) -> float | None:
    """Return the time until an HTTP date (RFC 9110, section 10.2.3)."""
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
