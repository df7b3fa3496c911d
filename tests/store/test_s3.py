"""The S3 backend: the contract, on a real S3 server, and what is special about buckets."""

import logging
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.errors import BlobNotFound, PaddockError, StoreFailed, Unavailable
from common.names import ModelName
from store.s3 import S3Store
from store.s3_parts import MIB, MIN_PART_SIZE
from tests.servers.swift import Swift
from tests.store import ollama_folder
from tests.store.buckets import BUCKET, Place
from tests.store.conformance import StoreConformance
from tests.store.helpers import (
    NAME,
    OpenStore,
    digest_of,
    distant_future,
    put,
    read,
)

SEVERAL_PARTS = bytes(range(256)) * (13 * MIB // 256)


class TestS3Store(StoreConformance):
    kept_part = MIN_PART_SIZE
    rounds = 8

    @pytest.fixture
    def open_again(self, place: Place) -> OpenStore:
        return place.open

    def fetch(self, path: object, url: str | None) -> bytes:
        assert path is None
        assert url is not None
        with urllib.request.urlopen(url) as answer:
            content: bytes = answer.read()
        return content


def blob_key(digest: str) -> str:
    return f"blobs/{digest.replace(':', '-')}"


def test_the_layout_is_ollamas(place: Place) -> None:
    store = place.open()
    digest = put(store, b"x")
    store.write_manifest(ModelName.parse("localhost:5000/a/b:c"), b"{}")
    assert place.keys("blobs/") == [blob_key(digest)]
    assert place.keys("manifests/") == ["manifests/localhost:5000/a/b/c"]


def test_a_copy_of_an_ollama_folder_is_a_store(place: Place, tmp_path: Path) -> None:
    ollama_folder.build(tmp_path)
    files = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*") if path.is_file()}
    for name, path in files.items():
        place.put(str(name), path.read_bytes())
    ollama_folder.assert_is_a_store(place.open())
    assert {str(name) for name in files} <= set(place.keys())


@pytest.mark.parametrize("declared", [True, False])
def test_a_blob_of_several_parts_is_whole(place: Place, declared: bool) -> None:
    store = place.open()
    digest = digest_of(SEVERAL_PARTS)
    with store.begin_upload(digest if declared else None) as upload:
        for first in range(0, len(SEVERAL_PARTS), 700_001):
            upload.write(SEVERAL_PARTS[first : first + 700_001])
        assert upload.commit() == (digest, len(SEVERAL_PARTS))
    assert read(store, digest) == SEVERAL_PARTS
    assert place.keys("uploads/") == []
    assert place.multiparts() == []


def test_a_large_blob_is_copied_in_ranges(place: Place) -> None:
    store = S3Store(
        BUCKET, place.prefix, part_size=MIN_PART_SIZE, copied_part_size=MIN_PART_SIZE + 1
    )
    assert read(store, put(store, SEVERAL_PARTS)) == SEVERAL_PARTS


def test_an_upload_that_was_aborted_leaves_no_parts(place: Place) -> None:
    with place.open().begin_upload(digest_of(SEVERAL_PARTS)) as upload:
        upload.write(SEVERAL_PARTS)
        assert len(place.multiparts()) == 1
    assert place.multiparts() == []
    assert place.keys() == []


def test_uploads_of_others_are_left_alone(place: Place) -> None:
    """Other prefixes, and other keys under ours."""
    elsewhere = f"{place.prefix}notes/blobs/sha256-{'1' * 64}"
    uploads = [
        place.client.create_multipart_upload(Bucket=BUCKET, Key=key)
        for key in (elsewhere, f"{place.prefix}blobs/notes")
    ]
    assert place.open().abort_uploads(distant_future()) == 0
    assert len(place.multiparts()) == 2
    for upload in uploads:
        place.client.abort_multipart_upload(
            Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
        )


def test_a_part_that_somebody_else_put_in_makes_it_fail(place: Place) -> None:
    digest = digest_of(SEVERAL_PARTS)
    with place.open().begin_upload(digest, len(SEVERAL_PARTS)) as upload:
        upload.write(SEVERAL_PARTS[: 2 * MIN_PART_SIZE])
        ((path, upload_id),) = place.multiparts()
        upload.write(SEVERAL_PARTS[2 * MIN_PART_SIZE :])
        place.client.upload_part(
            Bucket=BUCKET,
            Key=place.prefix + path,
            UploadId=upload_id,
            PartNumber=1,
            Body=bytes(MIN_PART_SIZE),
        )
        with pytest.raises(StoreFailed):
            upload.commit()
    assert list(place.open().list_blobs()) == []


def test_a_located_blob_answers_ranges_until_the_url_expires(place: Place) -> None:
    store = S3Store(BUCKET, place.prefix, url_lifetime=timedelta(hours=2))
    location = store.locate(put(store, b"0123456789"))
    assert location.url is not None
    assert location.expires_at is not None
    assert abs(location.expires_at - datetime.now(UTC) - timedelta(hours=2)).seconds < 60
    request = urllib.request.Request(location.url, headers={"Range": "bytes=3-5"})
    with urllib.request.urlopen(request) as answer:
        assert (answer.status, answer.read()) == (206, b"345")


def test_an_expired_url_is_dead(place: Place) -> None:
    store = S3Store(BUCKET, place.prefix, url_lifetime=timedelta(seconds=1))
    url = store.locate(put(store, b"x")).url
    assert url is not None
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url)


