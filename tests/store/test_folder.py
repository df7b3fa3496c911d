"""The folder backend: the contract, and what is special about folders."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from common.errors import InvalidName, ModelNotFound, StoreFailed, StoreFull
from common.names import ModelName
from store.folder import FolderStore
from tests.store.conformance import StoreConformance
from tests.store.helpers import (
    NAME,
    OpenStore,
    digest_of,
    distant_future,
    put,
    read,
)


class TestFolderStore(StoreConformance):
    @pytest.fixture
    def open_again(self, tmp_path: Path) -> OpenStore:
        return lambda: FolderStore(tmp_path / "new" / "models")

    def fetch(self, path: object, url: str | None) -> bytes:
        assert isinstance(path, Path)
        assert url is None
        return path.read_bytes()


def ollama_blob(root: Path, content: bytes) -> str:
    digest = digest_of(content)
    path = root / "blobs" / digest.replace(":", "-")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return digest


def foreign(root: Path, *paths: str) -> list[Path]:
    files = [root / path for path in paths]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"foreign")
    return files


def test_an_ollama_folder_is_a_store(tmp_path: Path) -> None:
    digest = ollama_blob(tmp_path, b"weights")
    names = ("registry.ollama.ai/library/llama3.2/1b", "localhost:5000/team/My-Model/latest")
    for name in names:
        path = tmp_path / "manifests" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
    store = FolderStore(tmp_path)
    store.check()
    assert {manifest.name.path for manifest in store.list_manifests()} == set(names)
    assert store.read_manifest(ModelName.parse("llama3.2:1b")).content == names[0].encode()
    assert [blob.digest for blob in store.list_blobs()] == [digest]
    assert read(store, digest) == b"weights"


def test_foreign_files_are_passed_over_and_kept(tmp_path: Path) -> None:
    partial = f"blobs/sha256-{'1' * 64}-partial"
    files = foreign(
        tmp_path,
        ".DS_Store",
        "blobs/.DS_Store",
        partial,
        f"{partial}-0",
        f"blobs/sha256-{'A' * 64}",
        f"blobs/sha256-{'2' * 64}/inside",
        "manifests/.DS_Store",
        "manifests/registry.ollama.ai/.DS_Store",
        "manifests/registry.ollama.ai/library/llama3/.DS_Store",
        "manifests/registry.ollama.ai/library/llama3/folder/file",
        "manifests/bad host/library/llama3/latest",
        "uploads/notes.txt",
    )
    store = FolderStore(tmp_path)
    store.check()
    assert list(store.list_blobs()) == []
    assert list(store.list_manifests()) == []
    assert store.abort_uploads(distant_future()) == 0
    with pytest.raises(ModelNotFound):
        store.read_manifest(ModelName.parse("llama3:folder"))
    assert all(file.exists() for file in files)


def test_the_layout_is_ollamas(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    digest = put(store, b"x")
    store.write_manifest(ModelName.parse("localhost:5000/a/b:c"), b"{}")
    assert (tmp_path / "blobs" / digest.replace(":", "-")).read_bytes() == b"x"
    assert (tmp_path / "manifests/localhost:5000/a/b/c").read_bytes() == b"{}"


def test_deleting_a_manifest_prunes_empty_folders(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for text in ("a:1", "b:1"):
        store.write_manifest(ModelName.parse(text), b"{}")
    library = tmp_path / "manifests/registry.ollama.ai/library"
    store.delete_manifest(ModelName.parse("a:1"))
    assert [path.name for path in library.iterdir()] == ["b"]
    store.delete_manifest(ModelName.parse("b:1"))
    assert list((tmp_path / "manifests").iterdir()) == []


def test_files_can_be_read_by_others_as_the_umask_says(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    blob = store.locate(put(store, b"x")).path
    store.write_manifest(NAME, b"{}")
    umask = os.umask(0)
    os.umask(umask)
    assert blob is not None
    for path in (blob, tmp_path / "manifests" / NAME.path):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file of this process grow, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_half_made(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write_manifest(NAME, b"old")
    with no_room():
        with store.begin_upload() as upload, pytest.raises(StoreFull):
            upload.write(bytes(200_000))
        with pytest.raises(StoreFull):
            store.write_manifest(NAME, bytes(200_000))
    assert list(store.list_blobs()) == []
    assert store.abort_uploads(distant_future()) == 0
    assert store.read_manifest(NAME).content == b"old"


def test_what_cannot_be_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FolderStore(tmp_path / "file")
    with pytest.raises(StoreFailed, match="Not a directory"):
        store.check()
    with pytest.raises(StoreFailed):
        put(store, b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_manifest_is_no_missing_manifest(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write_manifest(NAME, b"{}")
    folder = tmp_path / "manifests" / NAME.host
    folder.chmod(0)
    try:
        with pytest.raises(StoreFailed, match="Permission denied"):
            list(store.list_manifests())
        with pytest.raises(StoreFailed, match="Permission denied"):
            store.read_manifest(NAME)
    finally:
        folder.chmod(0o755)


def test_a_manifest_that_is_a_folder_cannot_hide(tmp_path: Path) -> None:
    (tmp_path / "manifests" / NAME.path).mkdir(parents=True)
    store = FolderStore(tmp_path)
    with pytest.raises(ModelNotFound):
        store.read_manifest(NAME)
    with pytest.raises(StoreFailed):
        store.write_manifest(NAME, b"{}")
    assert store.abort_uploads(distant_future()) == 0


def test_a_host_too_long_for_a_file_name(tmp_path: Path) -> None:
    name = ModelName("h" * 300, "library", "model", "latest")
    with pytest.raises(InvalidName):
        FolderStore(tmp_path).write_manifest(name, b"{}")


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from store.folder import FolderStore
upload = FolderStore(Path(sys.argv[1])).begin_upload()
upload.write(bytes(100_000))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    store = FolderStore(tmp_path)
    (left,) = (tmp_path / "uploads").glob("upload-*")
    young = distant_future() - timedelta(days=1, hours=1)
    assert store.abort_uploads(young) == 0
    assert store.abort_uploads(distant_future()) == 1
    assert not left.exists()


def test_a_blob_that_goes_to_the_disk_while_it_comes_is_whole(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    pieces = [bytes([number]) * (3_000_001 * number) for number in range(1, 6)]
    with store.begin_upload() as upload:
        for piece in pieces:
            upload.write(piece)
        digest, size = upload.commit()
    content = b"".join(pieces)
    assert (digest, size) == (digest_of(content), len(content))
    assert read(store, digest) == content
