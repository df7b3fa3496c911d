"""What went wrong between this command and the server, in words that help.

The official client is imported where something did, as it takes long.
"""

import json

import httpx

from common.hosts import HostAddress

_UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError)
_NO_ACCESS = (401, 403)


class ForeignReply(httpx.HTTPError):
    """A reply that is an error, and none that an Ollama server gives."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}".strip())
        self.status = status


class AnswerCutShort(httpx.HTTPError):
    """An answer that ended before the server said that it is done."""


def errors() -> tuple[type[Exception], ...]:
    """Give what calls to a server raise."""
    from ollama import ResponseError
    from pydantic import ValidationError

    return (
        httpx.HTTPError,
        httpx.InvalidURL,
        ResponseError,
        ConnectionError,
        json.JSONDecodeError,
        UnicodeDecodeError,
        ValidationError,
    )


def refusal(response: httpx.Response) -> Exception:
    """Make of a reply that is an error what the official client would raise."""
    from ollama import ResponseError

    return ResponseError(response.text, response.status_code)


def check_reply(response: httpx.Response) -> None:
    """Refuse an error that does not come from an Ollama server.

    Raises:
        ForeignReply: the body has no `error`. Replies to HEAD have no body and are left alone.
    """
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    response.read()
    if not _has_error(response):
        raise ForeignReply(response.status_code, response.reason_phrase)


def explain(error: Exception, address: HostAddress, *, has_key: bool) -> str:
    """Say what went wrong.

    Args:
        error: what a call raised, one of `errors()`.
        address: of the server.
        has_key: whether an API key was sent.
    """
    from ollama import ResponseError

    url = address.api_url
    if isinstance(error, _UNREACHABLE):
        return _unreachable(error, address)
    if isinstance(error, ResponseError):
        if error.status_code in _NO_ACCESS:
            return _no_access(error.error, url, has_key=has_key)
        return error.error
    if isinstance(error, ForeignReply):
        if error.status in _NO_ACCESS:
            return _no_access(str(error), url, has_key=has_key)
        return f"{url} does not answer as an Ollama server does: {error}"
    if isinstance(error, httpx.TransportError | AnswerCutShort):
        return f"the connection to {url} was lost: {str(error) or type(error).__name__}"
    return f"{url} does not answer as an Ollama server does: {error}"


def _unreachable(error: Exception, address: HostAddress) -> str:
    text = f"could not connect to a Paddock server at {address.api_url}"
    if address.is_loopback:
        return f"{text}, run 'paddock serve' to start it"
    # The official client hides the reason behind advice of its own.
    reason = error.__context__ if isinstance(error, ConnectionError) else error
    return f"{text}: {reason} (PADDOCK_HOST says where it is)"


def _no_access(text: str, url: str, *, has_key: bool) -> str:
    if has_key:
        return f"{url} does not accept the API key: {text}"
    return f"{url} wants an API key: {text}; PADDOCK_API_KEY holds it"


def _has_error(response: httpx.Response) -> bool:
    try:
        content = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    return isinstance(content, dict) and "error" in content
