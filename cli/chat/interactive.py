"""The loop of a session: what is typed, and what comes of it."""

import typer

from cli.chat.commands import SessionEnded, run_command
from cli.chat.images import find_images
from cli.chat.keyboard import interrupts, keys_kept
from cli.chat.messages import is_command, unquote
from cli.chat.model import ChatModel
from cli.chat.prompt import Prompt
from cli.chat.session import Session
from cli.chat.settings import Settings
from cli.connection import Connection
from cli.failure import CommandFailed
from cli.server import explained
from common.errors import PaddockError


def converse(connection: Connection, model: ChatModel, settings: Settings) -> None:
    """Talk with a model until the user leaves.

    Raises:
        ollama.ResponseError: the model cannot be loaded.
        httpx.HTTPError: the server was lost while it loaded.
    """
    with keys_kept():
        prompt = Prompt()
        session = Session(connection, model, settings, prompt.history)
        with interrupts(wanted=False):
            _loop(prompt, session)


def _loop(prompt: Prompt, session: Session) -> None:
    while True:
        try:
            text = prompt.read()
        except KeyboardInterrupt:
            typer.echo("\nUse Ctrl + d or /bye to exit.")
            continue
        except EOFError:
            typer.echo()
            return
        try:
            _handle(session, text)
        except SessionEnded:
            return


def _handle(session: Session, text: str) -> None:
    """Do what a text says; what goes wrong is told, and the session goes on."""
    address, key = session.connection.address, session.connection.key
    try:
        with explained(address, key), interrupts(wanted=True):
            _act(session, text)
    except (CommandFailed, PaddockError) as error:
        typer.echo(f"Error: {error}\n", err=True)
    except KeyboardInterrupt:  # of a command; an answer that is interrupted is no error
        typer.echo()


def _act(session: Session, text: str) -> None:
    line = text.strip()
    if is_command(line) and (run_command(session, line) or not _begins_with_image(session, line)):
        return
    message = unquote(text)
    if message.strip():
        session.ask(message)


def _begins_with_image(session: Session, line: str) -> bool:
    if session.model.can("vision") and any(image.start == 0 for image in find_images(line)):
        return True
    typer.echo(f"Unknown command '{line.split()[0]}'. Type /? for help")
    return False
