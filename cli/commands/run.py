"""`paddock run`: one answer, a vector, or a session."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TextIO

import typer
from typer.core import TyperCommand

from cli.arguments import Insecure, Model
from cli.failure import CommandFailed

_ALONE = {"--think": "true", "--truncate": "true"}
_BOOLEANS = {"true": True, "false": False}


class RunCommand(TyperCommand):
    """Options that may stand without a value, which never take the next word for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give them the value that they mean."""
        end = args.index("--") if "--" in args else len(args)
        options = [f"{arg}={_ALONE[arg]}" if arg in _ALONE else arg for arg in args[:end]]
        return super().parse_args(ctx, options + args[end:])


def run(
    model: Model,
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", show_default=False, help="What to ask, once."),
    ] = None,
    response_format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", show_default=False, help="json, or a JSON schema."
        ),
    ] = "",
    think: Annotated[
        Literal["true", "false", "low", "medium", "high", "max"] | None,
        typer.Option(
            metavar="[=true|false|low|medium|high|max]",
            show_default=False,
            help="Have the model think first, or not; by default it does if it can.",
        ),
    ] = None,
    hide_thinking: Annotated[
        bool, typer.Option("--hidethinking", help="Do not show what it thinks.")
    ] = False,
    keep_alive: Annotated[
        str,
        typer.Option(
            "--keepalive",
            metavar="DURATION",
            show_default=False,
            help="How long the model stays loaded afterwards (e.g. 5m).",
        ),
    ] = "",
    verbose: Annotated[bool, typer.Option("--verbose", help="Show timings.")] = False,
    no_word_wrap: Annotated[
        bool, typer.Option("--nowordwrap", help="Leave lines as long as they are.")
    ] = False,
    truncate: Annotated[
        Literal["true", "false"] | None,
        typer.Option(
            metavar="[=true|false]",
            show_default=False,
            help="Of embedding models: cut off what is too long, or fail.",
        ),
    ] = None,
    dimensions: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            show_default=False,
            help="Of embedding models: length of the vector.",
        ),
    ] = None,
    insecure: Insecure = False,
) -> None:
    """Run a model.

    A model that the server lacks is pulled first. With a PROMPT, or input from a pipe, the answer
    is printed; input comes before the prompt. Without, a session begins: /? says what it can, and
    Ctrl-D ends it. Embedding models print the vector of the text. A model that can see gets the
    images whose paths are in the prompt.
    """
    from cli.chat.messages import readable
    from cli.chat.model import find_or_pull
    from cli.chat.one_shot import answer, embed
    from cli.chat.settings import Settings, parse_format, parse_keep_alive
    from cli.connection import connect

    settings = Settings(
        response_format=parse_format(response_format),
        think=_BOOLEANS.get(think, think) if think else None,
        hide_thinking=hide_thinking,
        keep_alive=parse_keep_alive(keep_alive),
        verbose=verbose,
        word_wrap=not no_word_wrap,
    )
    texts = [*_piped(), *map(readable, prompt or [])]
    text = " ".join(texts)
    with connect() as connection:
        found = find_or_pull(connection, model, insecure=insecure)
        if found.can("embedding"):
            _refuse({"--format": response_format, "--think": think}, "generative", model)
            cut = _BOOLEANS[truncate] if truncate else None
            embed(connection, found, text, settings, cut, dimensions)
            return
        _refuse({"--truncate": truncate, "--dimensions": dimensions}, "embedding", model)
        if texts or not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
            answer(connection, found, text, settings)
        else:
            from cli.chat.interactive import converse

            converse(connection, found, settings)


def _refuse(options: Mapping[str, object], kind: str, model: str) -> None:
    """Refuse options that a model can do nothing with, rather than ignore them."""
    if given := next((name for name, value in options.items() if value), None):
        raise CommandFailed(f'{given} is for {kind} models, and "{model}" is none')


def _piped() -> list[str]:
    """Read standard input, unless somebody types there or it is closed."""
    if sys.stdin is None or _is_terminal(sys.stdin):
        return []
    text = sys.stdin.buffer.read().decode(errors="replace")
    return [text] if text else []


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
