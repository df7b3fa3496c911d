"""An S3 store whose server, network or own process dies in the middle."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import PaddockError, StoreFailed, Unavailable, UploadMoved
from store.interface import CHUNK_SIZE
from store.s3_parts import MIB, MIN_PART_SIZE
from store.upload import Upload
from tests.servers.cutting_proxy import CuttingProxy, cutting_proxy
from tests.servers.swift import Swift
from tests.store.buckets import BUCKET, Place
from tests.store.helpers import (
    NAME,
    begin_kept,
    digest_of,
    distant_future,
    put,
    read,
    status,
)

CONTENT = bytes(range(256)) * (23 * MIB // 256)
PART = MIN_PART_SIZE


def finish(upload: Upload, rest: bytes) -> None:
    upload.write(rest)
    upload.commit()


@pytest.fixture
def proxy(swift: Swift, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    """What stores that are opened from now on talk to the server through."""
    with cutting_proxy(swift.ports["proxy"]) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{running.port}")
        yield running


def test_reading_goes_on_over_new_connections(place: Place, proxy: CuttingProxy) -> None:
    store = place.open()
    content = CONTENT[: 6 * CHUNK_SIZE]
    digest = put(store, content)
    proxy.answer_limit = 2_500_000
    assert read(store, digest) == content
    assert read(store, digest, 1000, len(content) - 2000) == content[1000:-1000]
    assert proxy.cuts >= 4


def test_reading_never_ends_early(place: Place, proxy: CuttingProxy) -> None:
    store = place.open()
    chunks = store.read(put(store, CONTENT))
    next(chunks)
    proxy.go_down()
    with pytest.raises(Unavailable):
        list(chunks)


def test_a_blob_that_is_cut_short_fails_its_reader(place: Place, proxy: CuttingProxy) -> None:
    """As nobody should do to an object that is named by its digest."""
    store = place.open()
    digest = put(store, CONTENT[: 4 * CHUNK_SIZE])
    proxy.answer_limit = 2 * CHUNK_SIZE
    chunks = store.read(digest)
    next(chunks)
    place.put(f"blobs/{digest.replace(':', '-')}", CONTENT[: 3 * CHUNK_SIZE])
    with pytest.raises(StoreFailed, match="changed"):
        list(chunks)


def test_a_server_that_dies_during_an_upload(place: Place, proxy: CuttingProxy) -> None:
    store = place.open()
    with (
        begin_kept(store, CONTENT) as upload,
        store.begin_upload(digest_of(CONTENT), len(CONTENT)) as ordinary,
    ):
        upload.write(CONTENT[: 3 * PART])
        ordinary.write(CONTENT[: 3 * PART])
        proxy.go_down()
        for failing in (upload, ordinary):
            with pytest.raises(Unavailable):
                finish(failing, CONTENT[3 * PART :])
    for method in (store.check, lambda: store.write_manifest(NAME, b"{}")):
        with pytest.raises(Unavailable, match="the store cannot be reached"):
            method()
    proxy.come_back()
    store.check()
    assert list(store.list_blobs()) == []
    assert store.abort_uploads(distant_future()) == 2
    assert place.multiparts() == []


def test_a_disk_server_that_dies_during_an_upload(swift: Swift, place: Place) -> None:
    store = place.open()
    try:
        with begin_kept(store, CONTENT) as upload:
            upload.write(CONTENT[: 2 * PART])
            swift.kill("object")
            with pytest.raises(PaddockError):
                finish(upload, CONTENT[2 * PART :])
    finally:
        swift.start("object")
        swift.wait_until_up()
    assert list(store.list_blobs()) == []
    offset = status(store, CONTENT).committed_size
    with begin_kept(store, CONTENT, offset) as upload:
        upload.write(CONTENT[offset:])
        upload.commit()
    assert read(store, digest_of(CONTENT)) == CONTENT


def test_parts_that_were_removed_meanwhile(place: Place) -> None:
    store = place.open()
    with begin_kept(store, CONTENT) as upload:
        upload.write(CONTENT[: 2 * PART])
        ((path, upload_id),) = place.multiparts()
        place.client.abort_multipart_upload(
            Bucket=BUCKET, Key=place.prefix + path, UploadId=upload_id
        )
        with pytest.raises(UploadMoved):
            finish(upload, CONTENT[2 * PART :])
    assert status(store, CONTENT).committed_size == 0
    assert store.abort_uploads(distant_future()) == 0


def test_parts_that_are_others_meanwhile(place: Place) -> None:
    store, content = place.open(), CONTENT[: 2 * PART + 1]
    with begin_kept(store, content) as upload:
        upload.write(content[:PART])
    (path,) = place.keys("uploads/kept-")
    state = json.loads(place.get(path))
    place.put(path, json.dumps(state | {"etags": ["0" * 32]}).encode())
    with begin_kept(store, content, PART) as upload, pytest.raises(StoreFailed):
        finish(upload, content[PART:])
    assert status(store, content).committed_size == 0
    with begin_kept(store, content) as upload:
        finish(upload, content)
    assert read(store, digest_of(content)) == content
    assert place.multiparts() == []


UPLOADING = """
import os, sys
from store.s3 import S3Store
from store.s3_parts import MIB, MIN_PART_SIZE
from tests.store.helpers import begin_kept
content = bytes(range(256)) * (23 * MIB // 256)
store = S3Store(sys.argv[1], sys.argv[2], part_size=MIN_PART_SIZE, parallel_parts=2)
upload = begin_kept(store, content)
position = 0
for command in sys.stdin:
    if command == "write\\n":
        upload.write(content[position : position + MIB])
        position += MIB
    else:
        upload.commit()
    print("done", flush=True)
"""


class Uploader:
    """Another process that uploads `CONTENT` with `keep`, a megabyte at a time."""

    def __init__(self, place: Place) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", UPLOADING, BUCKET, place.prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def do(self, command: str) -> bool:
        """Give a command; tell whether it was done."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{command}\n")
            self.process.stdin.flush()
        return self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def uploader(place: Place) -> Iterator[Uploader]:
    running = Uploader(place)
    yield running
    running.end()


