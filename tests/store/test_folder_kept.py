"""Kept uploads of the folder backend: other processes, full disks, and reading again."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import Canceled, DigestMismatch, StoreFailed, StoreFull, UploadMoved
from store.folder import FolderStore
from store.interface import UploadStatus
from store.prefix_hash import PrefixHash
from tests.store.helpers import begin_kept, digest_of, distant_future, read, status
from tests.store.test_folder import no_room

CONTENT = bytes(range(250)) * 1200
HALF = len(CONTENT) // 2

WRITER = """
import sys, time
from pathlib import Path
from store.folder import FolderStore
root, digest, size, sent = sys.argv[1:]
upload = FolderStore(Path(root)).begin_upload(digest, int(size), keep=True)
upload.write(bytes(range(250)) * (int(sent) // 250))
print("written", flush=True)
time.sleep(60)
"""


@contextmanager
def another_writer(root: Path) -> Iterator["subprocess.Popen[str]"]:
    arguments = (str(root), digest_of(CONTENT), str(len(CONTENT)), str(HALF))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_wrote_is_gone_on_with(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with another_writer(tmp_path) as process:
        assert status(store, CONTENT) == UploadStatus(HALF, busy=True)
        with pytest.raises(UploadMoved):
            begin_kept(store, CONTENT, HALF)
        assert store.abort_uploads(distant_future()) == 0
        process.kill()
        process.wait()
        assert status(store, CONTENT) == UploadStatus(HALF)
    with begin_kept(store, CONTENT, HALF) as upload:
        upload.write(CONTENT[HALF:])
        upload.commit()
    assert read(store, digest_of(CONTENT)) == CONTENT


def test_what_a_crash_made_of_it_is_found_out(tmp_path: Path) -> None:
    """A power cut may leave zeros where there were bytes."""
    store = FolderStore(tmp_path)
    begin_kept(store, CONTENT).abort()
    (file,) = (tmp_path / "uploads").glob("kept-*")
    file.write_bytes(bytes(HALF))
    with begin_kept(store, CONTENT, HALF) as upload:
        upload.write(CONTENT[HALF:])
        with pytest.raises(DigestMismatch):
            upload.commit()
    assert list(store.list_blobs()) == []
    assert status(store, CONTENT) == UploadStatus(0)


def test_a_full_disk_keeps_what_had_room(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with no_room(), begin_kept(store, CONTENT) as upload, pytest.raises(StoreFull):
        upload.write(CONTENT)
    assert status(store, CONTENT) == UploadStatus(100_000)
    with begin_kept(store, CONTENT, 100_000) as upload:
        upload.write(CONTENT[100_000:])
        upload.commit()
    assert read(store, digest_of(CONTENT)) == CONTENT


def test_a_file_is_read_before_what_follows_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT + b"more")
    with (tmp_path / "file").open("rb") as file:
        prefix = PrefixHash(file.fileno(), len(CONTENT))
        prefix.update(b"ta")
        prefix.update(b"il")
        assert f"sha256:{prefix.hexdigest()}" == digest_of(CONTENT + b"tail")


def test_a_file_that_was_cut_short_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with (tmp_path / "file").open("rb") as file, pytest.raises(StoreFailed, match="cut short"):
        PrefixHash(file.fileno(), len(CONTENT) + 1).hexdigest()


def test_breaking_off_ends_the_reading_of_a_large_file(tmp_path: Path) -> None:
    store, size = FolderStore(tmp_path), 2**40
    store.begin_upload(digest_of(b""), size, keep=True).abort()
    (file,) = (tmp_path / "uploads").glob("kept-*")
    with file.open("r+b") as sparse:
        sparse.truncate(size - 1)
    upload = store.begin_upload(digest_of(b""), size, keep=True, offset=size - 1)
    with ThreadPoolExecutor(1) as thread:
        upload.write(b"x")
        committing = thread.submit(upload.commit)
        time.sleep(0.1)
        begun = time.monotonic()
        upload.abort()
        assert time.monotonic() - begun < 5
        with pytest.raises(Canceled):
            committing.result()
    assert store.upload_status(digest_of(b""), size).busy is False


def test_foreign_files_beside_kept_uploads_stay(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    begin_kept(store, CONTENT).abort()
    for name in ("kept-notes", f"kept-{'1' * 64}", f"kept-{'1' * 64}-x"):
        (tmp_path / "uploads" / name).write_bytes(b"")
    assert store.abort_uploads(distant_future()) == 1
    assert len(list((tmp_path / "uploads").glob("kept-*"))) == 3
