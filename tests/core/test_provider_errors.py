"""What providers' clients raise is told apart: by status, code, class and text, wherever they put it."""

import asyncio
import errno
import http.client
import json
import socket
import ssl
import sys
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest

from cit_core.errors import InvalidInput, NoCandidate, Refused, Transient
from cit_core.provider_errors import Fault, classify, from_exception, unavailable

REQUEST = httpx.Request("POST", "http://localhost/v1?api_key=SECRET")


def status_error(status: int, body: object = None, message: str = "x") -> openai.APIStatusError:
    return openai.APIStatusError(message, response=httpx.Response(status, request=REQUEST), body=body)


def in_stream(body: object) -> openai.APIError:
    """As the OpenAI SDK raises it for an error inside a stream that was begun with HTTP 200."""
    return openai.APIError("SECRET", REQUEST, body=body)


def anthropic(kind: str, message: str = "SECRET", status: int = 200) -> Exception:
    """As the Anthropic SDK makes it, of a response or of an SSE event."""
    error: Any = type("APIStatusError", (Exception,), {})("SECRET")
    error.body = {"type": "error", "error": {"type": kind, "message": message}}
    error.status_code, error.type, error.response = status, kind, httpx.Response(status, request=REQUEST)
    return error


def boto(code: str, message: str = "SECRET", status: int | None = None) -> Exception:
    """As botocore's ClientError and EventStreamError."""
    error: Any = type("ClientError", (Exception,), {})("SECRET")
    error.response = {"Error": {"Code": code, "Message": message}}
    if status is not None:
        error.response["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "3"}}
    return error


def google(status: int, word: str, message: str = "SECRET") -> Exception:
    """As google-genai's APIError."""
    error: Any = type("ClientError", (Exception,), {})("SECRET")
    error.code, error.status, error.message = status, word, message
    error.details = {"error": {"code": status, "status": word, "message": message}}
    return error


def named(name: str, *, parent: type[Exception] = Exception, **attributes: Any) -> Exception:
    error = type(name, (parent,), {})("SECRET")
    vars(error).update(attributes)
    return error


def raised_from(cause: Exception) -> Exception:
    error = RuntimeError("what a wrapper says")
    error.__cause__ = cause
    return error


def grpc(status: str, details: str = "SECRET") -> Exception:
    """Make an error as gRPC's, whose code is a method that returns a member of an enum."""
    member = SimpleNamespace(name=status, value=(0, status.lower()))
    kind = type("_InactiveRpcError", (type("RpcError", (Exception,), {}),), {})
    error = kind()
    error.code, error.details = (lambda: member), (lambda: details)
    return error


FAULTS = {
    # no connection, or half of one
    "unavailable": [
        TimeoutError(),
        asyncio.TimeoutError(),
        ConnectionResetError(),
        socket.gaierror(-2, "Name or service not known"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 101] Network is unreachable"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        ssl.SSLCertVerificationError(1, "certificate has expired"),
        http.client.IncompleteRead(b""),
        http.client.RemoteDisconnected(),
        httpx.ConnectTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.DecodingError("x"),
        openai.APITimeoutError(REQUEST),
        openai.APIConnectionError(request=REQUEST),
        openai.APIResponseValidationError(httpx.Response(200, request=REQUEST), None),
        named("ReadTimeoutError", parent=type("HTTPClientError", (Exception,), {})),
        raised_from(httpx.ReadTimeout("x")),
        Transient("overloaded", status=503),
        named("ModelTimeoutError", is_retryable=True),
        named("Custom", is_retryable=True),
        # a 5xx, also one inside a stream or a body with status 200
        status_error(302),
        status_error(408),
        status_error(500),
        status_error(529),
        status_error(500, {"type": "invalid_request_error", "code": None, "message": "x"}),
        in_stream({"message": "The server had an error", "type": "server_error", "code": None}),
        in_stream({"message": "Provider disconnected", "code": 502}),
        in_stream({"message": "Provider disconnected", "code": "503"}),
        in_stream({"message": "something new", "type": "a_word_of_tomorrow"}),
        in_stream("not even an object"),
        ValueError({"message": "Provider returned error", "code": 502}),
        anthropic("overloaded_error"),
        anthropic("api_error"),
        anthropic("timeout_error"),
        boto("internalServerException"),
        boto("modelStreamErrorException"),
        boto("serviceUnavailableException", status=503),
        google(503, "UNAVAILABLE"),
        *map(grpc, ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "ABORTED")),
        # Groq's 400s for what its model wrote
        *(
            status_error(400, {"message": "Failed to", "type": "invalid_request_error", "code": code})
            for code in ("tool_use_failed", "json_validate_failed", "output_parse_failed")
        ),
        # nothing at all, and what is no answer
        ValueError("No generation chunks were returned"),
        ValueError("No generations found in stream."),
        TypeError("Received response with null value for `choices`."),
        ValueError("Unexpected response type from OpenAI-compatible endpoint. Expected a dict"),
    ],
    "rate_limit": [
        status_error(429),
        in_stream({"message": "Rate limit", "type": "tokens", "code": "rate_limit_exceeded"}),
        in_stream({"message": "x", "code": 429}),
        status_error(413, {"message": "Request too large for model", "code": "rate_limit_exceeded"}),
        anthropic("rate_limit_error"),
        boto("ThrottlingException", status=400),
        boto("throttlingException"),
        google(429, "RESOURCE_EXHAUSTED"),
        grpc("RESOURCE_EXHAUSTED"),
        Transient("slower", status=429),
        named("ModelRateLimitError", is_retryable=True),
    ],
    "quota": [
        status_error(402),
        status_error(429, {"code": "insufficient_quota", "type": "insufficient_quota"}),
        in_stream({"code": 402, "message": "Insufficient credits"}),
        anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API.", 400),
    ],
    "authentication": [
        status_error(401),
        status_error(401, {"code": "invalid_api_key", "type": "invalid_request_error"}),
        google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        boto("ExpiredTokenException", status=400),
        named("NoCredentialsError"),
        grpc("UNAUTHENTICATED"),
        Refused("is the key right?", status=401),
    ],
    "permission": [
        status_error(403),
        grpc("PERMISSION_DENIED"),
        boto("AccessDeniedException", status=400),
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    ],
    "not_found": [
        status_error(404),
        status_error(410),
        status_error(400, {"code": "model_decommissioned", "message": "x"}),
        boto("ValidationException", "The provided model identifier is invalid.", 400),
        boto("ResourceNotFoundException", "This model version has reached the end of its life.", 404),
        named("ModelNotFoundError"),
        grpc("NOT_FOUND"),
    ],
    "context_length": [
        status_error(400, {"code": "context_length_exceeded", "type": "invalid_request_error"}),
        status_error(413),
        in_stream({"code": "context_length_exceeded", "message": "x"}),
        anthropic("invalid_request_error", "prompt is too long: 214000 tokens > 200000 maximum", 400),
        status_error(400, {"message": "This model's maximum context length is 4096 tokens.", "code": 400}),
        boto("ValidationException", "Input is too long for requested model.", 400),
        google(400, "INVALID_ARGUMENT", "The input token count (12) exceeds the maximum number of tokens allowed (9)."),
        named("ContextOverflowError", status_code=400),
        grpc("INVALID_ARGUMENT", "prompt is too long"),
        *(
            status_error(400, {"message": said, "code": 400})
            for said in (
                "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
                "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
                "Invalid request: Your request exceeded model token limit: 8192",
                "Range of input length should be [1, 30720]",
                "Prompt has 260000 tokens, but the maximum is 256000",
                "prompt token count of 70000 exceeds the limit of 64000",
                "Prompt exceeds max length",
                "Your prompt of 9000 words exceeds the model's maximum",
                "Requested length exceeds the maximum number of input tokens, 8192",
                "prompt tokens too long",
            )
        ),
    ],
    "content_filter": [
        RuntimeError("Response was terminated early: SAFETY"),  # LlamaIndex, of Gemini
        ValueError("Response has no candidates"),
        status_error(400, {"code": "content_filter", "message": "x"}),
        status_error(400, {"code": "content_policy_violation", "message": "x"}),
        status_error(403, {"message": "Your input was flagged", "code": 403}),
        anthropic("invalid_request_error", "Output blocked by content filtering policy", 400),
        named("OpenAIRefusalError"),
        named("ModelRefusalError"),
    ],
    "invalid_request": [
        status_error(400),
        status_error(422),
        status_error(400, {"message": "max_tokens is too large: this model supports at most 4096", "code": 400}),
        *(
            status_error(400, {"message": said, "code": 400})
            for said in (
                "n exceeds max value 8",
                "tools list exceeds max length 128",
                "max_tokens exceeds the maximum of 8192",
                "Input validation error: `inputs` must have type string",
                "Invalid tool name: tokens too long",
            )
        ),
        grpc("INVALID_ARGUMENT"),
        status_error(400, {"message": "Invalid value for 'temperature'", "type": "invalid_request_error"}),
        in_stream({"type": "invalid_request_error", "message": "tools[0] is not valid"}),
        anthropic("invalid_request_error", "messages: roles must alternate"),
        Refused("no", status=400),
    ],
}


