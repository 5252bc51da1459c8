"""Why an LLM gave no answer: whether asking again may help, told from what its client raised.

Every provider has exceptions of its own, and the core imports none of them. Nearly all carry the HTTP status and the
response's headers under one of a few names, and those that never saw a response are called after what happened.
Their texts are left behind: servers quote prompts and keys in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import responses
from typing import Any

from cit_core.errors import CITError, Refused, Transient

__all__ = ["answering", "from_exception", "from_library", "http_status", "require_text", "unavailable"]

TRY_AGAIN = frozenset({408, 409, 425, 429})
"""The 4xx statuses that another attempt may change."""
NO_CONNECTION = frozenset(
    {
        *("ConnectionError", "TimeoutError"),  # Python, and whoever names theirs alike
        *("TimeoutException", "TransportError"),  # httpx
        "APIConnectionError",  # openai, anthropic
        *("ChunkedEncodingError", "Timeout"),  # requests
        *("ClientConnectionError", "ClientPayloadError"),  # aiohttp
        *("HTTPClientError", "IncompleteRead", "URLError"),  # botocore, http.client, urllib
    }
)
"""Names of exception classes that mean: no response, or half of one."""
NO_RESPONSE = NO_CONNECTION | {"APIResponseValidationError", "JSONDecodeError"}
"""As `NO_CONNECTION`, or one that cannot be read."""
MISREAD = (AttributeError, LookupError, TypeError, ValueError)
"""What code raises that takes a response for one that is as promised."""
HINTS = {
    401: "is the key right?",
    402: "the account has no money left",
    403: "may this key use this model?",
    404: "are the model's name and the server's address right?",
}
QUOTA = "insufficient_quota"
"""OpenAI's code for an account without money; it comes as a 429 that no waiting mends."""
WITHOUT_TEXT = {
    **dict.fromkeys(("length", "max_tokens"), "max_tokens was used up before it began"),
    **dict.fromkeys(("content_filter", "refusal"), "the provider kept it back"),
}
"""Finish reasons, as providers call them, that come again if the question does."""


def require_text(text: object, finish_reason: object = None) -> str:
    """The text of an answer; an empty one is an answer unless the finish reason tells why it is none.

    Raises:
        Refused: If the provider ended the answer before its text began.
        Transient: If there is no text.
    """
    if not text and isinstance(finish_reason, str) and finish_reason in WITHOUT_TEXT:
        raise Refused(f"the answer has no text: {WITHOUT_TEXT[finish_reason]}")
    if not isinstance(text, str):
        raise Transient("the answer has no text")
    return text


def from_exception(error: BaseException) -> Transient | Refused | None:
    """Tell from an exception of any provider's client whether asking again may help.

    Args:
        error: What was raised; what it was raised from counts as well.

    Returns:
        An error without the provider's text, or None where this is no failure to answer but some other mistake.
    """
    if isinstance(error, (Transient, Refused)):
        return error
    for cause in _causes(error):
        status = http_status(cause)
        if status is not None:
            return _from_status(cause, status)
        if _is_called(cause, NO_RESPONSE):
            return Transient(f"no usable response ({type(error).__name__})")
    return None


def unavailable(error: BaseException) -> bool:
    """Whether somebody else may answer where this was raised: a timeout, no connection, a rate limit or a 5xx.

    Narrower than `Transient`, because whole chains are asked here: a text that is no JSON is their own affair.

    Args:
        error: What was raised; what it was raised from counts as well.
    """
    if isinstance(error, Transient):
        return True
    for cause in _causes(error):
        status = http_status(cause)
        if status is not None:
            return status in {408, 429} or status >= 500
        if _is_called(cause, NO_CONNECTION) or getattr(cause, "is_retryable", None) is True:  # LangChain's ModelError
            return True
    return False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and not isinstance(cause, CITError):
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__  # not __context__, which is the attempt before where a caller tries again


def _is_called(error: BaseException, names: frozenset[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def from_library(error: BaseException) -> Transient | Refused | None:
    """As `from_exception`, where a library reads the response: most of them trip over a body that is not as promised.

    Args:
        error: What the library raised. Its own mistakes look the same, and are tried again in vain.
    """
    known = from_exception(error)
    if known is None and isinstance(error, MISREAD) and not isinstance(error, CITError):
        return Transient(f"no usable response ({type(error).__name__})")
    return known


@contextmanager
def answering(tell: Callable[[Exception], Transient | Refused | None] = from_exception) -> Iterator[None]:
    """Turn what a provider's client raises within into `Transient` or `Refused`; what is neither passes as it came.

    Args:
        tell: What tells them apart.
    """
    try:
        yield
    except Exception as error:  # every provider has errors of its own
        known = tell(error)
        if known is None:
            raise
        raise known from None  # its traceback would print the provider's text


def http_status(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, under any of the names that providers use."""
    response = getattr(error, "response", None)
    found = [getattr(error, name, None) for name in ("status_code", "status", "code", "http_status")]
    found.append(getattr(response, "status_code", None))
    if isinstance(response, Mapping):
        found.append(_metadata(response).get("HTTPStatusCode"))
    return next((int(status) for status in found if isinstance(status, int) and 100 <= status <= 599), None)


def _from_status(error: BaseException, status: int) -> Transient | Refused:
    code = _code(error)
    if status < 300:
        return Transient(f"HTTP {status}, and a body that cannot be read", status=status)
    message = " ".join(filter(None, (f"HTTP {status}", responses.get(status), code and f"({code})")))
    if code == QUOTA:
        return Refused(f"{message}: {HINTS[402]}", status=status, fatal=True)
    if status in TRY_AGAIN or status >= 500:
        return Transient(message, status=status, retry_after_s=_retry_after_s(_headers(error)))
    return Refused(f"{message}: {HINTS[status]}" if status in HINTS else message, status=status)


def _code(error: BaseException) -> str | None:
    """The provider's own word for it, such as `model_not_found`; nothing that could be a text or a key."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", code) and len(code) <= 40 else None


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
        return milliseconds / 1000.0
    text = headers.get("retry-after")
    seconds = _number(text)
    return _seconds_until(str(text)) if seconds is None and text is not None else seconds


def _number(text: object) -> float | None:
    try:
        number = float(str(text))
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _seconds_until(date: str) -> float | None:
    """Until an HTTP date (RFC 9110, section 10.2.3)."""
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
