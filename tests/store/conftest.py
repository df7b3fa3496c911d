"""A real S3 server for the tests of the store, started when the first of them asks for it."""

import uuid
from collections.abc import Iterator

import pytest

from tests.servers.swift import Swift, running_swift
from tests.store.buckets import BUCKET, Place


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    with running_swift(tmp_path_factory.mktemp("swift")) as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture
def s3_environment(swift: Swift, monkeypatch: pytest.MonkeyPatch) -> Swift:
    """What an operator sets, and nothing of the machine's own configuration."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in swift.environment.items():
        monkeypatch.setenv(name, value)
    return swift


@pytest.fixture
def place(s3_environment: Swift) -> Place:
    """An empty prefix in a bucket."""
    return Place(s3_environment.client(), f"{uuid.uuid4().hex}/")