@pytest.mark.parametrize(("kind", "error"), [(kind, error) for kind, errors in FAULTS.items() for error in errors])
def test_a_fault_is_told_by_whatever_its_client_says(kind: str, error: Exception) -> None:
    fault = classify(error)
    assert fault is not None
    assert fault.kind == kind
    assert unavailable(error) == (kind != "invalid_request")
    assert "SECRET" not in f"{fault} {fault.code} {from_exception(error)}"


MISTAKES = [
    ValueError("prompt is too long"),
    KeyError("x"),
    RuntimeError("timeout"),
    FileNotFoundError(errno.ENOENT, "x"),
    PermissionError(errno.EACCES, "x"),
    json.JSONDecodeError("x", "y", 0),
    named("ApplicationError", code="not_found"),
    named("ApplicationError", type="timeout"),
    NoCandidate({"a": "denied"}),
    InvalidInput("x"),
    Refused("the answer has no text"),
]


@pytest.mark.parametrize("error", MISTAKES, ids=lambda error: type(error).__name__)
def test_a_mistake_is_no_fault_of_a_provider(error: Exception) -> None:
    assert classify(error) is None
    assert not unavailable(error)


def group(*errors: Exception) -> Exception:
    return ExceptionGroup("several", list(errors))  # noqa: F821


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no exception groups")
def test_a_group_of_timeouts_is_a_timeout_and_one_with_a_mistake_is_a_mistake() -> None:
    assert classify(group(TimeoutError(), group(ConnectionError(), TimeoutError()))) == Fault("unavailable")
    assert classify(raised_from(group(TimeoutError()))) == Fault("unavailable")
    assert classify(group(TimeoutError(), KeyError("mine"))) is None


