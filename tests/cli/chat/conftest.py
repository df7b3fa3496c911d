"""A server for each test."""

from collections.abc import Iterator

import pytest

from tests.cli.chat.fake_ollama import FakeOllama, fake_ollama


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with fake_ollama() as running:
        yield running
