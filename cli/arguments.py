"""Arguments and options that several commands have."""

from typing import Annotated

import typer

from cli.completion import complete_model

ENVIRONMENT = """\b
Environment:
  PADDOCK_HOST     Server to talk to (127.0.0.1:11434); else OLLAMA_HOST.
  PADDOCK_API_KEY  Key that the server wants, if any; else OLLAMA_API_KEY."""

SESSION_ENVIRONMENT = """\b
Environment of a session:
  PADDOCK_EDITOR     What Ctrl-G opens; else OLLAMA_EDITOR, VISUAL, EDITOR.
  PADDOCK_NOHISTORY  1: keep nothing that is typed; else OLLAMA_NOHISTORY."""

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        autocompletion=complete_model,
        help="Name of the model: [[host/]namespace/]model[:tag].",
    ),
]
Prefix = Annotated[
    str,
    typer.Argument(
        metavar="PREFIX",
        show_default=False,
        autocompletion=complete_model,
        help="Show only names that begin like this.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API gives it.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Use an insecure registry.")]


def examples(*commands: str) -> str:
    """Write the end of a command's help: how it is used."""
    lines = "\n".join(f"  {command}" for command in commands)
    return f"\b\nExamples:\n{lines}"


def epilog(*commands: str) -> str:
    """Write the end of the help of a command that talks to a server."""
    return f"{examples(*commands)}\n\n{ENVIRONMENT}"
