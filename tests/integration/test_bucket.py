"""The whole suite with its models in a real S3 bucket."""

import hashlib
import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.safetensors_folder import make_folder, upload
from tests.integration.suite import Suite, eventually, running_suite
from tests.servers.swift import Swift, running_swift

BUCKET = "models"
STORE = f"s3://{BUCKET}/team"
QUESTION = "Why is the sky blue?"


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    with running_swift(tmp_path_factory.mktemp("swift")) as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="module")
def suite(swift: Swift, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    home = tmp_path_factory.mktemp("home")
    with running_suite(home, PADDOCK_STORE=STORE, **swift.environment) as running:
        yield running


def say(suite: Suite, model: str) -> str:
    options = {"temperature": 0, "num_predict": 30}
    return suite.client.generate(model, QUESTION, options=options).response or ""


def check_store(store: str, swift: Swift) -> str:
    """Run `fsck`; give what it says."""
    command = [sys.executable, "-m", "services.blob.fsck", "--store", store]
    done = subprocess.run(
        command, env=os.environ | swift.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def begin_upload(
    suite: Suite, digest: str, content: bytes, halfway: Callable[[], None]
) -> int | None:
    """Upload a blob and do something halfway; give the status, if one came."""
    connection = http.client.HTTPConnection(urlsplit(suite.url).netloc)
    half = len(content) // 2

    def parts() -> Iterator[bytes]:
        yield content[:half]
        halfway()
        yield content[half:]

    try:
        headers = {"Content-Length": str(len(content))}
        connection.request("POST", f"/api/blobs/{digest}", parts(), headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def test_a_model_is_stored_served_and_deleted(suite: Suite, swift: Swift, tmp_path: Path) -> None:
    assert "scatter" in say(suite, "demo").lower()
    suite.client.create("mine", files=upload(suite.client, make_folder(tmp_path)))
    say(suite, "mine")
    assert not (suite.home / "models").exists()
    listed = swift.client().list_objects_v2(Bucket=BUCKET, Prefix="team/manifests/")
    assert {entry["Key"] for entry in listed["Contents"]} == {
        f"team/manifests/registry.ollama.ai/library/{model}/latest" for model in ("demo", "mine")
    }
    suite.client.delete("mine")
    assert "all is well" in check_store(STORE, swift)


def test_a_copy_of_a_folder_is_a_bucket(suite: Suite, swift: Swift, tmp_path: Path) -> None:
    """What `aws s3 sync` does, by hand; the folder was written by a suite of its own."""
    with running_suite(tmp_path / "home") as other:
        other.client.copy("demo", "copied")
    client = swift.client()
    root = tmp_path / "home" / "models"
    for path in root.rglob("*"):
        if path.is_file() and path.parts[len(root.parts)] != "uploads":
            client.upload_file(str(path), BUCKET, f"synced/{path.relative_to(root)}")
    store = f"s3://{BUCKET}/synced"
    with running_suite(tmp_path / "new", PADDOCK_STORE=store, **swift.environment) as synced:
        assert {model.model for model in synced.client.list().models} == {
            "demo:latest",
            "copied:latest",
        }
        assert say(synced, "copied") == say(suite, "demo")


def test_a_blob_service_that_dies_during_an_upload(suite: Suite, swift: Swift) -> None:
    content = os.urandom(40_000_000)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    status = begin_upload(suite, digest, content, lambda: suite.kinds()["blob"].kill())
    assert status in (None, 500, 503)
    eventually(lambda: suite.request("HEAD", f"/api/blobs/{digest}")[0] == 404, 20)
    status, _ = suite.request("POST", f"/api/blobs/{digest}", content)
    assert status == 201
    assert "all is well" in check_store(STORE, swift)


def test_a_cold_start_after_the_cache_is_lost(swift: Swift, tmp_path: Path) -> None:
    with running_suite(tmp_path, PADDOCK_STORE=STORE, **swift.environment) as suite:
        first = say(suite, "demo")
    shutil.rmtree(tmp_path / "cache")
    with running_suite(tmp_path, PADDOCK_STORE=STORE, **swift.environment) as suite:
        assert say(suite, "demo") == first
