"""The connection of a command to the server: the official client, and what it lacks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import ollama

from cli.address import api_key, server_address
from cli.complaints import ERRORS, AnswerCutShort, check_reply, explain
from cli.failure import CommandFailed
from common.hosts import HostAddress

_CONNECT_TIMEOUT = 10.0  # seconds
_SUCCESS = "success"


class Connection(ollama.Client):
    """The official client, bound to a server.

    Its types leave out some of what the API says and takes (a worker in `/api/ps`, the system
    message in `/api/show`, the parser in `/api/create`); the methods here keep it all.
    """

    def __init__(self, address: HostAddress, key: str, patience: float | None = None) -> None:
        """Prepare to call a server, waiting at most `patience` seconds for each reply."""
        self.address = address
        self.key = key
        super().__init__(
            address.api_url,
            **http_options(address, key, patience),
            event_hooks={"response": [check_reply]},
        )

    def get(self, path: str) -> dict[str, Any]:
        """Fetch an object."""
        return _object(self._reply("GET", path))

    def describe(self, model: str, *, verbose: bool = False, **changes: Any) -> dict[str, Any]:
        """Give everything that `/api/show` says of a model, as it would be with changes."""
        body = {"model": model, "verbose": verbose, **changes}
        return _object(self._reply("POST", "/api/show", json=body))

    def unload(self, model: str) -> None:
        """Free a model's memory once what runs on it has ended."""
        self.generate(model, keep_alive=0)

    def version(self) -> tuple[str, str]:
        """Give the version of the API, and what the server calls itself."""
        response = self._reply("GET", "/api/version")
        return str(_object(response)["version"]), response.headers.get("Server", "")

    def steps(self, path: str, body: Mapping[str, Any]) -> Iterator[ollama.ProgressResponse]:
        """Start a long operation and give its steps.

        Raises:
            AnswerCutShort: the last step that came does not say that it succeeded.
        """
        status: str | None = None
        for step in self._request(
            ollama.ProgressResponse, "POST", path, json={**body, "stream": True}, stream=True
        ):
            status = step.status
            yield step
        if status != _SUCCESS:
            raise AnswerCutShort("the answer ended too early")

    def _reply(self, method: str, path: str, **content: Any) -> httpx.Response:
        response: httpx.Response = self._request_raw(method, path, **content)  # type: ignore[no-untyped-call]
        return response


@contextmanager
def connect() -> Iterator[Connection]:
    """Give a connection to the server that the environment names.

    Raises:
        CommandFailed: a call within failed; the message is for the user.
        InvalidRequest: the environment names no address.
    """
    address, key = server_address(), api_key()
    with explained(address, key), Connection(address, key) as connection:
        yield connection


@contextmanager
def explained(address: HostAddress, key: str) -> Iterator[None]:
    """Raise `CommandFailed` with words that help for what a call to the server raises."""
    try:
        yield
    except ERRORS as error:
        raise CommandFailed(explain(error, address, has_key=bool(key))) from None


def http_options(address: HostAddress, key: str, patience: float | None = None) -> dict[str, Any]:
    """Give the options of an HTTP client for a server."""
    return {
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": httpx.Timeout(patience, connect=patience or _CONNECT_TIMEOUT),
        # No proxy leads back to this machine. With TLS, certificates are the environment's.
        "trust_env": not address.is_loopback or address.scheme == "https",
    }


def _object(response: httpx.Response) -> dict[str, Any]:
    content: dict[str, Any] = response.json()
    return content
