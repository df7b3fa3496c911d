"""`paddock --version`: what runs here, and what serves."""

from importlib.metadata import version as package_version

import typer

_NAME = "paddock"


def print_version() -> None:
    """Print the server's version, and this command's where it is another."""
    from cli.connection import connect
    from cli.failure import CommandFailed

    own = package_version(_NAME)
    try:
        with connect() as connection:
            api, server = connection.version()
    except CommandFailed:
        typer.echo("Warning: could not connect to a running Paddock instance")
        typer.echo(f"Warning: client version is {own}")
        return
    name, _, version = server.partition("/")
    if name != _NAME:
        name, version = "ollama", api
    typer.echo(f"{name} version is {version}")
    if (name, version) != (_NAME, own):
        typer.echo(f"Warning: client version is {own}")