def write_until_kept(uploader: Uploader, place: Place) -> int:
    """Write until some of it is kept, and more is not; give the number of bytes kept."""
    store = place.open()
    for number in range(22):
        assert uploader.do("write")
        time.sleep(0.1)
        if number >= 12 and (kept := status(store, CONTENT).committed_size):
            return kept
    pytest.fail("nothing is kept")


def test_another_process_goes_on_after_a_kill(place: Place, uploader: Uploader) -> None:
    kept = write_until_kept(uploader, place)
    uploader.end()
    store = place.open()
    assert kept % PART == 0
    assert list(store.list_blobs()) == []
    with begin_kept(store, CONTENT, kept) as upload:
        upload.write(CONTENT[kept:])
        upload.commit()
    assert read(store, digest_of(CONTENT)) == CONTENT
    assert place.keys("uploads/") == []
    assert place.multiparts() == []


def test_what_a_killed_process_left_is_removed_when_it_is_old(
    place: Place, uploader: Uploader
) -> None:
    write_until_kept(uploader, place)
    uploader.end()
    store = place.open()
    assert store.abort_uploads(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert store.abort_uploads(distant_future()) == 1
    assert place.keys() == []
    assert place.multiparts() == []


@pytest.mark.parametrize("the_first_ends_first", [True, False])
def test_two_processes_may_go_on_with_one_upload(
    place: Place, uploader: Uploader, the_first_ends_first: bool
) -> None:
    """One of them ends it; the other succeeds as well or learns that it has moved."""
    kept = write_until_kept(uploader, place)
    store = place.open()
    with begin_kept(store, CONTENT, kept) as upload:
        upload.write(CONTENT[kept : kept + PART])
        if the_first_ends_first:
            assert all(uploader.do(command) for command in [*["write"] * 23, "commit"])
        try:
            upload.write(CONTENT[kept + PART :])
            upload.commit()
        except UploadMoved:
            assert the_first_ends_first
    all(uploader.do(command) for command in [*["write"] * 23, "commit"])
    assert read(store, digest_of(CONTENT)) == CONTENT
    uploader.end()
    store.abort_uploads(distant_future())
    assert place.multiparts() == []


BOUNDED = """
import resource, sys
from store.s3 import S3Store
from store.s3_parts import MIB
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
store = S3Store(sys.argv[1], sys.argv[2], part_size=8 * MIB, parallel_parts=3)
store.check()
before = peak()
with store.begin_upload(None, 128 * MIB) as upload:
    for number in range(128):
        upload.write(bytes([number]) * MIB)
    digest, size = upload.commit()
assert sum(map(len, store.read(digest))) == size
print(peak() - before)
"""


def test_memory_is_bounded_by_the_parts_on_their_way(place: Place) -> None:
    """Three of 8 MiB, one that is being filled, and what the allocator keeps of each."""
    ran = subprocess.run(
        [sys.executable, "-c", BOUNDED, BUCKET, place.prefix],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert int(ran.stdout) < 64 * MIB
