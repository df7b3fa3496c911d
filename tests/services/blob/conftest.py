"""A Blob service in this process, over a folder; and an S3 server for those over a bucket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.folder import FolderStore
from tests.services.blob.helpers import Blobs, serving_blobs
from tests.store.conftest import place, s3_environment, swift

__all__ = ["place", "s3_environment", "swift"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def store(root: Path) -> FolderStore:
    return FolderStore(root)


@pytest.fixture
async def blobs(store: FolderStore, tmp_path: Path) -> AsyncIterator[Blobs]:
    async with serving_blobs(store, f"unix:{tmp_path}/blob.sock") as stub:
        yield stub
