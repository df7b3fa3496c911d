"""Long operations on the server: started, shown step by step, brought to their end."""

from collections.abc import Mapping
from typing import Any

import ollama

from cli.connection import Connection
from cli.failure import CommandFailed
from cli.progress import Progress

_DIGEST = "sha256:"
_SHORT = 12  # digits


def perform(connection: Connection, path: str, body: Mapping[str, Any], progress: Progress) -> None:
    """Start an operation and show its steps until it has succeeded.

    Raises:
        CommandFailed: the server refused it, or it failed. The message is the server's.
    """
    try:
        for step in connection.steps(path, body):
            _show(step, progress)
    except ollama.ResponseError as error:
        # A status such as 401 here may be a registry's answer to the server.
        raise CommandFailed(error.error) from None


def pull(connection: Connection, model: str, progress: Progress, *, insecure: bool = False) -> None:
    """Bring a model from its registry.

    Raises:
        CommandFailed: it cannot be had.
    """
    perform(connection, "/api/pull", {"model": model, "insecure": insecure}, progress)


def _show(step: ollama.ProgressResponse, progress: Progress) -> None:
    if not step.digest:
        if step.status:
            progress.status(step.status)
    elif step.total and step.completed:
        progress.advance(_label(step), step.completed, step.total)


def _label(step: ollama.ProgressResponse) -> str:
    """Name what is moved: a digest's first digits, behind the verb of the server's text."""
    digest = str(step.digest)
    if not digest.startswith(_DIGEST):
        return f"{step.status or digest}"
    verb = (step.status or "pulling").split(" ", 1)[0]
    return f"{verb} {digest.removeprefix(_DIGEST)[:_SHORT]}"
