"""LoRA adapters from an upload to the text of the served model."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ollama
import pytest

from tests.gguf_adapters import make_gguf_adapter
from tests.gguf_files import write_gguf
from tests.integration.safetensors_folder import make_embedding_folder, upload
from tests.integration.suite import Suite, eventually
from tests.lora_adapters import as_float32, make_adapter, merge_adapter

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"
PROMPT = "Why is the sky blue? " * 20


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("adapters")
    base = as_float32(Path(shutil.copytree(DEMO, root / "base")))
    make_adapter(root / "one", base, seed=1)
    make_adapter(root / "two", base, seed=2, rank=4)
    merge_adapter(root / "merged", base, root / "one")
    make_gguf_adapter(root / "one.gguf", root / "one", heads=4, key_heads=2)
    return root


@pytest.fixture(scope="module")
def client(suite: Suite, folders: Path) -> Iterator[ollama.Client]:
    """A client of a suite that has the base model, the merged one, and three with adapters."""
    client = suite.client
    for name in ("base", "merged"):
        client.create(name, files=upload(client, folders / name))
    for name in ("one", "two"):
        client.create(name, from_="base", adapters=upload(client, folders / name))
    digest = client.create_blob(folders / "one.gguf")
    client.create("gguf", from_="base", adapters={"one.gguf": digest})
    yield client
    for name in ("base", "merged", "one", "two", "gguf"):
        client.generate(name, keep_alive=0)
        client.delete(name)


def say(client: ollama.Client, model: str) -> str:
    options = {"temperature": 0, "num_predict": 30}
    answer = client.generate(model, PROMPT, raw=True, options=options, keep_alive="5m")
    return str(answer.response)


def test_adapters_say_what_merged_models_say(client: ollama.Client) -> None:
    merged = say(client, "merged")
    assert say(client, "one") == merged
    assert say(client, "gguf") == merged
    others = {say(client, "two"), say(client, "base")}
    assert len(others | {merged}) == 3


def test_many_at_once_on_one_engine(suite: Suite, client: ollama.Client) -> None:
    names = ["one", "two", "gguf", "base"]
    for name in ("merged", *names):
        client.generate(name, keep_alive=0)
    alone = {name: say(client, name) for name in names}
    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda name: say(client, name), names * 3))
    assert said == [alone[name] for name in names] * 3
    assert {model.model for model in client.ps().models} >= {f"{name}:latest" for name in names}
    engines = [child for child in suite.descendants() if "EngineCore" in " ".join(child.cmdline())]
    client.generate("one", keep_alive=0)
    eventually(lambda: "one:latest" not in {model.model for model in client.ps().models})
    assert say(client, "two") == alone["two"]
    others = {model.model for model in client.ps().models} - {f"{name}:latest" for name in names}
    assert len(engines) == 1 + len(others)


def test_on_a_gguf_model(client: ollama.Client, folders: Path, tmp_path: Path) -> None:
    write_gguf(folders / "base", tmp_path / "base.gguf", "F32")
    client.create("of-gguf", files={"m.gguf": client.create_blob(tmp_path / "base.gguf")})
    client.create("tuned", from_="of-gguf", adapters=upload(client, folders / "one"))
    try:
        assert say(client, "tuned") == say(client, "merged")
    finally:
        for name in ("tuned", "of-gguf"):
            client.generate(name, keep_alive=0)
            client.delete(name)


def test_show(client: ollama.Client) -> None:
    shown = client.show("one")
    assert shown.details
    assert shown.details.parent_model == "base:latest"
    assert shown.modelfile
    assert shown.modelfile.count("# ADAPTER @sha256:") == 2
    assert client.show("gguf").modelfile.count("# ADAPTER @sha256:") == 1  # type: ignore[union-attr]


def test_an_adapter_for_another_model(suite: Suite, client: ollama.Client, tmp_path: Path) -> None:
    adapters = upload(client, make_adapter(tmp_path / "large", DEMO, rank=600))
    body = {"model": "x", "from": "base", "adapters": adapters, "stream": False}
    status, answer = suite.request("POST", "/api/create", body)
    assert status == 400
    assert "the adapter's rank is 600; at most 512 is supported" in answer["error"]
    (tmp_path / "embedder").mkdir()
    files = upload(client, make_embedding_folder(tmp_path / "embedder"))
    body = {"model": "x", "files": files, "adapters": adapters, "stream": False}
    status, answer = suite.request("POST", "/api/create", body)
    assert (status, answer["error"]) == (400, "adapters for embedding models are not supported")


@pytest.mark.parametrize("kind", ["q8_0", "q4_K_M"])
def test_on_a_quantized_model(client: ollama.Client, folders: Path, kind: str) -> None:
    adapters = upload(client, folders / "one")
    client.create("small", from_="base", quantize=kind)
    client.create("small-one", from_="small", adapters=adapters)
    try:
        assert say(client, "small-one") not in ("", say(client, "small"))
    finally:
        for name in ("small-one", "small"):
            client.generate(name, keep_alive=0)
            client.delete(name)
