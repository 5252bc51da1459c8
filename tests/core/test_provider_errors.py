"""The exceptions of providers, most of them not installed here: which failures another attempt may change."""

from __future__ import annotations

import asyncio
import json
import pickle
import urllib.error
from collections.abc import Callable
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cit_core.errors import InvalidInput, Refused, Transient
from cit_core.provider_errors import answering, from_exception


def _error(cause: BaseException | None = None, *, kind: type[Exception] = Exception, **attributes: Any) -> Exception:
    error = kind("SECRET")
    vars(error).update(attributes)
    error.__cause__ = cause
    return error


def _named(name: str, *parents: type[Exception]) -> Exception:
    return _error(kind=type(name, parents or (Exception,), {}))


def _botocore(code: int) -> Exception:
    return _error(response={"ResponseMetadata": {"HTTPStatusCode": code, "HTTPHeaders": {"retry-after": "3"}}})


def _urllib(code: int) -> Exception:
    headers = Message()
    headers["Retry-After"] = "3"
    return urllib.error.HTTPError("http://SECRET", code, "SECRET", headers, None)


@pytest.mark.parametrize(
    "make",
    [
        lambda code: _error(status_code=code, response=SimpleNamespace(headers={"retry-after": "3"})),
        lambda code: _error(response=SimpleNamespace(status_code=code, headers={"retry-after": "3"})),  # httpx
        lambda code: _error(status=code, headers={"retry-after": "3"}),  # aiohttp
        lambda code: _error(code=code, headers={"retry-after": "3"}),  # google
        lambda code: _error(_error(code=code, headers={"retry-after": "3"}), kind=ValueError),  # one within another
        _botocore,
        _urllib,
    ],
)
def test_the_status_is_found_wherever_a_provider_puts_it(make: Callable[[int], Exception]) -> None:
    slower, wrong = from_exception(make(429)), from_exception(make(401))
    assert isinstance(slower, Transient)
    assert (slower.status, slower.retry_after_s) == (429, 3.0)
    assert isinstance(wrong, Refused)
    assert (wrong.status, wrong.fatal) == (401, True)
    assert "SECRET" not in f"{slower} {wrong}"


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("SECRET"),
        asyncio.TimeoutError("SECRET"),
        ConnectionResetError("SECRET"),
        json.JSONDecodeError("SECRET", "", 0),
        urllib.error.URLError("SECRET"),
        _named("APITimeoutError", type("APIConnectionError", (Exception,), {})),
        _named("ReadError", type("TransportError", (Exception,), {})),
        _error(TimeoutError("SECRET"), kind=RuntimeError),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_never_saw_a_response_is_worth_another_attempt(error: Exception) -> None:
    known = from_exception(error)
    assert isinstance(known, Transient)
    assert type(error).__name__ in str(known)
    assert "SECRET" not in str(known)


def test_other_mistakes_are_nobodys_failure_to_answer() -> None:
    mistakes = [KeyError("x"), FileNotFoundError("x"), InvalidInput("x"), _error(code="x"), _error(status_code=True)]
    mistakes.append(_error(json.JSONDecodeError("x", "", 0), kind=InvalidInput))
    assert [from_exception(error) for error in mistakes] == [None] * len(mistakes)
    refused = Refused("no", status=400)
    assert from_exception(refused) is refused


def test_a_mistake_in_a_second_attempt_is_not_taken_for_the_trouble_of_the_first() -> None:
    try:
        raise Transient("first")
    except Transient:
        with pytest.raises(KeyError), answering():
            raise KeyError("second")  # noqa: B904  # its __context__ is the first


def test_causes_that_go_in_a_circle_come_to_an_end() -> None:
    error = _error(kind=RuntimeError)
    error.__cause__ = _error(error, kind=ValueError)
    assert from_exception(error) is None


@given(st.integers(100, 599))
def test_every_status_is_one_or_the_other(code: int) -> None:
    known = from_exception(_error(status_code=code))
    assert known is not None
    again = code in (408, 409, 425, 429) or not 300 <= code <= 499
    assert isinstance(known, Transient if again else Refused)
    assert pickle.loads(pickle.dumps(known)).status == code


def test_retry_after_in_milliseconds_is_more_exact() -> None:
    headers = {"retry-after": "1", "retry-after-ms": "250"}
    error = from_exception(_error(status_code=429, response=SimpleNamespace(headers=headers)))
    assert isinstance(error, Transient)
    assert error.retry_after_s == 0.25


@given(st.text(), st.none() | st.text())
def test_no_retry_after_can_break_anything(header: str, milliseconds: str | None) -> None:
    headers = {"retry-after": header, **({} if milliseconds is None else {"retry-after-ms": milliseconds})}
    error = from_exception(_error(status_code=429, response=SimpleNamespace(headers=headers)))
    assert isinstance(error, Transient)
    assert error.retry_after_s is None or 0.0 <= error.retry_after_s < float("inf")
