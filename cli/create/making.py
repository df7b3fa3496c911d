"""Making a model: its files hashed and uploaded, then the server asked to put it together."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.connection import Connection
from cli.create.hashing import hash_files
from cli.create.modelfiles import Ingredients
from cli.create.uploading import upload_files
from cli.operations import perform
from cli.progress import Progress
from cli.server import fetch


def make(
    connection: Connection,
    body: Mapping[str, Any],
    ingredients: Ingredients,
    progress: Progress,
) -> None:
    """Make a model.

    Args:
        connection: to the server.
        body: of the request, without what the model is made from.
        ingredients: what it is made from.
        progress: shows how far it is.

    Raises:
        CommandFailed: the server refused.
        httpx.HTTPError: it was lost.
        OSError: a file cannot be read.
    """
    fetch("/api/version")  # somebody should be there before hashing begins
    local = {*ingredients.files.values(), *ingredients.adapters.values()}
    digests = asyncio.run(_store(connection, local, progress)) if local else {}

    def by_name(files: Mapping[str, Path]) -> dict[str, str]:
        return {name: digests[path] for name, path in files.items()}

    sources = {
        "from": ingredients.base,
        "files": {**by_name(ingredients.files), **ingredients.file_blobs},
        "adapters": {**by_name(ingredients.adapters), **ingredients.adapter_blobs},
    }
    given = {name: source for name, source in sources.items() if source}
    perform(connection, "/api/create", {**body, **given}, progress)


async def _store(connection: Connection, paths: set[Path], progress: Progress) -> dict[Path, str]:
    digests = await hash_files(sorted(paths), progress)
    by_digest = {digest: path for path, digest in digests.items()}
    await upload_files(connection.address, connection.key, by_digest, progress)
    return digests
