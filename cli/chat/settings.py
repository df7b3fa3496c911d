"""How the user wants to be answered."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from cli.chat.model import ChatModel
from cli.failure import CommandFailed
from common.durations import parse_duration
from common.errors import InvalidRequest
from common.modelfile.parameters import parse_parameter

Think = bool | str | None
ResponseFormat = str | dict[str, Any]


class RequestFields(TypedDict):
    """What every request for an answer says beside the model and the question."""

    format: Any
    think: Think
    keep_alive: str | None
    options: Mapping[str, Any]


@dataclass
class Settings:
    """What the options of the command say, and `/set` changes."""

    response_format: ResponseFormat = ""
    think: Think = None
    """None: the model thinks if it can."""
    hide_thinking: bool = False
    keep_alive: str | None = None
    """A Go duration; None: the server's."""
    verbose: bool = False
    word_wrap: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    def think_of(self, model: ChatModel) -> Think:
        """Tell what to ask of a model: nothing of one that cannot think, unless the user does."""
        return True if self.think is None and model.can("thinking") else self.think

    def fields(self, model: ChatModel) -> RequestFields:
        """Give what requests to a model say."""
        return {
            "format": self.response_format or None,
            "think": self.think_of(model),
            "keep_alive": self.keep_alive,
            "options": self.options,
        }


def parse_format(text: str) -> ResponseFormat:
    """Read `--format`: `json`, or a JSON schema.

    Raises:
        CommandFailed: it is neither.
    """
    if text in ("", "json"):
        return text
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise CommandFailed(f"--format is neither json nor a JSON schema: {error}") from None
    if not isinstance(schema, dict):
        raise CommandFailed("--format is neither json nor a JSON schema")
    return schema


def parse_keep_alive(text: str) -> str | None:
    """Hold a `--keepalive` to be a Go duration.

    Raises:
        InvalidRequest: it is none.
    """
    if text:
        parse_duration(text)
    return text or None


def parse_option(name: str, texts: Iterable[str]) -> Any:
    """Read the value of a model's parameter, as a Modelfile has it.

    Raises:
        CommandFailed: no parameter has that name, or it cannot have that value.
    """
    values = list(texts)
    if name == "stop":
        return values
    try:
        return parse_parameter(name, values[0])
    except InvalidRequest as error:
        raise CommandFailed(error.message) from None
