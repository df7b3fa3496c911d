"""What every store backend must do: subclass `StoreConformance` and supply `open_again`."""

import hashlib
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import (
    BlobNotFound,
    Canceled,
    DigestMismatch,
    InvalidRequest,
    ModelNotFound,
    PaddockError,
    UploadMoved,
)
from common.names import ModelName
from store.interface import CHUNK_SIZE, Store, UploadStatus
from store.upload import Upload

NAME = ModelName.parse("llama3.2")
UNKNOWN = f"sha256:{'0' * 64}"
OpenStore = Callable[[], Store]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def put(store: Store, content: bytes) -> str:
    with store.begin_upload() as upload:
        upload.write(content)
        return upload.commit()[0]


def read(store: Store, digest: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(store.read(digest, offset, length))


def begin_kept(store: Store, content: bytes, offset: int = 0) -> Upload:
    return store.begin_upload(digest_of(content), len(content), keep=True, offset=offset)


def status(store: Store, content: bytes) -> UploadStatus:
    return store.upload_status(digest_of(content), len(content))


def distant_future() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


class StoreConformance:
    """The contract of `store.interface.Store`, as tests."""

    tick = 0.02
    """Seconds after which the storage's clock has surely moved on."""

    kept_part = 50_000
    """Bytes of which a kept upload has whole multiples when it breaks off."""

    @pytest.fixture
    def open_again(self) -> OpenStore:
        """Give a function that opens one and the same new, empty store each time."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_again: OpenStore) -> Store:
        return open_again()

    # Blobs

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

    def test_a_manifest_is_never_older_than_what_was_retained_for_it(self, store: Store) -> None:
        for number in range(20):
            digest = put(store, b"layer")
            manifest = store.write_manifest(NAME, b"%d" % number)
            assert store.stat(digest).modified_at <= manifest.modified_at

    # Kept uploads

    def kept_content(self) -> bytes:
        """Make a blob of three parts and a few bytes."""
        size = 3 * self.kept_part + 4
        return (bytes(range(251)) * (size // 251 + 1))[:size]

    def break_off(self, store: Store, content: bytes, sent: bytes) -> None:
        with begin_kept(store, content) as upload:
            upload.write(sent)

    def test_a_kept_upload_goes_on_where_it_broke_off(self, open_again: OpenStore) -> None:
        content, part = self.kept_content(), self.kept_part
        assert status(open_again(), content) == UploadStatus(0)
        self.break_off(open_again(), content, content[:part])
        assert status(open_again(), content) == UploadStatus(part)
        with begin_kept(open_again(), content, offset=part) as upload:
            upload.write(content[part : 2 * part])
        store = open_again()
        assert status(store, content) == UploadStatus(2 * part)
        assert list(store.list_blobs()) == []
        with begin_kept(store, content, offset=2 * part) as upload:
            upload.write(content[2 * part : 2 * part + 1])
            upload.write(content[2 * part + 1 :])
            assert upload.commit() == (digest_of(content), len(content))
        assert read(store, digest_of(content)) == content
        assert status(store, content) == UploadStatus(0)
        assert store.abort_uploads(distant_future()) == 0

    def test_a_kept_upload_that_lacks_nothing_but_its_commit(self, store: Store) -> None:
        content = self.kept_content()[: 2 * self.kept_part]
        self.break_off(store, content, content)
        assert status(store, content) == UploadStatus(len(content))
        with begin_kept(store, content, offset=len(content)) as upload:
            upload.commit()
        assert read(store, digest_of(content)) == content

    def test_a_small_kept_upload(self, store: Store) -> None:
        for content in (b"", b"x"):
            with begin_kept(store, content) as upload:
                upload.write(content)
                upload.commit()
            assert read(store, digest_of(content)) == content
            assert status(store, content) == UploadStatus(0)

    def test_a_kept_upload_can_begin_anew(self, store: Store) -> None:
        content = self.kept_content()
        self.break_off(store, content, bytes(2 * self.kept_part))
        with begin_kept(store, content) as upload:
            upload.write(content)
            upload.commit()
        assert read(store, digest_of(content)) == content

    def test_going_on_takes_the_right_place(self, store: Store) -> None:
        content, part = self.kept_content(), self.kept_part
        for offset in (1, part):
            with pytest.raises(UploadMoved):
                begin_kept(store, content, offset)
        self.break_off(store, content, content[:part])
        for offset in (1, part - 1, part + 1, 2 * part):
            with pytest.raises(UploadMoved):
                begin_kept(store, content, offset)
        for digest, size in ((digest_of(content), len(content) + 1), (UNKNOWN, len(content))):
            with pytest.raises(UploadMoved):
                store.begin_upload(digest, size, keep=True, offset=part)
            assert store.upload_status(digest, size) == UploadStatus(0)
        with pytest.raises(UploadMoved):
            store.begin_upload(digest_of(content), len(content), offset=part)
        assert status(store, content) == UploadStatus(part)

    def test_one_writer_keeps_others_are_ordinary(self, open_again: OpenStore) -> None:
        content, part = self.kept_content(), self.kept_part
        store = open_again()
        with begin_kept(open_again(), content) as first:
            first.write(content[:part])
            assert status(store, content).busy
            with pytest.raises(UploadMoved):
                begin_kept(store, content, offset=part)
            with begin_kept(store, content) as second:
                second.write(content[: 2 * part])
            assert status(store, content).busy
        assert status(store, content) == UploadStatus(part)

    def test_kept_uploads_of_one_digest_at_once(self, open_again: OpenStore) -> None:
        content, part = self.kept_content(), self.kept_part
        with begin_kept(open_again(), content) as first:
            first.write(content[:part])
            with begin_kept(open_again(), content) as second:
                second.write(content)
                second.commit()
            first.write(content[part:])
            first.commit()
        store = open_again()
        assert read(store, digest_of(content)) == content
        assert status(store, content) == UploadStatus(0)
        assert store.abort_uploads(distant_future()) == 0

    def test_wrong_bytes_are_not_kept(self, store: Store) -> None:
        content, part = self.kept_content(), self.kept_part
        with begin_kept(store, content) as upload:
            upload.write(bytes(len(content)))
            with pytest.raises(DigestMismatch):
                upload.commit()
        assert status(store, content) == UploadStatus(0)
        self.break_off(store, content, bytes(part))
        with begin_kept(store, content, offset=part) as upload:
            upload.write(content[part:])
            with pytest.raises(DigestMismatch):
                upload.commit()
        assert status(store, content) == UploadStatus(0)
        self.assert_nothing_is_left(store)

    def test_a_long_body_is_not_kept_and_a_short_one_is(self, store: Store) -> None:
        content, part = self.kept_content(), self.kept_part
        with begin_kept(store, content) as upload:
            upload.write(content[:part])
            with pytest.raises(InvalidRequest, match="instead of the declared"):
                upload.commit()
        assert status(store, content) == UploadStatus(part)
        with (
            begin_kept(store, content, offset=part) as upload,
            pytest.raises(InvalidRequest, match="longer than the declared"),
        ):
            upload.write(content)
        assert status(store, content) == UploadStatus(0)
        self.assert_nothing_is_left(store)

    def test_idle_kept_uploads_are_removed(self, open_again: OpenStore) -> None:
        content, part = self.kept_content(), self.kept_part
        store, other = open_again(), open_again()
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        self.break_off(store, content, content[:part])
        assert other.abort_uploads(hour_ago) == 0
        with begin_kept(store, content, offset=part) as upload:
            assert other.abort_uploads(hour_ago) == 0
            upload.write(content[part:])
        assert other.abort_uploads(distant_future()) == 1
        assert status(store, content) == UploadStatus(0)
        with pytest.raises(UploadMoved):
            begin_kept(store, content, offset=part)
        self.assert_nothing_is_left(store)

    def test_breaking_off_does_not_wait_for_what_was_stored(self, store: Store) -> None:
        """What it had to read again, say; the next one can go on at once."""
        content, part = self.kept_content(), self.kept_part
        self.break_off(store, content, content[:part])
        for _ in range(3):
            begin_kept(store, content, offset=part).abort()
        assert status(store, content) == UploadStatus(part)

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

    # Manifests

    @pytest.mark.parametrize("content", [b'{"layers": []}\n', b"", b"\xff\x00 not JSON"])
    def test_a_manifest_keeps_its_bytes(self, store: Store, content: bytes) -> None:
        written = store.write_manifest(NAME, content)
        assert written.content == content
        assert store.read_manifest(NAME) == written
        assert list(store.list_manifests()) == [written]

    def test_the_last_writer_wins(self, store: Store) -> None:
        store.write_manifest(NAME, b"a much longer first version")
        store.write_manifest(NAME, b"second")
        assert store.read_manifest(NAME).content == b"second"

    @pytest.mark.parametrize(
        "text",
        [
            "localhost:5000/team/model:v1.0-q4_K_M",
            "hf.co/user/model.name-GGUF:Q8_0",
            "_/_/_:_",
            f"host/{'n' * 80}/{'m' * 80}:{'t' * 80}",
        ],
    )
    def test_names_of_all_kinds(self, store: Store, text: str) -> None:
        name = ModelName.parse(text)
        store.write_manifest(name, b"{}")
        assert [manifest.name for manifest in store.list_manifests()] == [name]
        store.delete_manifest(name)
        assert list(store.list_manifests()) == []

    def test_neighbours_do_not_disturb_each_other(self, store: Store) -> None:
        names = [ModelName.parse(text) for text in ("a:1", "a:2", "b:1", "x/a:1", "h/x/a:1")]
        for name in names:
            store.write_manifest(name, str(name).encode())
        store.delete_manifest(names[0])
        assert {manifest.name for manifest in store.list_manifests()} == set(names[1:])
        assert store.read_manifest(names[1]).content == b"a:2"

    def test_a_deleted_manifest_is_gone(self, store: Store) -> None:
        store.write_manifest(NAME, b"{}")
        store.delete_manifest(NAME)
        with pytest.raises(ModelNotFound, match=r"model 'llama3\.2:latest' not found"):
            store.read_manifest(NAME)
        with pytest.raises(ModelNotFound):
            store.delete_manifest(NAME)
        store.write_manifest(NAME, b"again")
        assert store.read_manifest(NAME).content == b"again"

    def test_a_read_never_sees_half_a_manifest(self, open_again: OpenStore) -> None:
        versions = [bytes([number]) * 50_000 for number in range(1, 40)]
        store = open_again()
        store.write_manifest(NAME, versions[0])
        with ThreadPoolExecutor(1) as thread:
            writing = thread.submit(
                lambda: [open_again().write_manifest(NAME, version) for version in versions]
            )
            while not writing.done():
                assert store.read_manifest(NAME).content in versions
            writing.result()

    def test_writing_while_others_delete(self, open_again: OpenStore) -> None:
        """A delete that removes emptied folders fails no writer."""

        def churn(name: ModelName) -> None:
            store = open_again()
            for _ in range(30):
                store.write_manifest(name, b"{}")
                store.delete_manifest(name)
            store.write_manifest(name, b"final")

        names = [ModelName.parse(text) for text in ("m:a", "m:b", "n:a", "x/m:a")]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(churn, names))
        contents = {manifest.name: manifest.content for manifest in open_again().list_manifests()}
        assert contents == dict.fromkeys(names, b"final")

    def assert_nothing_is_left(self, store: Store) -> None:
        assert list(store.list_blobs()) == []
        assert store.abort_uploads(distant_future()) == 0
