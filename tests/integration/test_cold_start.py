"""A model that has to come from a bucket first, over a slow line."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.suite import Suite, eventually, running_suite
from tests.servers.slow_proxy import SlowProxy, running_slow_proxy
from tests.servers.swift import running_swift

BUCKET = "models"
RATE = 2e6  # bytes a second


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowProxy]:
    """The way to a bucket."""
    with (
        running_swift(tmp_path_factory.mktemp("swift")) as swift,
        running_slow_proxy(swift.endpoint) as proxy,
    ):
        swift.client().create_bucket(Bucket=BUCKET)
        yield proxy


@pytest.fixture(scope="module")
def own(line: SlowProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A suite over that bucket, which holds the demo model when it is ready."""
    environment = {
        "PADDOCK_STORE": f"s3://{BUCKET}",
        "AWS_ENDPOINT_URL_S3": line.url,
        "AWS_ACCESS_KEY_ID": "test:tester",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with running_suite(tmp_path_factory.mktemp("own"), **environment) as suite:
        yield suite


def test_a_request_waits_and_outlasts_its_worker(own: Suite, line: SlowProxy) -> None:
    line.rate = RATE
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(own.client.generate, "demo", "Once", options={"num_predict": 3})
        loading = wait_for(own, "fetching")
        assert loading["loading"] is True
        assert loading["status"]["total"] == loading["size"] > 1_000_000
        assert [model.model for model in own.client.ps().models] == ["demo:latest"]
        _, metrics = own.text("GET", "/metrics")
        assert "paddock_loading_models 1.0" in metrics

        worker = own.kinds()["worker"]
        worker.kill()
        wait_for(own, "fetching", other_than=loading["worker"])
        line.rate = 0
        assert asked.result().eval_count == 3
    assert "status" not in row(own)
    assert not cached(own, "partial")


def wait_for(suite: Suite, phase: str, other_than: str = "") -> dict[str, Any]:
    """Wait until a load on another worker is in a phase, with something to show for it."""

    def there() -> bool:
        found = row(suite)
        status = found.get("status", {"phase": "", "completed": 0, "total": 0})
        arriving: bool = 0 < status["completed"] < status["total"]
        return arriving and status["phase"] == phase and found["worker"] != other_than

    eventually(there, 120)
    return row(suite)


def row(suite: Suite) -> dict[str, Any]:
    """What `/api/ps` says of the only model; nothing when there is none."""
    models = suite.request("GET", "/api/ps")[1]["models"]
    return dict(models[0]) if models else {}


def cached(suite: Suite, folder: str) -> list[Path]:
    return list((suite.home / "cache" / folder).iterdir())
