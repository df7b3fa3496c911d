"""What every store backend must do with uploads that outlive whoever writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from common.errors import DigestMismatch, InvalidRequest, UploadMoved
from store.interface import Store, UploadStatus
from tests.store.helpers import (
    UNKNOWN,
    OpenStore,
    StoreCases,
    begin_kept,
    digest_of,
    distant_future,
    read,
    status,
)


class KeptUploadCases(StoreCases):
    """The contract of kept uploads, as tests."""

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
