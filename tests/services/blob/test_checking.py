"""What a check of a store finds, and what it passes over."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from common.names import ModelName
from services.blob.checking import StoreCheck
from services.blob.fsck import check
from store.folder import FolderStore
from store.interface import Blob, Manifest
from tests.services.blob.helpers import digest_of, distant_future
from tests.store import ollama_folder
from tests.store.ollama_folder import CONFIG, LICENSE, LLAMA, PRIVATE, WEIGHTS


@pytest.fixture
def store(root: Path) -> FolderStore:
    ollama_folder.build(root)
    return FolderStore(root)


def blob_file(root: Path, content: bytes) -> Path:
    return root / "blobs" / digest_of(content).replace(":", "-")


def problems(store: FolderStore) -> list[str]:
    return [problem.text for problem in StoreCheck(store).problems()]


def test_a_store_that_is_well(store: FolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(store, repair=False)
    size = sum(map(len, ollama_folder.BLOBS.values()))
    assert capsys.readouterr().out == (
        f"checked 2 manifests and 4 blobs with {size} bytes\nall is well\n"
    )


def test_an_empty_store_is_called_so_and_stays_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(FolderStore(tmp_path / "none"), repair=False)
    assert capsys.readouterr().out == (
        "checked 0 manifests and 0 blobs with 0 bytes\n"
        "nothing is stored there: the store is empty, or lies elsewhere\n"
    )
    assert not (tmp_path / "none").exists()


def test_wrong_bytes_are_named_with_their_models(store: FolderStore, root: Path) -> None:
    wrong = WEIGHTS[:-1] + b"!"
    blob_file(root, WEIGHTS).write_bytes(wrong)
    assert problems(store) == [
        f"blob {digest_of(WEIGHTS)} of {LLAMA}, {PRIVATE} has the bytes of {digest_of(wrong)}"
    ]


def test_a_cut_off_blob_is_seen_twice(store: FolderStore, root: Path) -> None:
    blob_file(root, LICENSE).write_bytes(LICENSE[:4])
    size, blob = problems(store)
    assert size == f"{LLAMA}: blob {digest_of(LICENSE)} has 4 bytes instead of 17"
    assert f"has the bytes of {digest_of(LICENSE[:4])}" in blob


def test_a_missing_blob_and_how_much_of_it_has_come(store: FolderStore, root: Path) -> None:
    blob_file(root, LICENSE).unlink()
    missing = f"{LLAMA}: blob {digest_of(LICENSE)} is not stored"
    assert problems(store) == [missing]
    with store.begin_upload(digest_of(LICENSE), len(LICENSE), keep=True) as upload:
        upload.write(LICENSE[:4])
    assert problems(store) == [f"{missing}, 4 of its 17 bytes have come"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"layers": [{"digest": "md5:1"}]}'])
def test_a_manifest_that_says_nothing(store: FolderStore, content: bytes) -> None:
    store.write_manifest(ModelName.parse("damaged"), content)
    (problem,) = problems(store)
    assert problem.startswith("damaged:latest: invalid ")


def test_what_is_on_its_way_is_no_problem(store: FolderStore) -> None:
    with (
        store.begin_upload() as upload,
        store.begin_upload(digest_of(b"new"), 3, keep=True) as kept,
    ):
        upload.write(b"half")
        kept.write(b"n")
        assert problems(store) == []


def test_what_goes_meanwhile_is_no_problem(root: Path) -> None:
    """A model is removed between the reading of its manifest and the look at its blobs."""

    class RemovingStore(FolderStore):
        def list_manifests(self) -> Iterator[Manifest]:
            for manifest in list(super().list_manifests()):
                self.delete_manifest(manifest.name)
                self.delete_blob(digest_of(CONFIG), distant_future())
                yield manifest

    ollama_folder.build(root)
    assert problems(RemovingStore(root)) == []


def test_repairing_deletes_what_is_wrong(
    store: FolderStore, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blob_file(root, WEIGHTS).write_bytes(b"wrong")
    assert not check(store, repair=True)
    assert "deleted; pull or create again what needs it" in capsys.readouterr().out
    assert not blob_file(root, WEIGHTS).exists()
    assert not check(store, repair=True)
    with store.begin_upload(digest_of(WEIGHTS)) as upload:
        upload.write(WEIGHTS)
        upload.commit()
    assert check(store, repair=False)


def test_repairing_where_a_listing_tells_earlier_times(root: Path) -> None:
    """As that of S3, which knows whole seconds."""

    class RoundingStore(FolderStore):
        def list_blobs(self) -> Iterator[Blob]:
            for blob in super().list_blobs():
                yield replace(blob, modified_at=blob.modified_at - timedelta(seconds=2))

    ollama_folder.build(root)
    blob_file(root, WEIGHTS).write_bytes(b"wrong")
    assert not check(RoundingStore(root), repair=True)
    assert not blob_file(root, WEIGHTS).exists()


def test_leaving_a_check_early_ends_it(store: FolderStore, root: Path) -> None:
    for content in (WEIGHTS, CONFIG):
        blob_file(root, content).write_bytes(b"wrong")
    found = StoreCheck(store).problems()
    next(found)
    assert isinstance(found, Iterator)
    found.close()  # type: ignore[attr-defined]
