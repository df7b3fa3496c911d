"""The commands of a session, beginning with a slash."""

from collections.abc import Sequence

import ollama
import typer

from cli.chat.help_texts import COMMANDS_HELP, IMAGES_HELP, SET_HELP, SHORTCUTS_HELP, SHOW_HELP
from cli.chat.messages import system_message
from cli.chat.model import find
from cli.chat.session import Session
from cli.chat.set_command import set_system, set_variable
from cli.chat.show_command import show
from cli.commands.list_models import list_models
from cli.failure import CommandFailed

_INVALID_NAME = "invalid model name"


class SessionEnded(Exception):
    """The user leaves."""


def run_command(session: Session, text: str) -> bool:
    """Run what is a command; tell whether it was one.

    Raises:
        SessionEnded: it was `/bye`.
        CommandFailed: it failed.
        ollama.ResponseError: the server refused.
        httpx.HTTPError: it was lost.
    """
    if (system := system_message(text)) is not None:
        set_system(session, system)
        return True
    match text.split():
        case ["/set", *words]:
            set_variable(session, words)
        case ["/show", *words]:
            show(session, words)
        case ["/load", *words]:
            _load(session, words)
        case ["/save", *words]:
            _save(session, words)
        case ["/clear", *_]:
            session.conversation.clear()
            typer.echo("Cleared session context")
        case ["/list", *words]:
            list_models(words[0] if words else "")
        case ["/?" | "/help", *words]:
            _help(session, words)
        case ["/bye" | "/exit", *_]:
            raise SessionEnded
        case _:
            return False
    return True


def _load(session: Session, words: Sequence[str]) -> None:
    if len(words) != 1:
        typer.echo("Usage:\n  /load <modelname>")
        return
    name = words[0]
    typer.echo(f"Loading model '{name}'")
    if model := find(session.connection, name):
        session.switch(model)
    else:
        typer.echo(f"Couldn't find model '{name}'")


def _save(session: Session, words: Sequence[str]) -> None:
    if len(words) != 1:
        typer.echo("Usage:\n  /save <modelname>")
        return
    name = words[0]
    body = session.conversation.create_body(name, session.model, session.settings.options)
    try:
        for _ in session.connection.steps("/api/create", body):
            pass
    except ollama.ResponseError as error:
        if _INVALID_NAME not in error.error:
            raise
        raise CommandFailed(f"The model name '{name}' is invalid") from None
    typer.echo(f"Created new model '{name}'")


def _help(session: Session, words: Sequence[str]) -> None:
    match words:
        case ["set" | "/set", *_]:
            typer.echo(SET_HELP)
        case ["show" | "/show", *_]:
            typer.echo(SHOW_HELP)
        case ["shortcut" | "shortcuts", *_]:
            typer.echo(SHORTCUTS_HELP)
        case _:
            typer.echo(COMMANDS_HELP + (IMAGES_HELP if session.model.can("vision") else ""))