def test_manifests_are_read_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    store = place.open()
    for number in range(5):
        store.write_manifest(ModelName.parse(f"m:{number}"), b"%d" % number)
    first = list(store.list_manifests())
    store.write_manifest(ModelName.parse("m:3"), b"new")
    store.delete_manifest(ModelName.parse("m:4"))
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    second = list(store.list_manifests())
    asked = [text for text in caplog.messages if "GET" in text and "list-type" not in text]
    assert [manifest.content for manifest in first] == [b"0", b"1", b"2", b"3", b"4"]
    assert [manifest.content for manifest in second] == [b"0", b"1", b"2", b"new"]
    assert len(asked) == 1


def test_many_manifests(place: Place) -> None:
    """More than are read ahead."""
    store = place.open()
    names = [ModelName.parse(f"m:{number}") for number in range(70)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: store.write_manifest(name, str(name).encode()), names))
    assert {manifest.name for manifest in store.list_manifests()} == set(names)


def test_foreign_objects_are_passed_over_and_kept(place: Place) -> None:
    foreign = [
        "blobs/",
        f"blobs/sha256-{'1' * 64}-partial",
        f"blobs/sha256-{'A' * 64}",
        "manifests/registry.ollama.ai/library/llama3/folder/file",
        "manifests/bad host/library/llama3/latest",
        "manifests/",
        "retained/notes",
        "uploads/notes.txt",
        f"uploads/kept-{'1' * 64}-5",
    ]
    for path in foreign:
        place.put(path, b"foreign")
    store = place.open()
    store.check()
    assert list(store.list_blobs()) == []
    assert list(store.list_manifests()) == []
    assert store.abort_uploads(distant_future()) == 0
    assert set(place.keys()) == set(foreign)


# Deletion, which excludes retaining and storing


def test_whoever_wants_a_blob_waits_for_its_deletion(place: Place) -> None:
    store = place.open()
    digest = put(store, b"x")
    notice = f"uploads/deleting-{digest.replace(':', '-')}"
    place.put(notice, b"")
    with ThreadPoolExecutor(1) as thread:
        retaining = thread.submit(store.retain, digest)
        time.sleep(0.5)
        assert not retaining.done()
        place.client.delete_object(Bucket=BUCKET, Key=place.prefix + blob_key(digest))
        place.client.delete_object(Bucket=BUCKET, Key=place.prefix + notice)
        with pytest.raises(BlobNotFound):
            retaining.result(10)


def test_a_blob_is_either_deleted_or_retained(place: Place) -> None:
    store, other = place.open(), place.open()
    outcomes = set()
    for number in range(8):
        digest = put(store, b"%d" % number)
        before = store.stat(digest).modified_at
        start = threading.Barrier(2)

        def retain(digest: str = digest, start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                return bool(other.retain(digest))
            except BlobNotFound:
                return False

        with ThreadPoolExecutor(1) as thread:
            retaining = thread.submit(retain)
            start.wait()
            deleted = store.delete_blob(digest, unless_newer_than=before)
        outcomes.add((deleted, retaining.result()))
        assert deleted == (digest not in {blob.digest for blob in store.list_blobs()})
    assert outcomes <= {(True, False), (False, True)}


def test_what_a_deleted_blob_leaves_is_removed(place: Place) -> None:
    store = place.open()
    digest = put(store, b"x")
    place.client.delete_object(Bucket=BUCKET, Key=place.prefix + blob_key(digest))
    assert place.keys() == [f"retained/{digest.replace(':', '-')}"]
    assert store.abort_uploads(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert len(place.keys()) == 1
    assert store.abort_uploads(distant_future()) == 0
    assert place.keys() == []


# What cannot be used


def test_a_bucket_that_does_not_exist(place: Place) -> None:
    store = S3Store("elsewhere")
    with pytest.raises(StoreFailed, match="its bucket does not exist"):
        store.check()
    with pytest.raises(StoreFailed, match="its bucket does not exist"):
        put(store, b"x")
    with pytest.raises(StoreFailed, match="its bucket does not exist"):
        store.write_manifest(NAME, b"{}")
    with pytest.raises(StoreFailed, match="its bucket does not exist"):
        list(store.list_manifests())


def test_wrong_credentials(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = place.open()
    with pytest.raises(StoreFailed, match="refuses the credentials: SignatureDoesNotMatch") as told:
        store.check()
    assert "wrong" not in str(told.value)
    with pytest.raises(StoreFailed, match="refuses the credentials"):
        store.stat(digest_of(b"x"))


def test_no_credentials_until_there_are_some(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        without.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        store = place.open()
        with pytest.raises(StoreFailed, match="no S3 credentials are configured"):
            store.check()
    store.check()


@pytest.mark.parametrize(
    ("endpoint", "kind"), [("http://127.0.0.1:1", Unavailable), ("not a url", StoreFailed)]
)
def test_an_endpoint_that_is_none(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    endpoint: str,
    kind: type[PaddockError],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(PaddockError) as told:
        place.open().check()
    assert type(told.value) is kind
    assert endpoint not in told.value.message
    assert endpoint in caplog.text


def test_a_profile_may_name_everything(
    swift: Swift, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in swift.environment:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(
        "[profile models]\n"
        f"endpoint_url = {swift.endpoint}\n"
        f"aws_access_key_id = {swift.environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {swift.environment['AWS_SECRET_ACCESS_KEY']}\n"
        "region = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "models")
    store = place.open()
    store.check()
    assert read(store, put(store, b"x")) == b"x"
