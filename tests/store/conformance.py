"""What every store backend must do: subclass `StoreConformance` and supply `open_again`."""

import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import (
    BlobNotFound,
    Canceled,
    DigestMismatch,
    InvalidRequest,
    PaddockError,
)
from store.interface import CHUNK_SIZE, Store
from tests.store.helpers import (
    NAME,
    UNKNOWN,
    OpenStore,
    digest_of,
    distant_future,
    put,
    read,
)
from tests.store.kept_conformance import KeptUploadCases
from tests.store.manifest_conformance import ManifestCases


class StoreConformance(KeptUploadCases, ManifestCases):
    """The contract of `store.interface.Store`, as tests."""

    def test_a_new_store_is_usable_and_empty(self, store: Store) -> None:
        store.check()
        store.check()
        assert list(store.list_blobs()) == []
        assert list(store.list_manifests()) == []
        assert store.abort_uploads(distant_future()) == 0

    def test_an_empty_store_works_without_a_check(self, store: Store) -> None:
        assert list(store.list_blobs()) == []
        assert not store.delete_blob(UNKNOWN, distant_future())
        with pytest.raises(BlobNotFound):
            store.retain(UNKNOWN)

    def test_a_blob_is_seen_by_everyone_after_commit(self, open_again: OpenStore) -> None:
        store, other = open_again(), open_again()
        digest = digest_of(b"weights")
        with store.begin_upload(digest, 7) as upload:
            upload.write(b"wei")
            upload.write(b"ghts")
            assert list(other.list_blobs()) == []
            with pytest.raises(BlobNotFound):
                other.stat(digest)
            assert upload.commit() == (digest, 7)
        assert read(other, digest) == b"weights"
        assert other.stat(digest).size == 7
        assert [blob.digest for blob in other.list_blobs()] == [digest]

    def test_age_is_the_time_of_storing(self, store: Store) -> None:
        age = datetime.now(UTC) - store.stat(put(store, b"x")).modified_at
        assert abs(age) < timedelta(seconds=5)

    def test_an_undeclared_blob_is_stored_under_what_it_is(self, store: Store) -> None:
        with store.begin_upload() as upload:
            upload.write(b"surprise")
            assert upload.commit() == (digest_of(b"surprise"), 8)

    @pytest.mark.parametrize("digest", [None, digest_of(b"")])
    def test_an_empty_blob(self, store: Store, digest: str | None) -> None:
        with store.begin_upload(digest, 0) as upload:
            upload.commit()
        assert store.stat(digest_of(b"")).size == 0
        assert read(store, digest_of(b"")) == b""
        assert read(store, digest_of(b""), 5, 5) == b""

    def test_a_wrong_digest_stores_nothing(self, store: Store) -> None:
        expected, got = digest_of(b"right"), digest_of(b"wrong")
        message = f'digest mismatch, expected "{expected}", got "{got}"'
        with store.begin_upload(expected) as upload:
            upload.write(b"wrong")
            with pytest.raises(DigestMismatch, match=message):
                upload.commit()
        self.assert_nothing_is_left(store)

    def test_a_short_body_stores_nothing(self, store: Store) -> None:
        with store.begin_upload(None, 10) as upload:
            upload.write(b"short")
            with pytest.raises(InvalidRequest, match="5 bytes instead of the declared 10"):
                upload.commit()
        self.assert_nothing_is_left(store)

    def test_a_long_body_is_refused_at_once(self, store: Store) -> None:
        with store.begin_upload(None, 3) as upload:
            with pytest.raises(InvalidRequest, match="longer than the declared 3"):
                upload.write(b"long")
            with pytest.raises(Canceled):
                upload.commit()
        self.assert_nothing_is_left(store)

    def test_leaving_an_upload_aborts_it(self, store: Store) -> None:
        with store.begin_upload() as upload:
            upload.write(b"half")
        upload.abort()
        with pytest.raises(Canceled):
            upload.write(b"more")
        self.assert_nothing_is_left(store)

    def test_aborting_after_commit_changes_nothing(self, store: Store) -> None:
        with store.begin_upload() as upload:
            upload.write(b"kept")
            upload.commit()
            upload.abort()
        assert read(store, digest_of(b"kept")) == b"kept"

    def test_idle_uploads_of_others_are_removed(self, open_again: OpenStore) -> None:
        store, other = open_again(), open_again()
        with store.begin_upload() as upload:
            upload.write(bytes(self.kept_part))
            assert other.abort_uploads(datetime.now(UTC) - timedelta(hours=1)) == 0
            assert other.abort_uploads(distant_future()) == 1
            with pytest.raises(PaddockError, match="aborted"):
                upload.commit()
        self.assert_nothing_is_left(store)

    def test_unknown_blobs(self, store: Store) -> None:
        put(store, b"another")
        for method in (store.stat, store.read, store.locate, store.retain):
            with pytest.raises(BlobNotFound, match=f'blob "{UNKNOWN}" not found'):
                method(UNKNOWN)

    @pytest.mark.parametrize(
        ("offset", "length"),
        [
            (0, None),
            (0, 0),
            (3, 0),
            (3, None),
            (3, 4),
            (0, 10),
            (CHUNK_SIZE - 1, 2),
            (CHUNK_SIZE, None),
            (2 * CHUNK_SIZE + 4, 100),
            (2 * CHUNK_SIZE + 5, None),
            (2 * CHUNK_SIZE + 5, 1),
            (2**64 - 1, None),
            (2**64 - 1, 2**64 - 1),
            (1, 2**64 - 1),
        ],
    )
    def test_ranges(self, store: Store, offset: int, length: int | None) -> None:
        content = bytes(i % 251 for i in range(CHUNK_SIZE)) * 2 + b"tail!"
        digest = put(store, content)
        end = None if length is None else offset + length
        chunks = list(store.read(digest, offset, length))
        assert b"".join(chunks) == content[offset:end]
        assert all(len(chunk) == CHUNK_SIZE for chunk in chunks[:-1])

    def test_a_blob_can_be_read_where_it_is_said_to_be(self, store: Store) -> None:
        location = store.locate(put(store, b"located"))
        assert location.size == 7
        assert (location.path is None) != (location.url is None)
        assert self.fetch(location.path, location.url) == b"located"

    def fetch(self, path: object, url: str | None) -> bytes:
        """Read what a location names, as a worker would."""
        raise NotImplementedError

    def test_retaining_makes_young(self, store: Store) -> None:
        digest = put(store, b"x")
        before = store.stat(digest).modified_at
        time.sleep(self.tick)
        retained = store.retain(digest)
        assert retained.modified_at > before
        assert retained == store.stat(digest)

    def test_storing_again_makes_young(self, store: Store) -> None:
        before = store.stat(put(store, b"x")).modified_at
        time.sleep(self.tick)
        assert store.stat(put(store, b"x")).modified_at > before

    def test_deleting_spares_what_was_wanted_since(self, store: Store) -> None:
        digest = put(store, b"x")
        before = store.stat(digest).modified_at
        time.sleep(self.tick)
        after = store.retain(digest).modified_at
        assert not store.delete_blob(digest, unless_newer_than=before)
        assert read(store, digest) == b"x"
        assert store.delete_blob(digest, unless_newer_than=after)
        assert not store.delete_blob(digest, unless_newer_than=after)
        self.assert_nothing_is_left(store)

    def test_retaining_can_be_undone(self, store: Store) -> None:
        digest, kept = put(store, b"x"), put(store, b"y")
        time.sleep(self.tick)
        written = store.write_manifest(NAME, b"{}").modified_at
        time.sleep(self.tick)
        retained = store.retain(digest).modified_at
        with store.deleting([digest, kept, UNKNOWN]) as deletion:
            deletion.unretain(digest, written, written)
            assert store.stat(digest).modified_at == retained
            deletion.unretain(digest, retained, written)
            assert store.stat(digest).modified_at <= written
            before = store.stat(kept)
            deletion.unretain(kept, distant_future(), distant_future())
            assert store.stat(kept) == before
            deletion.unretain(UNKNOWN, distant_future(), written)
        assert store.delete_blob(digest, unless_newer_than=written)

    def test_whoever_has_written_a_manifest_waits_for_deletions(
        self, open_again: OpenStore
    ) -> None:
        store, other = open_again(), open_again()
        digest = put(store, b"x")
        other.await_deletions([digest, UNKNOWN])
        with ThreadPoolExecutor(1) as thread:
            with store.deleting([digest]) as deletion:
                waiting = thread.submit(other.await_deletions, [UNKNOWN, digest])
                time.sleep(0.3)
                assert not waiting.done()
                assert deletion.delete(digest, distant_future())
            waiting.result(10)
        with pytest.raises(BlobNotFound):
            other.stat(digest)

    def test_a_manifest_is_never_older_than_what_was_retained_for_it(self, store: Store) -> None:
        for number in range(self.rounds):
            digest = put(store, b"layer")
            manifest = store.write_manifest(NAME, b"%d" % number)
            assert store.stat(digest).modified_at <= manifest.modified_at

    # Several at once

    def test_two_uploads_of_one_digest(self, open_again: OpenStore) -> None:
        content = b"same" * 100_000
        digest = digest_of(content)
        with (
            open_again().begin_upload(digest) as first,
            open_again().begin_upload(digest) as second,
        ):
            first.write(content[:1000])
            second.write(content)
            second.commit()
            first.write(content[1000:])
            first.commit()
        store = open_again()
        assert read(store, digest) == content
        assert len(list(store.list_blobs())) == 1

    def test_many_uploads_from_many_threads(self, open_again: OpenStore) -> None:
        contents = [b"%d" % (number % 5) * 50_000 for number in range(20)]
        with ThreadPoolExecutor(8) as threads:
            digests = set(threads.map(lambda content: put(open_again(), content), contents))
        store = open_again()
        assert {blob.digest for blob in store.list_blobs()} == digests
        assert all(digest_of(read(store, digest)) == digest for digest in digests)

    def test_deleting_during_a_read(self, store: Store) -> None:
        """The reader gets all of it or an error."""
        content = bytes(3 * CHUNK_SIZE)
        digest = put(store, content)
        chunks = store.read(digest)
        received = next(chunks)
        assert store.delete_blob(digest, distant_future())
        try:
            for chunk in chunks:
                received += chunk
        except PaddockError:
            return
        assert received == content

    def test_aborting_from_another_thread(self, store: Store) -> None:
        upload = store.begin_upload()
        stopped = threading.Event()

        def write() -> None:
            try:
                while True:
                    upload.write(bytes(10_000))
            except Canceled:
                stopped.set()

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.02)
        upload.abort()
        thread.join(10)
        assert stopped.is_set()
        self.assert_nothing_is_left(store)

    def test_a_large_blob_takes_little_memory(self, store: Store) -> None:
        chunk, count = bytes(range(256)) * 4096, 48
        tracemalloc.start()
        try:
            with store.begin_upload(None, count * len(chunk)) as upload:
                for _ in range(count):
                    upload.write(chunk)
                digest, _ = upload.commit()
            assert sum(map(len, store.read(digest))) == count * len(chunk)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 24 * CHUNK_SIZE
