"""The models of a suite through the REST API, as any client sees them; installing the demo."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import aiohttp

NAME = "demo"


async def chat_models(url: str) -> list[str]:
    """Name the stored models that complete prompts, the demo model first.

    Raises:
        RuntimeError: the server refused; the message is its own.
    """
    async with aiohttp.ClientSession(url) as session, session.get("/api/tags") as answer:
        models = (await _read(answer))["models"]
    names = [model["name"] for model in models if "completion" in model["capabilities"]]
    return sorted((name.removesuffix(":latest") for name in names), key=lambda it: it != NAME)


async def install_demo(url: str, folder: Path) -> None:
    """Create the demo model from a folder, unless the store has models.

    Raises:
        RuntimeError: the server refused; the message is its own.
    """
    async with aiohttp.ClientSession(url) as session:
        async with session.get("/api/tags") as answer:
            if (await _read(answer))["models"]:
                return
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


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


async def _read(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    if answer.status >= 400:
        raise RuntimeError(await answer.text())
    if not answer.content_type.endswith("json"):
        return {}
    content: dict[str, Any] = await answer.json()
    return content
