"""Models made from uploaded files, and what happens to bad ones."""

import hashlib
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import ollama
import pytest

from tests.integration.safetensors_folder import make_embedding_folder, make_folder, upload
from tests.integration.suite import Suite, eventually


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("model"))


def test_a_folder_that_nobody_has_seen(suite: Suite, folder: Path) -> None:
    client = suite.client
    before = client.list().models
    files = upload(client, folder)
    assert sum(name.endswith(".safetensors") for name in files) > 1
    lines = [part.status for part in client.create("other", files=files, stream=True)]
    assert lines[-1] == "success"
    shown = client.show("other")
    assert shown.details
    assert shown.details.family == "qwen2"
    answer = client.generate("other", "x", options={"temperature": 0, "num_predict": 8})
    assert answer.eval_count == 8
    again = client.generate("other", "x", options={"temperature": 0, "num_predict": 8})
    assert again.response == answer.response
    assert {model.model for model in client.ps().models} >= {"other:latest"}
    client.copy("other", "mine/copy:v1")
    assert {model.model for model in client.list().models} >= {"other:latest", "mine/copy:v1"}
    client.delete("other")
    assert client.generate("mine/copy:v1", "x", options={"num_predict": 1}).eval_count == 1
    client.generate("mine/copy:v1", keep_alive=0)
    client.delete("mine/copy:v1")
    assert client.list().models == before
    weights = {digest for name, digest in files.items() if name.endswith(".safetensors")}
    assert not weights & suite.blobs()


def test_an_embedding_model_beside_the_chat_model(suite: Suite, tmp_path: Path) -> None:
    client = suite.client
    client.create("embedder", files=upload(client, make_embedding_folder(tmp_path)))
    assert client.show("embedder").capabilities == ["embedding"]
    first, second = client.embed("embedder", ["why is the sky blue?", "blue sky"]).embeddings
    assert len(first) == len(second) == 64
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-4)
    assert client.embed("embedder", "why is the sky blue?").embeddings[0] == pytest.approx(
        first, abs=1e-3
    )
    assert client.generate("demo", "Hello!").response
    assert {model.model for model in client.ps().models} >= {"embedder:latest", "demo:latest"}
    with pytest.raises(ollama.ResponseError, match="does not support embeddings"):
        client.embed("demo", "x")
    with pytest.raises(ollama.ResponseError, match="does not support chat"):
        client.chat("embedder", [{"role": "user", "content": "x"}])
    client.generate("embedder", keep_alive=0)
    client.delete("embedder")


@pytest.mark.parametrize(
    "missing",
    ["config.json", "tokenizer.json", "model-00002-of-00002.safetensors"],
)
def test_a_folder_with_a_missing_file_is_refused(suite: Suite, folder: Path, missing: str) -> None:
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    missing = shards[-1] if missing.endswith(".safetensors") else missing
    files = upload(suite.client, folder)
    del files[missing]
    status, answer = suite.request("POST", "/api/create", {"model": "broken", "files": files})
    assert status == 400
    assert missing.removesuffix(".json") in answer["error"]
    assert "broken:latest" not in {model.model for model in suite.client.list().models}


def test_a_truncated_file_is_refused(suite: Suite, folder: Path, tmp_path: Path) -> None:
    files = upload(suite.client, folder)
    name = next(name for name in files if name.endswith(".safetensors"))
    content = (folder / name).read_bytes()[:-100]
    (tmp_path / name).write_bytes(content)
    files[name] = suite.client.create_blob(tmp_path / name)
    status, answer = suite.request("POST", "/api/create", {"model": "broken", "files": files})
    assert status == 400
    assert name in answer["error"]


def test_a_file_that_was_never_uploaded(suite: Suite) -> None:
    files = {"config.json": f"sha256:{'0' * 64}", "model.safetensors": f"sha256:{'1' * 64}"}
    status, answer = suite.request("POST", "/api/create", {"model": "broken", "files": files})
    assert status in (400, 404)
    assert "0" * 64 in answer["error"]


def test_a_wrong_digest_leaves_nothing(suite: Suite) -> None:
    digest = f"sha256:{'a' * 64}"
    before = suite.blobs()
    status, answer = suite.request("POST", f"/api/blobs/{digest}", b"something else")
    assert status == 400
    assert "digest mismatch" in answer["error"]
    assert suite.request("HEAD", f"/api/blobs/{digest}")[0] == 404
    assert suite.blobs() == before
    assert not suite.leftovers()


def test_a_truncated_upload_leaves_nothing(suite: Suite) -> None:
    content = b"x" * 20_000_000
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    address = urlsplit(suite.url)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST /api/blobs/{digest} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content[:10_000_000])
        eventually(lambda: any(path.stat().st_size > 2_000_000 for path in suite.leftovers()))
    eventually(lambda: not suite.leftovers())
    assert suite.request("HEAD", f"/api/blobs/{digest}")[0] == 404
    assert suite.request("POST", f"/api/blobs/{digest}", content)[0] == 201
    assert suite.request("POST", f"/api/blobs/{digest}", content)[0] == 200


def test_a_model_that_no_engine_reads(suite: Suite, folder: Path, tmp_path: Path) -> None:
    files = upload(suite.client, folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["NoSuchModelForCausalLM"]
    config["model_type"] = "no_such_model"
    (tmp_path / "config.json").write_text(json.dumps(config))
    files["config.json"] = suite.client.create_blob(tmp_path / "config.json")
    suite.client.create("strange", files=files)
    with pytest.raises(ollama.ResponseError) as error:
        suite.client.generate("strange", "x")
    assert error.value.status_code == 500
    assert suite.client.generate("demo", "Hello!").response
    suite.client.delete("strange")
