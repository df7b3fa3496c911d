"""Addresses of stores."""

from pathlib import Path

import pytest

from common.errors import InvalidRequest, Unsupported
from store.opening import open_store
from tests.store.conformance import put


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


@pytest.mark.parametrize("address", ["s3://bucket/prefix", "gs://bucket"])
def test_kinds_that_no_backend_serves(address: str) -> None:
    with pytest.raises(Unsupported, match="not supported"):
        open_store(address)
