"""What the service does unasked."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.errors import PaddockError, StoreFailed, StoreFull, Unavailable
from common.rpc import is_serving
from common.server import Server
from services.blob.collection import Collector
from services.blob.upkeep import Health, collect_regularly, watch_store
from store.folder import FolderStore
from tests.servers.cutting_proxy import cutting_proxy
from tests.servers.swift import Swift
from tests.services.blob.helpers import age, digest_of
from tests.store.buckets import Place


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("checks", "good"),
    [
        ("", False),
        ("-", False),
        ("+", True),
        ("+-", True),
        ("+-+-+-", True),
        ("+--", False),
        ("+-----", False),
        ("+--+", True),
        ("+--+-", True),
    ],
)
def test_one_bad_check_changes_nothing(checks: str, good: bool) -> None:
    health = Health(failures=2)
    for check in checks:
        health.note(check == "+")
    assert health.is_good == good


class Scripted(FolderStore):
    """A store whose checks go as they are told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.failure: PaddockError | None = None
        self.checks = 0

    def check(self) -> None:
        self.checks += 1
        if self.failure:
            raise self.failure


@pytest.mark.parametrize(
    ("failure", "ready"),
    [(StoreFull("no space"), True), (StoreFailed("gone"), False), (Unavailable("gone"), False)],
)
async def test_a_full_store_takes_work_and_a_lost_one_does_not(
    root: Path, tmp_path: Path, failure: PaddockError, ready: bool
) -> None:
    server, store = Server(), Scripted(root)
    address = await server.start(f"unix:{tmp_path}/blob.sock")

    async def checked() -> bool:
        return store.checks > seen + 3

    async with running(watch_store(store, server, interval=0.02)):
        await until(lambda: is_serving(address))
        seen = store.checks
        store.failure = failure
        await until(checked)
        assert await is_serving(address) == ready
    await server.stop(0)


async def test_a_lasting_failure_is_logged_once(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, store = Server(), Scripted(root)
    await server.start(f"unix:{tmp_path}/blob.sock")

    async def checked() -> bool:
        return store.checks > 5

    store.failure = StoreFailed("no folder")
    async with running(watch_store(store, server, interval=0.02)):
        await until(checked)
    assert caplog.text.count("a check of the store has failed: no folder") == 1
    await server.stop(0)


async def test_health_follows_the_store(store: FolderStore, root: Path, tmp_path: Path) -> None:
    server = Server()
    address = await server.start(f"unix:{tmp_path}/blob.sock")

    async def serving() -> bool:
        return await is_serving(address)

    async def not_serving() -> bool:
        return not await is_serving(address)

    async with running(watch_store(store, server, interval=0.02)):
        await until(serving)
        await asyncio.to_thread(root.rename, tmp_path / "away")
        await asyncio.to_thread(root.write_bytes, b"no folder")
        await until(not_serving)
        await asyncio.to_thread(root.unlink)
        await asyncio.to_thread((tmp_path / "away").rename, root)
        await until(serving)
    await server.stop(0)


async def test_health_follows_a_bucket(
    swift: Swift, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds of its going, and of its coming back."""
    server = Server()
    address = await server.start(f"unix:{tmp_path}/blob.sock")

    async def not_serving() -> bool:
        return not await is_serving(address)

    with cutting_proxy(swift.ports["proxy"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{proxy.port}")
        async with running(watch_store(place.open(), server, interval=0.1)):
            await until(lambda: is_serving(address))
            proxy.go_down()
            await until(not_serving)
            proxy.come_back()
            await until(lambda: is_serving(address))
    await server.stop(0)


def put_old(store: FolderStore, root: Path, content: bytes) -> None:
    with store.begin_upload() as upload:
        upload.write(content)
        upload.commit()
    age(root, digest_of(content), hours=2)


async def test_garbage_is_collected_again_and_again(
    store: FolderStore, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def empty() -> bool:
        return not list(store.list_blobs())

    async def failure_logged() -> bool:
        return "garbage is left" in caplog.text

    collector = Collector(store, timedelta(hours=1))
    with caplog.at_level(logging.ERROR):
        async with running(collect_regularly(collector, 0.02)):
            put_old(store, root, b"first")
            await until(empty)
            await asyncio.to_thread((root / "manifests").write_bytes, b"no folder")
            await until(failure_logged)
            await asyncio.to_thread((root / "manifests").unlink)
            put_old(store, root, b"second")
            await until(empty)


async def test_an_interval_of_zero_collects_once(store: FolderStore, root: Path) -> None:
    put_old(store, root, b"x")
    await asyncio.wait_for(collect_regularly(Collector(store, timedelta(hours=1)), 0), 5)
    assert list(store.list_blobs()) == []
