"""`/show`: what the session's model is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from cli.chat.help_texts import SHOW_HELP
from cli.chat.session import Session
from cli.commands.show_sections import show_lines

_NAME_WIDTH = 30  # characters


def show(session: Session, words: Sequence[str]) -> None:
    """Print one thing about the model.

    Raises:
        ollama.ResponseError: the server does not have it any more.
        httpx.HTTPError: the server was lost.
    """
    if not words:
        typer.echo(SHOW_HELP)
    elif shower := _SHOWERS.get(words[0]):
        shower(session)
    else:
        typer.echo(f"Unknown command '/show {words[0]}'. Type /? for help")


def _info(session: Session) -> None:
    for line in show_lines(_described(session)):
        typer.echo(line)


def _modelfile(session: Session) -> None:
    """Print the Modelfile, as it would be with what the session sets."""
    changes: dict[str, Any] = {"options": session.settings.options}
    if session.conversation.system:
        changes["system"] = session.conversation.system
    typer.echo(session.connection.describe(session.model.name, **changes).get("modelfile", ""))


def _parameters(session: Session) -> None:
    own = _described(session).get("parameters", "")
    typer.echo("Model defined parameters:")
    for line in own.splitlines() or ["No additional parameters were specified for this model."]:
        typer.echo(f"  {line}")
    typer.echo()
    if options := session.settings.options:
        typer.echo("User defined parameters:")
        for name, value in options.items():
            typer.echo(f"  {name:<{_NAME_WIDTH}} {value}")
        typer.echo()


def _license(session: Session) -> None:
    text = _described(session).get("license")
    typer.echo(text or "No license was specified for this model.")


def _system(session: Session) -> None:
    if text := session.conversation.system or _described(session).get("system"):
        typer.echo(f"{text}\n")
    else:
        typer.echo("No system message was specified for this model.")


def _template(session: Session) -> None:
    text = _described(session).get("template")
    typer.echo(text or "No prompt template was specified for this model.")


def _described(session: Session) -> Mapping[str, Any]:
    return session.connection.describe(session.model.name)


_SHOWERS: dict[str, Callable[[Session], None]] = {
    "info": _info,
    "license": _license,
    "modelfile": _modelfile,
    "parameters": _parameters,
    "system": _system,
    "template": _template,
}
