"""`paddock --version`: what runs here, and what serves."""

import typer

_NAME = "paddock"


def print_version() -> None:
    """Print the server's version, and this command's where it is another."""
    from importlib.metadata import version as package_version

    from cli.failure import CommandFailed
    from cli.server import fetch

    own = package_version(_NAME)
    try:
        reply = fetch("/api/version")
    except CommandFailed:
        typer.echo("Warning: could not connect to a running Paddock instance")
        typer.echo(f"Warning: client version is {own}")
        return
    name, _, version = reply.server.partition("/")
    if name != _NAME:
        name, version = "ollama", reply.content.get("version", "unknown")
    typer.echo(f"{name} version is {version}")
    if (name, version) != (_NAME, own):
        typer.echo(f"Warning: client version is {own}")
