"""Access to the gateway: keys, host names, and the security headers of responses."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.settings import ServerSettings

__all__ = ["ANY_CALLER", "HEADERS", "PAGE_POLICY", "allows_host", "check_exposure", "key_name", "new_key"]

ANY_CALLER = "-"
"""Name of the callers where no keys are set."""
PREFIX = "cit-"
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For the dashboard: everything from here, nothing from elsewhere."""


def new_key() -> tuple[str, str]:
    """Return a new key and its hash, which goes into the settings."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, _hash(key)


def key_name(settings: ServerSettings, headers: Mapping[str, str]) -> str | None:
    """Return the name of a request's key; None if it is not a known one.

    Args:
        settings: With the hashes of all keys.
        headers: `Authorization: Bearer KEY`, or `x-api-key` as Anthropic's clients send it.
    """
    if not settings.keys:
        return ANY_CALLER
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    found = None
    for key in settings.keys:  # all of them: the time tells nothing
        if hmac.compare_digest(_hash(given), key.sha256):
            found = key.name
    return found


def check_exposure(host: str, settings: ServerSettings) -> None:
    """Refuse to listen to other machines without a key.

    Raises:
        InvalidInput: If every machine that reaches this one could spend the owner's money.
    """
    if not settings.keys and not _is_loopback(host):
        raise InvalidInput(
            f"listening on {shown(host)} needs a key, for whoever reaches it can spend your money; "
            "`cit serve --new-key NAME` makes one"
        )


def allows_host(settings: ServerSettings, host: str, given: str) -> bool:
    """Return whether a request's `Host` is one of the gateway's names: a web page elsewhere cannot call it.

    Args:
        settings: With further names.
        host: Address that the gateway listens on.
        given: The header.
    """
    if not given:  # HTTP/1.0, a balancer's probe; no browser leaves it out
        return True
    name = given.rsplit(":", 1)[0] if not given.endswith("]") else given
    name = name.strip("[]").lower()
    if name in {"localhost", host.lower(), *(allowed.lower() for allowed in settings.allowed_hosts)}:
        return True
    return _is_address(name)  # a page cannot make its own name an address


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
