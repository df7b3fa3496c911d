"""Arguments and options that several commands have."""

from typing import Annotated

import typer

from cli.completion import complete_model

ENVIRONMENT = """\b
Environment:
  PADDOCK_HOST     Server to talk to (127.0.0.1:11434); else OLLAMA_HOST.
  PADDOCK_API_KEY  Key that the server wants, if any; else OLLAMA_API_KEY."""

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


def epilog(*examples: str) -> str:
    """Write the end of a command's help: how it is used, and what it reads."""
    lines = "\n".join(f"  {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n{ENVIRONMENT}"
