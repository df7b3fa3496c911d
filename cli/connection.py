"""The connection of a command to the server: the official client, and what it lacks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import ollama

from cli.address import api_key, server_address
from cli.complaints import AnswerCutShort, check_reply
from cli.server import explained, http_options, json_object
from common.hosts import HostAddress

_SUCCESS = "success"


class Connection(ollama.Client):
    """The official client, bound to a server.

    Its types leave out some of what the API says and takes (a worker in `/api/ps`, the system
    message in `/api/show`, the parser in `/api/create`); the methods here keep it all.
    """

    def __init__(self, address: HostAddress, key: str) -> None:
        """Prepare to call a server."""
        self.address = address
        self.key = key
        super().__init__(
            address.api_url,
            **http_options(address, key),
            event_hooks={"response": [check_reply]},
        )

    def describe(self, model: str, *, verbose: bool = False, **changes: Any) -> dict[str, Any]:
        """Give everything that `/api/show` says of a model, as it would be with changes."""
        body = {"model": model, "verbose": verbose, **changes}
        response: httpx.Response = self._request_raw("POST", "/api/show", json=body)  # type: ignore[no-untyped-call]
        return json_object(response)

    def unload(self, model: str) -> None:
        """Free a model's memory once what runs on it has ended."""
        self.generate(model, keep_alive=0)

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
