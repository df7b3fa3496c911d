"""Garbage collection: what goes, what stays."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.derived import derived_name
from common.digests import hex_digits
from common.errors import InvalidRequest, StoreFailed
from common.names import ModelName
from common.rpc import rpc_errors
from protos.paddock.v1 import blob_pb2
from services.blob.collection import Collected, Collector, garbage
from store.folder import FolderStore
from store.interface import Blob
from tests.services.blob.helpers import NAME, Blobs, age, age_file, digest_of, manifest, put

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minutes", "named", "goes"),
    [(-1, False, True), (0, False, True), (1, False, False), (-1, True, False), (1, True, False)],
)
def test_garbage_is_unnamed_and_unwanted(minutes: int, named: bool, goes: bool) -> None:
    blob = Blob(digest_of(b"x"), 1, NOON + timedelta(minutes=minutes))
    assert garbage([blob], {blob.digest} if named else set(), NOON) == ([blob] if goes else [])


async def collect(blobs: Blobs, *digests: str, released: object = None) -> tuple[int, int]:
    request = blob_pb2.CollectRequest(digests=digests)
    if released is not None:
        request.released_at.CopyFrom(released)  # type: ignore[arg-type]
    collected = await blobs.Collect(request)
    return collected.blobs, collected.bytes


async def write_manifest(blobs: Blobs, *digests: str) -> blob_pb2.StoredManifest:
    await blobs.Retain(blob_pb2.RetainRequest(digests=digests))
    content = manifest(*digests)
    return await blobs.WriteManifest(blob_pb2.WriteManifestRequest(name=NAME, content=content))


async def release(blobs: Blobs) -> None:
    await blobs.DeleteManifest(blob_pb2.DeleteManifestRequest(name=NAME))


async def test_old_blobs_that_nobody_names_go(blobs: Blobs, store: FolderStore, root: Path) -> None:
    config, layer = await put(blobs, b"config"), await put(blobs, b"layer")
    old, young = await put(blobs, b"old one"), await put(blobs, b"young")
    await write_manifest(blobs, config, layer)
    for digest in (config, layer, old):
        age(root, digest, hours=2)
    assert await collect(blobs) == (1, 7)
    assert {blob.digest for blob in store.list_blobs()} == {config, layer, young}
    assert await collect(blobs) == (0, 0)


async def test_posting_a_stored_blob_saves_it_for_a_create(blobs: Blobs, root: Path) -> None:
    digest = await put(blobs, b"x")
    age(root, digest, hours=2)
    await put(blobs, b"x")
    assert await collect(blobs) == (0, 0)


async def test_released_blobs_go_at_once(blobs: Blobs, store: FolderStore) -> None:
    config, layer = await put(blobs, b"config"), await put(blobs, b"layer")
    bystander = await put(blobs, b"bystander")
    written = await write_manifest(blobs, config, layer)
    assert await collect(blobs, config, layer, released=written.modified_at) == (0, 0)
    await release(blobs)
    unknown = digest_of(b"unknown")
    assert await collect(blobs, config, layer, layer, unknown, released=written.modified_at) == (
        2,
        11,
    )
    assert [blob.digest for blob in store.list_blobs()] == [bystander]


async def test_a_released_blob_that_was_wanted_since_waits(blobs: Blobs, root: Path) -> None:
    digest = await put(blobs, b"shared")
    written = await write_manifest(blobs, digest)
    await asyncio.sleep(0.02)
    await blobs.Retain(blob_pb2.RetainRequest(digests=[digest]))
    await release(blobs)
    assert await collect(blobs, digest, released=written.modified_at) == (0, 0)
    age(root, digest, hours=2)
    assert await collect(blobs) == (1, 6)


async def test_a_release_needs_its_time(blobs: Blobs) -> None:
    with pytest.raises(InvalidRequest), rpc_errors():
        await collect(blobs, await put(blobs, b"x"))


@pytest.mark.parametrize("content", [b"", b"{", b'{"layers": [{"digest": "md5:1"}]}'])
async def test_a_manifest_that_cannot_be_read_stops_collection(
    blobs: Blobs,
    store: FolderStore,
    root: Path,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    digest = await put(blobs, b"x")
    age(root, digest, hours=2)
    store.write_manifest(ModelName.parse("damaged"), content)
    with caplog.at_level(logging.ERROR):
        assert await collect(blobs) == (0, 0)
    assert "nothing is collected" in caplog.text
    assert "damaged:latest" in caplog.text
    store.delete_manifest(ModelName.parse("damaged"))
    assert await collect(blobs) == (1, 1)


async def test_idle_uploads_go_and_running_ones_stay(store: FolderStore) -> None:
    with store.begin_upload() as upload:
        upload.write(b"slow")
        Collector(store, timedelta(hours=1)).collect_all()
        assert upload.commit() == (digest_of(b"slow"), 4)
    with store.begin_upload():
        Collector(store, timedelta(0)).collect_all()
        assert store.abort_uploads(datetime.now(UTC)) == 0


class NoUploads(FolderStore):
    """A store that cannot tell of unfinished uploads."""

    def abort_uploads(self, idle_since: datetime) -> int:
        raise StoreFailed("the store cannot be used: S3 refuses a request: AccessDenied")


def test_blobs_are_collected_where_uploads_cannot_be(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = NoUploads(root)
    store.check()
    digest = put_in(store, root, b"x", hours=2)
    collected = Collector(store, timedelta(hours=1)).collect_all()
    assert [blob.digest for blob in collected.deleted] == [digest]
    assert "unfinished uploads stay" in caplog.text


def put_in(store: FolderStore, root: Path, content: bytes, hours: float) -> str:
    with store.begin_upload() as upload:
        upload.write(content)
        digest, _ = upload.commit()
    age(root, digest, hours)
    return digest


def test_what_was_derived_goes_with_its_source(store: FolderStore, root: Path) -> None:
    source, result = (put_in(store, root, each, hours=2) for each in (b"source", b"result"))
    derived, model = derived_name(hex_digits(source), "converter-1"), ModelName.parse("model")
    for name, digest in ((model, source), (derived, result)):
        store.write_manifest(name, manifest(digest))
        age_file(root / "manifests" / name.path, hours=2)
    collector = Collector(store, timedelta(hours=1))
    assert collector.collect_all() == Collected()
    written = store.read_manifest(model).modified_at
    store.delete_manifest(model)
    released = collector.collect_released([source], written)
    assert [blob.digest for blob in released.deleted] == [source]
    collected = collector.collect_all()
    assert [blob.digest for blob in collected.deleted] == [result]
    assert collected.manifests == (derived,)
    assert list(store.list_manifests()) == []


def test_a_derived_model_that_was_just_used_keeps_its_blobs(store: FolderStore, root: Path) -> None:
    """Its manifest goes, for its source is gone, but whoever retained its blobs reads them."""
    result = put_in(store, root, b"result", hours=0)
    derived = derived_name(hex_digits(digest_of(b"source")), "converter-1")
    store.write_manifest(derived, manifest(result))
    collector = Collector(store, timedelta(hours=1))
    assert collector.collect_all() == Collected()
    age_file(root / "manifests" / derived.path, hours=2)
    assert collector.collect_all() == Collected(manifests=(derived,))
    assert store.stat(result).size == 6
