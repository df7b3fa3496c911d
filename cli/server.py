"""Calls that only read, made at once: the official client takes longer to import than they take."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from cli.address import api_key, server_address
from cli.complaints import ForeignReply, check_reply, errors, explain, refusal
from cli.failure import CommandFailed
from common.hosts import HostAddress

_CONNECT_TIMEOUT = 10.0  # seconds
_OF_EVERY_MODEL = ("name", "digest", "size")


@dataclass(frozen=True)
class Reply:
    """What a server answers."""

    content: dict[str, Any]
    server: str
    """What it calls itself."""


def fetch(path: str) -> Reply:
    """Fetch an object from the server that the environment names.

    Raises:
        CommandFailed: it cannot be had; the message is for the user.
        InvalidRequest: the environment names no address.
    """
    with _client() as client:
        response = _get(client, path)
        return Reply(json_object(response), response.headers.get("Server", ""))


def fetch_models(path: str, patience: float | None = None) -> list[dict[str, Any]]:
    """Fetch what `/api/tags` or `/api/ps` lists, waiting at most `patience` seconds.

    Raises:
        CommandFailed: it cannot be had; the message is for the user.
        InvalidRequest: the environment names no address.
    """
    with _client(patience) as client:
        response = _get(client, path)
        models = json_object(response).get("models") or []
        if not isinstance(models, list) or not all(map(_is_model, models)):
            raise ForeignReply(response.status_code, "it lists something else than models")
        return models


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Decode a reply.

    Raises:
        ForeignReply: it is JSON, but no object.
        json.JSONDecodeError: it is no JSON.
    """
    content = json.loads(response.content)
    if not isinstance(content, dict):
        raise ForeignReply(response.status_code, "it gives no JSON object")
    return content


@contextmanager
def explained(address: HostAddress, key: str) -> Iterator[None]:
    """Raise `CommandFailed` with words that help for what a call to the server raises."""
    try:
        yield
    except BrokenPipeError:  # of standard output
        raise
    except errors() as error:
        raise CommandFailed(explain(error, address, has_key=bool(key))) from None


def http_options(address: HostAddress, key: str, patience: float | None = None) -> dict[str, Any]:
    """Give the options of an HTTP client for a server."""
    return {
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": httpx.Timeout(patience, connect=patience or _CONNECT_TIMEOUT),
        # No proxy leads back to this machine. With TLS, certificates are the environment's.
        "trust_env": not address.is_loopback or address.scheme == "https",
    }


@contextmanager
def _client(patience: float | None = None) -> Iterator[httpx.Client]:
    address, key = server_address(), api_key()
    with (
        explained(address, key),
        httpx.Client(
            base_url=address.api_url,
            follow_redirects=True,
            event_hooks={"response": [check_reply]},
            **http_options(address, key, patience),
        ) as client,
    ):
        yield client


def _get(client: httpx.Client, path: str) -> httpx.Response:
    response = client.get(path)
    if response.is_error:
        raise refusal(response)
    return response


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {*_OF_EVERY_MODEL}
