"""One suite for all integration tests; those that break processes start their own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from tests.integration.cluster import make_store
from tests.integration.models import stock
from tests.integration.suite import Suite, running_suite


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    home: Path = tmp_path_factory.mktemp("home")
    with running_suite(home) as running:
        yield running


@pytest.fixture(scope="session")
def stocked(suite: Suite) -> Suite:
    """The suite, with a model that embeds and one that sees."""
    stock(suite)
    return suite


@pytest.fixture
def client(suite: Suite) -> ollama.Client:
    return suite.client


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the demo model, for clusters."""
    return asyncio.run(make_store(tmp_path_factory.mktemp("demo")))
