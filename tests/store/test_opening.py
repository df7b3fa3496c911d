"""Addresses of stores."""

from pathlib import Path

import pytest

from common.errors import InvalidRequest, Unsupported
from store.opening import open_store
from tests.servers.swift import Swift
from tests.store.buckets import Place
from tests.store.helpers import put


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_folders(tmp_path: Path, form: str) -> None:
    put(open_store(form.format(tmp_path / "models")), b"x")
    assert len(list((tmp_path / "models/blobs").iterdir())) == 1


def test_a_file_url_is_unquoted(tmp_path: Path) -> None:
    put(open_store(f"file://{tmp_path}/my%20models"), b"x")
    assert (tmp_path / "my models").is_dir()


@pytest.mark.parametrize("address", ["", "file://", "file://elsewhere/models", "/a\0b"])
def test_addresses_that_name_no_folder(address: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid store"):
        open_store(address)


@pytest.mark.parametrize("form", ["{}", "{}/", "{}//"])
def test_prefixes_in_buckets(place: Place, form: str) -> None:
    digest = put(open_store(form.format(place.address.rstrip("/"))), b"x")
    assert place.keys("blobs/") == [f"blobs/{digest.replace(':', '-')}"]


@pytest.mark.parametrize("end", ["", "/"])
def test_a_whole_bucket(swift: Swift, place: Place, end: str) -> None:
    swift.client().create_bucket(Bucket=f"whole{len(end)}")
    digest = put(open_store(f"s3://whole{len(end)}{end}"), b"x")
    head = place.client.head_object(
        Bucket=f"whole{len(end)}", Key=f"blobs/{digest.replace(':', '-')}"
    )
    assert head["ContentLength"] == 1


def test_a_prefix_is_not_unquoted(place: Place) -> None:
    put(open_store(f"{place.address}a%20b c/"), b"x")
    assert place.keys("blobs/") == []
    assert len(place.keys("a%20b c/blobs/")) == 1


def test_nothing_is_asked_of_a_bucket_that_is_opened() -> None:
    open_store("s3://a.bucket-that_nobody:has/models")


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3:///prefix",
        "s3://b/x",
        "s3://-bucket",
        "s3://user@bucket",
        "s3://bucket/../x",
        "s3://bucket/./x",
        "s3://bucket/a//b",
        "s3://bucket/a\nb",
        f"s3://bucket/{'x' * 401}",
    ],
)
def test_addresses_that_name_no_bucket(address: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid store"):
        open_store(address)


@pytest.mark.parametrize("address", ["gs://bucket", "http://127.0.0.1/bucket"])
def test_kinds_that_no_backend_serves(address: str) -> None:
    with pytest.raises(Unsupported, match="not supported"):
        open_store(address)
