"""`paddock cp`, `paddock rm` and `paddock stop`: names given, taken away, models unloaded."""

from typing import Annotated

import typer

from cli.arguments import Model
from cli.completion import complete_model
from cli.failure import CommandFailed

_NOT_FOUND = 404


def copy(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            show_default=False,
            autocompletion=complete_model,
            help="Name of a model.",
        ),
    ],
    destination: Annotated[
        str,
        typer.Argument(metavar="DESTINATION", show_default=False, help="Its further name."),
    ],
) -> None:
    """Copy a model.

    A model that has the new name already is replaced. No files are copied.
    """
    from cli.connection import connect

    with connect() as connection:
        connection.copy(source, destination)
    typer.echo(f"copied '{source}' to '{destination}'")


def remove(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            autocompletion=complete_model,
            help="Names of models.",
        ),
    ],
) -> None:
    """Remove a model, or several.

    Each is unloaded first. The first that cannot be removed ends the command.
    """
    import ollama

    from cli.connection import connect

    with connect() as connection:
        for model in models:
            if not model:  # the official client would not ask
                raise CommandFailed("model is required")
            try:
                connection.describe(model)
                connection.unload(model)
            except ollama.ResponseError as error:
                if error.status_code != _NOT_FOUND:
                    typer.echo(f"Warning: unable to stop model '{model}'", err=True)
            connection.delete(model)
            typer.echo(f"deleted '{model}'")


def stop(model: Model) -> None:
    """Stop a running model.

    Answers that are being written are finished. The model stays in the store.
    """
    import ollama

    from cli.connection import connect

    with connect() as connection:
        try:
            connection.describe(model)
            connection.unload(model)
        except ollama.ResponseError as error:
            if error.status_code == _NOT_FOUND:
                raise CommandFailed(f'couldn\'t find model "{model}" to stop') from None
            raise
