"""The entry point of the `paddock` command."""

from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.serve import ServeOptions, StartFailed, serve
from cli.store_commands import collect, fsck
from common.errors import PaddockError

app = typer.Typer(
    name="paddock",
    help="Ollama for a cluster: one REST API, models in a bucket, served by vLLM.",
    no_args_is_help=True,
    add_completion=False,
)

DEMO_MODEL = Path(__file__).parent.parent / "examples" / "demo_model" / "model"


@app.callback()
def paddock() -> None:
    """Keep sub-commands even while there are few."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(package_version("paddock"))


@app.command("serve")
def serve_command(
    host: Annotated[
        str,
        typer.Option(
            envvar=["PADDOCK_HOST", "OLLAMA_HOST"], help="Address of the REST API: host[:port]."
        ),
    ] = "127.0.0.1:11434",
    home: Annotated[
        Path,
        typer.Option(envvar="PADDOCK_HOME", help="Folder for models, cache, sockets and logs."),
    ] = Path("~/.paddock"),
    store: Annotated[
        str,
        typer.Option(envvar="PADDOCK_STORE", help="Where models are kept; by default HOME/models."),
    ] = "",
    demo: Annotated[
        bool,
        typer.Option(envvar="PADDOCK_DEMO", help="Install the demo model in an empty store."),
    ] = True,
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        typer.Option(
            envvar="PADDOCK_LOG_LEVEL",
            help="Least severe level that is logged.",
            case_sensitive=False,
        ),
    ] = "INFO",
    drain_timeout: Annotated[
        str,
        typer.Option(
            envvar="PADDOCK_DRAIN_TIMEOUT", help="How long running answers may take to finish."
        ),
    ] = "30s",
) -> None:
    """Start the whole suite on this machine, and keep it running."""
    options = ServeOptions(
        host=host,
        home=home.expanduser().absolute(),
        store=store,
        demo=DEMO_MODEL if demo else None,
        log_level=log_level,
        drain_timeout=drain_timeout,
    )
    try:
        serve(options)
    except (StartFailed, PaddockError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


app.command()(fsck)
app.command()(collect)


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
