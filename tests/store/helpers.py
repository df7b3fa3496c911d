"""What tests of a store do with it, and what the cases of the contract build on."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from common.names import ModelName
from store.interface import Store, UploadStatus
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


class StoreCases:
    """Cases of the contract, for the backend that a subclass names."""

    tick = 0.02
    """Seconds after which the storage's clock has surely moved on."""

    kept_part = 50_000
    """Bytes of which a kept upload has whole multiples when it breaks off."""

    rounds = 30
    """How often a race is run: fewer times where each step takes long."""

    @pytest.fixture
    def open_again(self) -> OpenStore:
        """Give a function that opens one and the same new, empty store each time."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_again: OpenStore) -> Store:
        return open_again()

    def assert_nothing_is_left(self, store: Store) -> None:
        assert list(store.list_blobs()) == []
        assert store.abort_uploads(distant_future()) == 0
