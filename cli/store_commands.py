"""`paddock fsck` and `paddock collect`: work on the store of a suite, running or not."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path, typer.Option(envvar="PADDOCK_HOME", help="Folder that paddock serve uses.")]
StoreAddress = Annotated[
    str,
    typer.Option(envvar="PADDOCK_STORE", help="Where models are kept; by default HOME/models."),
]


def fsck(
    home: Home = Path("~/.paddock"),
    store: StoreAddress = "",
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Delete blobs whose bytes are wrong; pull or create brings them again."
        ),
    ] = False,
) -> None:
    """Check that every stored model is whole.

    Status 1 if something is wrong.
    """
    _become("services.blob.fsck", home, store, *(["--repair"] if repair else []))


def collect(
    home: Home = Path("~/.paddock"),
    store: StoreAddress = "",
    grace: Annotated[
        str,
        typer.Option(
            envvar="PADDOCK_COLLECT_GRACE",
            help="Age under which nothing is garbage. With less than an hour nothing may be "
            "uploading, creating or pulling.",
        ),
    ] = "1h",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name what was removed.")
    ] = False,
) -> None:
    """Remove what no stored model needs, and say how much it was."""
    flags = ["--collect-grace", grace, *(["--verbose"] if verbose else [])]
    _become("services.blob.collect", home, store, *flags)


def _become(module: str, home: Path, store: str, *flags: str) -> None:
    from cli.suite import default_store

    address = store or default_store(home.expanduser().absolute())
    os.execv(sys.executable, [sys.executable, "-m", module, "--store", address, *flags])