@pytest.mark.parametrize("code", ["{}['choices']", "a = None; a[0]", "len(None)", "[x for x in None]", "None.choices"])
def test_what_a_library_misses_in_a_response_is_a_fault_and_in_ones_own_code_a_mistake(code: str) -> None:
    for module, kind in (("langchain_openai.chat_models.base", Fault("unavailable")), ("my_chain", None)):
        with pytest.raises((KeyError, TypeError, AttributeError)) as caught:
            exec(code, {"__name__": module})
        assert classify(caught.value) == kind
    for mistake in ("len(1)", "raise ValueError('invalid input NoneType')"):
        with pytest.raises((TypeError, ValueError)) as caught:
            exec(mistake, {"__name__": "langchain_openai.chat_models.base"})
        assert classify(caught.value) is None


def test_how_long_to_wait_is_bounded() -> None:
    headers = {"retry-after": "1e9"}
    error = openai.RateLimitError("x", response=httpx.Response(429, request=REQUEST, headers=headers), body=None)
    assert classify(error) == Fault("rate_limit", 429, None, 24 * 3600.0)
    assert classify(boto("ThrottlingException", status=429)) == Fault("rate_limit", 429, "ThrottlingException", 3.0)


def test_an_address_is_no_text_of_a_provider() -> None:
    response = httpx.Response(400, request=httpx.Request("GET", "http://localhost/model?api_key=none&content_filter=1"))
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()
    assert classify(caught.value) == Fault("invalid_request", 400)
