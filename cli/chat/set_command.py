"""`/set`: how answers are asked for and shown."""

from collections.abc import Sequence

import typer

from cli.chat.help_texts import PARAMETERS_HELP, SET_HELP
from cli.chat.session import Session
from cli.chat.settings import parse_option
from cli.failure import CommandFailed


def set_variable(session: Session, words: Sequence[str]) -> None:
    """Change one variable of the session."""
    match words:
        case [] | ["system"]:
            typer.echo(SET_HELP)
        case ["parameter", *rest]:
            _set_parameter(session, rest)
        case ["history" | "nohistory" as mode, *_]:
            session.history.enabled = mode == "history"
        case ["think" | "nothink" as mode, *levels]:
            _set_think(session, mode, levels)
        case ["format", "json", *_]:
            session.settings.response_format = "json"
            typer.echo("Set format to 'json' mode.")
        case ["format", *_]:
            typer.echo("Invalid or missing format. For 'json' mode use '/set format json'")
        case ["noformat", *_]:
            session.settings.response_format = ""
            typer.echo("Disabled format.")
        case [mode, *_]:
            _set_mode(session, mode)


def set_system(session: Session, text: str) -> None:
    """Give the conversation another system message."""
    session.conversation.system = text
    typer.echo("Set system message.")


def _set_mode(session: Session, mode: str) -> None:
    match mode:
        case "wordwrap" | "nowordwrap":
            session.settings.word_wrap = mode == "wordwrap"
        case "verbose" | "quiet":
            session.settings.verbose = mode == "verbose"
        case _:
            typer.echo(f"Unknown command '/set {mode}'. Type /? for help")
            return
    typer.echo(f"Set '{mode}' mode.")


def _set_parameter(session: Session, words: Sequence[str]) -> None:
    if len(words) < 2:
        typer.echo(PARAMETERS_HELP)
        return
    name, *values = words
    try:
        value = parse_option(name, values)
    except CommandFailed as error:
        typer.echo(f'Couldn\'t set parameter: "{error}"')
        return
    session.settings.options[name] = value
    taken = values if isinstance(value, list) else values[:1]
    typer.echo(f"Set parameter '{name}' to '{', '.join(taken)}'")


def _set_think(session: Session, mode: str, levels: Sequence[str]) -> None:
    level = levels[0] if levels and mode == "think" else ""
    session.settings.think = level or mode == "think"
    if not session.model.can("thinking"):
        name = session.model.name
        typer.echo(f'warning: model "{name}" does not support thinking output', err=True)
    typer.echo(f"Set 'think' mode to '{level}'." if level else f"Set '{mode}' mode.")
