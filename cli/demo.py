"""Installing the demo model through the REST API, as any client would."""

import asyncio
import hashlib
from pathlib import Path

import aiohttp

NAME = "demo"


async def install_demo(url: str, folder: Path) -> bool:
    """Create the demo model from a folder where the store has no model; tell whether it did.

    Raises:
        RuntimeError: the server refused; the message is its own.
    """
    async with aiohttp.ClientSession(url) as session:
        async with session.get("/api/tags") as answer:
            if (await _read(answer))["models"]:
                return False
        files = await asyncio.to_thread(_read_folder, folder)
        digests = {
            name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in files.items()
        }
        for name, content in files.items():
            async with session.post(f"/api/blobs/{digests[name]}", data=content) as answer:
                await _read(answer)
        request = {"model": NAME, "files": digests, "stream": False}
        async with session.post("/api/create", json=request) as answer:
            await _read(answer)
    return True


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


async def _read(answer: aiohttp.ClientResponse) -> dict[str, object]:
    if answer.status >= 400:
        raise RuntimeError(await answer.text())
    if not answer.content_type.endswith("json"):
        return {}
    content: dict[str, object] = await answer.json()
    return content
