"""What can go wrong with another registry, beyond the errors that cross processes."""

import os
import re

import aiohttp

from common.errors import PaddockError, RegistryFailed, Unauthorized, Unavailable

_UNAUTHORIZED = 401
_NOT_FOUND = 404

TRANSIENT = frozenset({408, 425, 429})
"""Statuses of answers that may be others later, besides those from `SERVER_ERROR` on."""

SERVER_ERROR = 500

_MAX_BODY = 4096
_MAX_SHOWN = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class Transient(RegistryFailed):
    """May go well when it is tried again; crosses processes as `RegistryFailed`."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after or None
        """Seconds that the registry asked to wait."""

    @classmethod
    def reason(cls) -> str:
        """Name the kind that other processes know."""
        return RegistryFailed.reason()


class RemoteNotFound(RegistryFailed):
    """The registry has no such thing; crosses processes as `RegistryFailed`."""

    def __init__(self, message: str = "file does not exist") -> None:
        super().__init__(message)

    @classmethod
    def reason(cls) -> str:
        """Name the kind that other processes know."""
        return RegistryFailed.reason()


async def refusal(response: aiohttp.ClientResponse) -> PaddockError:
    """Make an error of an answer that nobody expected, with the registry's own words."""
    status = response.status
    if status == _NOT_FOUND:
        return RemoteNotFound()
    text = f"{status}: {await shown_body(response)}"
    if status == _UNAUTHORIZED:
        return Unauthorized(f"unauthorized: access denied ({text})")
    if status in TRANSIENT or status >= SERVER_ERROR:
        return Transient(text, _retry_after(response))
    return RegistryFailed(text)


async def shown_body(response: aiohttp.ClientResponse) -> str:
    """Read the beginning of an answer as one line that a user may see."""
    try:
        content = await response.content.read(_MAX_BODY)
    except aiohttp.ClientError:
        content = b""
    text = _CONTROL.sub(" ", content.decode(errors="replace")).strip()
    shown = f"{text[:_MAX_SHOWN]}…" if len(text) > _MAX_SHOWN else text
    return shown or _CONTROL.sub(" ", response.reason or "").strip() or "no reason given"


def connection_failure(host: str, error: Exception) -> PaddockError:
    """Say why a registry could not be reached, or stopped in the middle.

    Where the body of a request could not be had, it is that which went wrong.
    """
    cause = error.__cause__
    if isinstance(cause, PaddockError) and not isinstance(cause, Unavailable):
        return cause
    if isinstance(error, TimeoutError):
        return Transient(f"{host} does not answer")
    return Transient(f"the connection to {host} failed: {_what_failed(error)}")


def _what_failed(error: Exception) -> str:
    """Say what became of a connection, without the library's own words."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "nobody vouches for its certificate"
    if isinstance(error, aiohttp.ClientSSLError):
        return "it speaks no TLS that is known here"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "it was closed too early"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return "it broke off"


def _retry_after(response: aiohttp.ClientResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
