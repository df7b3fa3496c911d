"""Uploads to a server that loses connections and refuses."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import ollama
import pytest
from aiohttp import web

from cli.create.hashing import hash_files
from cli.create.uploading import upload_files
from cli.progress import Silence
from common.hosts import HostAddress
from tests.servers.faulty_proxy import running_proxy

SIZE = 3_000_000


class BlobServer:
    """Takes blobs as the API does, and says what it was asked."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.keys: set[str] = set()
        self.posts = 0
        self.refusals: list[int] = []
        """Statuses of the next answers to POST."""
        self.address = HostAddress("http", "127.0.0.1", 0)

    async def head(self, request: web.Request) -> web.Response:
        stored = request.match_info["digest"] in self.blobs
        return web.Response(status=200 if stored else 404)

    async def post(self, request: web.Request) -> web.Response:
        self.posts += 1
        self.keys.add(request.headers.get("Authorization", ""))
        content = await request.read()
        assert request.content_length == len(content)
        if self.refusals:
            return web.json_response({"error": "not now"}, status=self.refusals.pop(0))
        self.blobs[request.match_info["digest"]] = content
        return web.Response(status=201)


@pytest.fixture
async def server() -> AsyncIterator[BlobServer]:
    blobs = BlobServer()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("HEAD", "/api/blobs/{digest}", blobs.head)
    app.router.add_route("POST", "/api/blobs/{digest}", blobs.post)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    blobs.address = HostAddress("http", "127.0.0.1", runner.addresses[0][1])
    yield blobs
    await runner.cleanup()


@pytest.fixture
async def files(tmp_path: Path) -> dict[str, Path]:
    paths = [tmp_path / str(number) for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * (SIZE if number == 0 else number))
    digests = await hash_files(paths, Silence())
    expected = hashlib.sha256(paths[1].read_bytes()).hexdigest()
    assert digests[paths[1]] == f"sha256:{expected}"
    return {digest: path for path, digest in digests.items()}


async def test_only_what_is_missing_is_sent(server: BlobServer, files: dict[str, Path]) -> None:
    await upload_files(server.address, "secret", files, Silence())
    assert server.blobs == {digest: path.read_bytes() for digest, path in files.items()}
    assert server.keys == {"Bearer secret"}
    del server.blobs[next(iter(files))]
    server.posts = 0
    await upload_files(server.address, "", files, Silence())
    assert server.posts == 1


async def test_a_broken_connection_is_made_anew(server: BlobServer, files: dict[str, Path]) -> None:
    async with running_proxy(f"127.0.0.1:{server.address.port}") as proxy:
        proxy.cut_after(SIZE // 2)
        await upload_files(HostAddress.parse(proxy.host), "", files, Silence())
        assert proxy.cuts == 1
    assert server.blobs.keys() == files.keys()


async def test_a_busy_server_is_asked_again(server: BlobServer, files: dict[str, Path]) -> None:
    server.refusals = [503, 429]
    await upload_files(server.address, "", files, Silence())
    assert server.blobs.keys() == files.keys()


async def test_a_refusal_is_final(server: BlobServer, files: dict[str, Path]) -> None:
    server.refusals = [400] * len(files)
    with pytest.raises(ollama.ResponseError, match="not now"):
        await upload_files(server.address, "", files, Silence())
    assert server.posts <= len(files)


async def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await hash_files([tmp_path / "nothing"], Silence())


async def test_after_some_tries_it_gives_up(
    server: BlobServer, files: dict[str, Path], unused_tcp_port: int
) -> None:
    few = dict(list(files.items())[:1])
    nobody = HostAddress("http", "127.0.0.1", unused_tcp_port)
    with pytest.raises(httpx.ConnectError):
        await upload_files(nobody, "", few, Silence(), pauses=[0.01])
    server.refusals = [503] * 3
    with pytest.raises(ollama.ResponseError, match="not now"):
        await upload_files(server.address, "", few, Silence(), pauses=[0.01])
    assert server.posts == 2
