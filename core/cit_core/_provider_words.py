"""Tables of provider SDKs' errors: kind of fault by status, class name, code and text.

Collected from the SDKs themselves and from public bug reports; `provider_errors` reads them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from typing import Literal

__all__ = [
    "BROKEN_OFF",
    "CUT_OFF",
    "EXACT_CLASSES",
    "GRPC_WORDS",
    "HINTS",
    "IN_A_STREAM",
    "KEPT_BACK",
    "KEPT_BACK_TEXTS",
    "KIND_OF_CLASS",
    "KIND_OF_STATUS",
    "KIND_OF_TEXT",
    "KIND_OF_WORD",
    "LIBRARIES",
    "LIBRARY_TEXTS",
    "MISREAD",
    "MISWRITTEN",
    "NOTHING",
    "NO_ROUTE",
    "SHOWN",
    "TRY_AGAIN",
    "UNREADABLE",
    "WITHOUT_TEXT",
    "FaultKind",
]

FaultKind = Literal[
    "unavailable",
    "rate_limit",
    "quota",
    "authentication",
    "permission",
    "not_found",
    "context_length",
    "content_filter",
    "invalid_request",
]
"""`unavailable`: a timeout, no connection, a 5xx, an overloaded server, a response without an answer, a call
or JSON that the model itself wrote wrong (Groq's 400). `quota`: no money
left. `not_found`: an unknown or retired model. `invalid_request`: every other 4xx, which is about the question."""

KIND_OF_STATUS: Mapping[int, FaultKind] = {
    401: "authentication",
    402: "quota",
    403: "permission",
    404: "not_found",
    408: "unavailable",
    410: "not_found",
    413: "context_length",
    425: "unavailable",
    429: "rate_limit",
}

KIND_OF_CLASS: Mapping[str, FaultKind] = {
    **dict.fromkeys(("ConnectionError", "TimeoutError"), "unavailable"),  # Python, and libraries with its names
    **dict.fromkeys(("gaierror", "herror", "SSLError"), "unavailable"),  # no such host, TLS broken off
    **dict.fromkeys(("BadStatusLine", "IncompleteRead", "IncompleteReadError", "URLError"), "unavailable"),
    **dict.fromkeys(("DecodingError", "TimeoutException", "TransportError"), "unavailable"),  # httpx
    **dict.fromkeys(("NetworkError", "ProtocolError"), "unavailable"),  # httpcore, urllib3
    **dict.fromkeys(("APIConnectionError", "APIResponseValidationError"), "unavailable"),  # openai, anthropic
    **dict.fromkeys(("ChunkedEncodingError", "Timeout"), "unavailable"),  # requests
    **dict.fromkeys(("ClientConnectionError", "ClientPayloadError"), "unavailable"),  # aiohttp
    **dict.fromkeys(
        ("HTTPClientError", "ServiceRequestError", "ServiceResponseError"), "unavailable"
    ),  # botocore, azure
    **dict.fromkeys(("ModelAPIError", "ModelConnectionError", "ModelTimeoutError"), "unavailable"),  # LangChain
    "ModelRateLimitError": "rate_limit",
    "ModelAuthenticationError": "authentication",
    "ModelPermissionDeniedError": "permission",
    "ModelNotFoundError": "not_found",
    "ModelInvalidRequestError": "invalid_request",
    **dict.fromkeys(("ContextOverflowError", "ContextWindowExceededError"), "context_length"),  # LangChain, LiteLLM
    **dict.fromkeys(("ModelRefusalError", "OpenAIRefusalError"), "content_filter"),  # LangChain, of structured outputs
    "ContentPolicyViolationError": "content_filter",
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"), "authentication"),
    **dict.fromkeys(("CredentialsError", "DefaultCredentialsError", "RefreshError"), "authentication"),
}
"""Kind of fault by the name of the exception class, where there is no status; base classes count too."""
EXACT_CLASSES = frozenset({"ContextOverflowError", "ContextWindowExceededError", "ContentPolicyViolationError"})
"""Classes that say more than the status they come with."""
UNREADABLE = frozenset({"APIResponseValidationError", "JSONDecodeError"})
"""Errors of a malformed response: another attempt may help, but in a chain the chain itself may be the cause."""
IN_A_STREAM = frozenset({"APIError"})
"""Errors that openai and anthropic raise bare if an error arrives inside a response begun with HTTP 200."""
MISREAD = (AttributeError, LookupError, TypeError, ValueError)
"""Errors of code that expects a well-formed response and gets another one."""
NOTHING = "NoneType"
"""In the text of a TypeError where code reads on in what is not there."""
LIBRARY_TEXTS = (
    "No generation chunks were returned",  # langchain-core, of an empty stream
    "No generations found in stream",  # the same
    "Received response with null value for",  # langchain-openai
    "Unexpected response type from",  # langchain-openai, of a gateway's page
    "Multiple exceptions: [Errno",  # asyncio, of several addresses that cannot be reached
)
"""Beginnings of texts that libraries put into a plain ValueError, TypeError or OSError."""
KEPT_BACK_TEXTS = ("Response was terminated early", "Response has no candidates")
"""Beginnings of texts of LlamaIndex's class for Gemini, in a plain error, where it has no whole answer."""
LIBRARIES = (
    *("openai", "anthropic", "google.genai", "mistralai", "cohere", "groq", "botocore", "ollama"),
    *("langchain_core.language_models", "langchain_openai", "langchain_anthropic", "langchain_aws"),
    *("langchain_google", "langchain_mistralai", "langchain_groq", "langchain_cohere", "langchain_ollama"),
    "llama_index.llms",
)
"""Modules that read responses: a missing key or entry that is raised there means a body that is not as promised."""
GRPC_WORDS = {
    **dict.fromkeys(("UNKNOWN", "CANCELLED", "DATA_LOSS"), "UNAVAILABLE"),
    "UNIMPLEMENTED": "NOT_FOUND",
    "OUT_OF_RANGE": "INVALID_ARGUMENT",
}
"""Status of gRPC to another one that means the same to a caller; the others are words of `KIND_OF_WORD`."""
NO_ROUTE = frozenset(
    getattr(errno, name)
    for name in ("EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOTCONN", "ETIMEDOUT")
    if hasattr(errno, name)
)

_WORDS: Mapping[FaultKind, str] = {
    "unavailable": "server internal internalserver internalfailure api overloaded engineoverloaded unavailable upstream"
    " serviceunavailable modelnotready modelstream model modeltimeout timeout requesttimeout gatewaytimeout badgateway"
    " deadlineexceeded provider providerunavailable vectorstoretimeout slowdown aborted"
    " toolusefailed jsonvalidatefailed outputparsefailed",
    "rate_limit": "ratelimit ratelimitexceeded throttling throttled toomanyrequests resourceexhausted"
    " requestlimitexceeded concurrencylimitexceeded",
    "quota": "insufficientquota billing billinghardlimitreached servicequotaexceeded insufficientbalance"
    " insufficientcredits paymentrequired creditlimitexceeded quotaexceeded",
    "authentication": "authentication invalidapikey incorrectapikey apikeyinvalid unauthorized unauthenticated"
    " expiredtoken unrecognizedclient invalidsignature accountdeactivated invalidauthentication",
    "permission": "permission permissiondenied accessdenied forbidden unsupportedcountryregionterritory",
    "not_found": "notfound modelnotfound modeldecommissioned modeldeprecated deploymentnotfound resourcenotfound"
    " unknownmodel invalidmodel modelnotavailable",
    "context_length": "contextlengthexceeded contextwindowexceeded requesttoolarge stringabovemaxlength"
    " exceedcontextsize inputtoolong maxtokensexceeded",
    "content_filter": "contentfilter contentpolicyviolation contentpolicy responsibleaipolicyviolation"
    " datainspectionfailed moderationblocked promptblocked prohibitedcontent guardrailintervened invalidprompt",
    "invalid_request": "invalidrequest validation invalidargument badrequest invalidparameter failedprecondition",
}
KIND_OF_WORD: Mapping[str, FaultKind] = {word: kind for kind, words in _WORDS.items() for word in words.split()}
"""The codes and types in providers' bodies, in lower case, letters only, without `Error` or `Exception` at the end."""

KIND_OF_TEXT: Sequence[tuple[FaultKind, re.Pattern[str]]] = [
    (
        "context_length",
        re.compile(
            r"context[ _-]?(length|window|size|limit)|maximum (context|prompt|input|model length)|"
            r"(prompt|input|request|messages?) (is|are) too long|prompt (contains|has) \d+ tokens|"
            r"(input|prompt) token count|too many (input )?tokens|\btokens exceed|"
            r"\b(tokens?|context|prompt|input)\b[^.]{0,60} exceeds? (the )?(model'?s )?max|"
            r"exceeds? (the )?(model'?s )?max[^.]{0,60}\b(tokens|context|prompt|input)\b|"
            r"reduce the length|request (is )?too large|exceed(s|ed)? (the )?(model )?token limit|"
            r"(prompt|input|message|total) tokens? (is |are )?too long|"
            r"range of input length|`inputs` (tokens|must have [^.]{0,30}\d tokens)"
        ),
    ),
    (
        "quota",
        re.compile(r"credit balance|insufficient (balance|credit|funds|quota)|out of credits|spending limit|billing"),
    ),
    ("authentication", re.compile(r"(api|access|secret) ?key|security token|signature.{0,20}expired|authenticat")),
    ("permission", re.compile(r"\b(location|country|region|territory) is not supported")),
    (
        "content_filter",
        re.compile(
            r"content[ _-]?(filter|polic|management|moderation|exists risk)|moderation|flagged|safety system|"
            r"responsible ?ai|guardrail|inappropriate|prohibited"
        ),
    ),
    (
        "not_found",
        re.compile(
            r"model.{0,80}(not exist|not found|not supported|deprecated|decommissioned|retired|end of (its )?life|"
            r"no longer|shut down)|(invalid|unknown|no such) model|model identifier is invalid"
        ),
    ),
]
"""Kind of fault by the text of a 400 without a telling code; the first match counts."""
TRY_AGAIN = frozenset({408, 409, 425, 429})
"""The 4xx statuses that another attempt may change."""
CUT_OFF = ("length", "max_tokens", "max_output_tokens", "model_context_window_exceeded")
"""Finish reasons, in lower case, of an answer that reached the limit of its tokens."""
KEPT_BACK = frozenset(
    {"blocklist", "content_filter", "content_filtered", "guardrail_intervened", "prohibited_content", "recitation"}
    | {"refusal", "safety", "spii"}
)
"""Finish reasons, in lower case, for which a provider gives nothing of an answer; another provider may."""
MISWRITTEN = frozenset({"malformed_function_call", "unexpected_tool_call"})
"""Finish reasons, in lower case, of Gemini's where its model wrote a call wrong and nothing else."""
WITHOUT_TEXT = {
    **dict.fromkeys(CUT_OFF, "max_tokens was used up before it began"),
    **dict.fromkeys(KEPT_BACK, "the provider kept it back"),
}
"""Finish reasons, as providers call them, in lower case, that come again if the question does."""
BROKEN_OFF = frozenset({"error", "abort", "network_error", "insufficient_system_resource", "failed", "cancelled"})
"""Finish reasons of an answer that a server did not write to its end: OpenRouter, vLLM, Zhipu, DeepSeek; the last two
are a status of OpenAI's Responses API."""
HINTS: Mapping[FaultKind, str] = {
    "authentication": "is the key right?",
    "quota": "the account has no money left",
    "permission": "may this key use this model?",
    "not_found": "are the model's name and the server's address right?",
}
"""Question that helps with a kind of fault."""
SHOWN: Mapping[FaultKind, str] = {
    "unavailable": "no answer",
    "rate_limit": "rate limit",
    "quota": "no money left",
    "authentication": "key refused",
    "permission": "permission denied",
    "not_found": "no such model",
    "context_length": "prompt too long",
    "content_filter": "content filter",
    "invalid_request": "invalid request",
}
"""Kind of fault as messages name it."""
