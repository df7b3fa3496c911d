"""The entry point of the `paddock` command."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TextIO

import typer

from cli.arguments import ENVIRONMENT, SESSION_ENVIRONMENT, epilog, examples
from cli.commands.accounts import refuse_account
from cli.commands.create import create
from cli.commands.list_models import list_models
from cli.commands.manage import copy, remove, stop
from cli.commands.run import RunCommand, run
from cli.commands.running import list_running
from cli.commands.show import show
from cli.commands.transfer import pull, push
from cli.commands.version import print_version
from cli.failure import CommandFailed
from cli.store_commands import collect, fsck
from common.errors import PaddockError

_START = """\b
To begin:
  paddock serve                 Start everything on this machine.
  paddock run demo              Talk with a model.
  paddock list                  See which models are there.
  paddock create mine           Make a model from the Modelfile here.
  paddock COMMAND --help        What a command does, with examples."""

app = typer.Typer(
    name="paddock",
    help="Ollama for a cluster: one REST API, models in a bucket, served by vLLM.",
    epilog=f"{_START}\n\n{ENVIRONMENT}",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEMO_MODEL = Path(__file__).parent.parent / "examples" / "demo_model" / "model"


def _print_version(wanted: bool) -> None:
    if wanted:
        print_version()
        raise typer.Exit


@app.callback()
def paddock(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", callback=_print_version, is_eager=True, help="Show version."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command(
    "serve",
    epilog=examples(
        "paddock serve",
        "paddock serve --host 0.0.0.0:11434 --workers 2",
        "paddock serve --store s3://bucket/models",
    ),
)
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
    workers: Annotated[
        int,
        typer.Option(
            envvar="PADDOCK_WORKERS",
            min=1,
            help="Workers; they divide this machine's GPUs, or its memory and cores.",
        ),
    ] = 1,
    gateways: Annotated[
        int,
        typer.Option(
            envvar="PADDOCK_GATEWAYS",
            min=0,
            help="Processes that share the port; 0: as many as the cores have use for.",
        ),
    ] = 0,
    drain_delay: Annotated[
        str,
        typer.Option(
            envvar="PADDOCK_DRAIN_DELAY",
            help="How long to go on accepting when told to end, while /readyz answers 503.",
        ),
    ] = "0s",
    drain_timeout: Annotated[
        str,
        typer.Option(
            envvar="PADDOCK_DRAIN_TIMEOUT", help="How long running answers may take to finish."
        ),
    ] = "30s",
) -> None:
    """Start the whole suite on this machine, and keep it running."""
    from cli.serve import ServeOptions, StartFailed, serve

    options = ServeOptions(
        host=host,
        home=home.expanduser().absolute(),
        store=store,
        demo=DEMO_MODEL if demo else None,
        log_level=log_level,
        workers=workers,
        gateways=gateways,
        drain_delay=drain_delay,
        drain_timeout=drain_timeout,
    )
    try:
        serve(options)
    except (StartFailed, PaddockError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


app.command("start", hidden=True)(serve_command)
app.command(
    "create",
    epilog=epilog(
        "paddock create mario                       # of the file Modelfile in this folder",
        "paddock create mario -f mario.modelfile",
        "paddock create small -q q4_K_M -f big/Modelfile",
    ),
)(create)
app.command(
    "show",
    epilog=epilog("paddock show demo", "paddock show demo --modelfile > Modelfile"),
)(show)
app.command(
    "run",
    cls=RunCommand,
    epilog=epilog(
        "paddock run demo                           # a session",
        'paddock run demo "Why is the sky blue?"',
        'paddock run demo "Summarize this file:" < README.md',
        'paddock run llava "What is in this picture? ./photo.jpg"',
    )
    + f"\n\n{SESSION_ENVIRONMENT}",
)(run)
app.command("stop", epilog=epilog("paddock stop demo"))(stop)
app.command(
    "pull",
    epilog=epilog(
        "paddock pull qwen3:4b",
        "paddock pull hf.co/Qwen/Qwen3-0.6B",
    ),
)(pull)
app.command(
    "push",
    epilog=epilog("paddock cp mario me/mario", "paddock push me/mario"),
)(push)
app.command(
    "list",
    epilog=epilog(
        "paddock list",
        "paddock list qwen                  # names that begin with it",
        "paddock list --json | jq -r '.models[].name'",
    ),
)(list_models)
app.command("ls", hidden=True)(list_models)
app.command("ps", epilog=epilog("paddock ps", "paddock ps --json"))(list_running)
app.command("cp", epilog=epilog("paddock cp demo my-demo"))(copy)
app.command("rm", epilog=epilog("paddock rm my-demo", "paddock rm old:1 old:2"))(remove)
app.command(epilog=examples("paddock fsck", "paddock fsck --store s3://bucket/models --repair"))(
    fsck
)
app.command(
    epilog=examples("paddock collect --verbose", "paddock collect --store s3://bucket/models")
)(collect)
for account_command in ("signin", "login", "signout", "logout"):
    app.command(account_command, hidden=True)(refuse_account)


def main() -> None:
    """Run the command; status 1 and a text on standard error when it fails, 130 on Ctrl-C."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    try:
        app(prog_name="paddock")
    except (CommandFailed, PaddockError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


def _nowhere() -> TextIO:
    """Stand in for an output that was closed before the command began."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _fail(text: str) -> NoReturn:
    typer.echo(f"Error: {text}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
