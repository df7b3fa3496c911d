"""`paddock create`: a model made of a Modelfile and the files that it names."""

from typing import Annotated

import typer

from cli.arguments import Quiet
from cli.failure import CommandFailed


def create(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", show_default=False, help="Name that the model is to have."),
    ],
    file: Annotated[
        str,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            show_default=False,
            help='Name of the Modelfile (default "Modelfile"); - is standard input.',
        ),
    ] = "",
    quantize: Annotated[
        str,
        typer.Option(
            "--quantize",
            "-q",
            metavar="LEVEL",
            show_default=False,
            help="Quantize model to this level (e.g. q4_K_M).",
        ),
    ] = "",
    quiet: Quiet = False,
) -> None:
    """Create a model.

    FROM in the Modelfile names a model of the server, a GGUF file or a folder with safetensors;
    paths are relative to the Modelfile. Of local files only those are uploaded that the server
    lacks. Without a Modelfile the model that lies in this folder is taken.
    """
    from cli.connection import connect
    from cli.create.making import make
    from cli.create.modelfiles import create_fields, find_ingredients, read_modelfile, takes_away
    from cli.operations import perform
    from cli.progress import open_progress
    from common.errors import InvalidName
    from common.modelfile.modelfile import write_modelfile
    from common.names import ModelName

    try:
        ModelName.parse(model)
    except InvalidName:
        raise CommandFailed(f"invalid model name: {model}") from None
    modelfile, folder = read_modelfile(file)
    ingredients = find_ingredients(modelfile, folder)
    body = {"model": model, **({"quantize": quantize} if quantize else {})}
    with connect() as connection, open_progress(quiet=quiet) as progress:
        if takes_away(modelfile) and ingredients.base and not ingredients.adapters:
            text = write_modelfile(modelfile)
            perform(connection, "/api/create", {**body, "modelfile": text}, progress)
        else:
            make(connection, {**body, **create_fields(modelfile)}, ingredients, progress)
