"""`paddock show`: what a model is."""

from typing import Annotated

import typer

from cli.arguments import AsJson, Model
from cli.failure import CommandFailed

_PARTS = ("license", "modelfile", "parameters", "system", "template")
_WITHOUT_NEWLINE = ("system", "template")


def show(
    model: Model,
    license_: Annotated[bool, typer.Option("--license", help="Show license of a model.")] = False,
    modelfile: Annotated[
        bool, typer.Option("--modelfile", help="Show Modelfile of a model.")
    ] = False,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Show parameters of a model.")
    ] = False,
    system: Annotated[
        bool, typer.Option("--system", help="Show system message of a model.")
    ] = False,
    template: Annotated[bool, typer.Option("--template", help="Show template of a model.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show detailed model information.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show information for a model, or one part of it."""
    from cli.commands.show_sections import show_lines
    from cli.connection import connect
    from cli.tables import print_json

    wanted = (license_, modelfile, parameters, system, template)
    parts = [part for part, is_wanted in zip(_PARTS, wanted, strict=True) if is_wanted]
    if len(parts) > 1:
        raise CommandFailed(
            "only one of '--license', '--modelfile', '--parameters', '--system', "
            "or '--template' can be specified"
        )
    with connect() as connection:
        shown = connection.describe(model, verbose=verbose)
    if as_json:
        print_json({part: shown.get(part, "") for part in parts} or shown)
    elif parts:
        typer.echo(shown.get(parts[0], ""), nl=parts[0] not in _WITHOUT_NEWLINE)
    else:
        for line in show_lines(shown, verbose=verbose):
            typer.echo(line)
