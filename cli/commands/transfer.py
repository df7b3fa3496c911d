"""`paddock pull` and `paddock push`: models from and to registries."""

import typer

from cli.arguments import Insecure, Model, Quiet
from cli.failure import CommandFailed
from cli.progress import open_progress

_OLLAMA_HOSTS = (".ollama.ai", ".ollama.com")
_REFUSALS = ("access denied", "unauthorized")


def pull(model: Model, insecure: Insecure = False, quiet: Quiet = False) -> None:
    """Pull a model from a registry.

    What is stored already is not fetched again, so this also brings a model up to date. An
    interrupted pull goes on where it was.
    """
    from cli import operations
    from cli.connection import connect

    with connect() as connection, open_progress(quiet=quiet) as progress:
        operations.pull(connection, model, progress, insecure=insecure)


def push(model: Model, insecure: Insecure = False, quiet: Quiet = False) -> None:
    """Push a model to a registry.

    Its name says to which: host/namespace/model.
    """
    from cli.connection import connect
    from cli.operations import perform

    body = {"model": model, "insecure": insecure}
    with connect() as connection:
        try:
            with open_progress(quiet=quiet) as progress:
                perform(connection, "/api/push", body, progress)
        except CommandFailed as error:
            if any(text in str(error).lower() for text in _REFUSALS):
                raise CommandFailed(
                    "you are not authorized to push to this namespace, "
                    f"create the model under a namespace you own ({error})"
                ) from error
            raise
    typer.echo(f"\nYou can find your model at:\n\n\t{_destination(model)}")


def _destination(model: str) -> str:
    from common.names import ModelName

    name = ModelName.parse(model)
    if name.host.endswith(_OLLAMA_HOSTS):
        return f"https://ollama.com/{str(name).removesuffix(':latest')}"
    return f"{name.host}/{name.namespace}/{name.model}:{name.tag}"
