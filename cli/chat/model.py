"""The model that is talked with: what the server says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ollama

from cli.connection import Connection
from cli.operations import pull
from cli.progress import open_progress

_NOT_FOUND = 404


@dataclass(frozen=True)
class ChatModel:
    """A model, as far as a conversation depends on it."""

    name: str
    capabilities: frozenset[str]
    messages: tuple[ollama.Message, ...] = ()
    """The conversation that every one with the model goes on from; the server knows it."""

    @classmethod
    def from_shown(cls, name: str, shown: Mapping[str, Any]) -> "ChatModel":
        """Read what `/api/show` says."""
        capabilities = set(shown.get("capabilities") or ())
        if _has_projector(shown):  # a server that is too old for capabilities
            capabilities.add("vision")
        messages = [ollama.Message(**message) for message in shown.get("messages") or ()]
        return cls(name, frozenset(capabilities), tuple(messages))

    def can(self, capability: str) -> bool:
        """Tell whether the model has a capability."""
        return capability in self.capabilities


def find(connection: Connection, name: str) -> ChatModel | None:
    """Look a model up; None: the server does not have it."""
    try:
        return ChatModel.from_shown(name, connection.describe(name))
    except ollama.ResponseError as error:
        if error.status_code == _NOT_FOUND:
            return None
        raise


def find_or_pull(connection: Connection, name: str, *, insecure: bool = False) -> ChatModel:
    """Look a model up, after it was pulled if the server does not have it.

    Raises:
        CommandFailed: it cannot be had.
    """
    if model := find(connection, name):
        return model
    with open_progress() as progress:
        pull(connection, name, progress, insecure=insecure)
    return ChatModel.from_shown(name, connection.describe(name))


def _has_projector(shown: Mapping[str, Any]) -> bool:
    return bool(shown.get("projector_info")) or any(
        ".vision." in key for key in shown.get("model_info") or ()
    )
