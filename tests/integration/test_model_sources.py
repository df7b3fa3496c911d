"""Where models come from and go to: GGUF files, adapters, another registry."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import ollama
import pytest

from tests.gguf_files import write_gguf
from tests.integration.safetensors_folder import upload
from tests.integration.suite import Suite, eventually
from tests.lora_adapters import make_adapter
from tests.servers.docker_registry import DockerRegistry, running_registry

DEMO = Path("examples/demo_model/model")
QUESTION = "Why is the sky blue?"


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with running_registry(tmp_path_factory.mktemp("docker")) as running:
        yield running


@pytest.fixture
def gguf(suite: Suite, tmp_path: Path) -> Iterator[str]:
    """The demo model as a GGUF file of half precision."""
    client = suite.client
    path = write_gguf(DEMO, tmp_path / "demo.gguf", "F16")
    client.create("gguf", files={"demo.gguf": client.create_blob(path)})
    yield "gguf"
    client.generate("gguf", keep_alive=0)
    client.delete("gguf")


def say(client: ollama.Client, model: str, question: str = QUESTION) -> str:
    options = {"temperature": 0, "num_predict": 48}
    messages = [{"role": "user", "content": question}]
    return client.chat(model, messages, options=options).message.content or ""


def test_a_gguf_file_answers_like_the_weights_it_was_made_of(
    suite: Suite, client: ollama.Client, gguf: str
) -> None:
    shown = client.show(gguf)
    assert shown.details
    assert (shown.details.format, shown.details.quantization_level) == ("gguf", "F16")
    assert shown.capabilities == client.show("demo").capabilities
    assert say(client, gguf) == say(client, "demo")
    # What it was converted to is no model of its own.
    assert {model.model for model in client.list().models} >= {"demo:latest", "gguf:latest"}
    assert not [model for model in client.list().models if "derived" in (model.model or "")]


def test_a_model_comes_back_from_a_registry(
    suite: Suite, client: ollama.Client, docker: DockerRegistry, gguf: str
) -> None:
    for model in ("demo", gguf):
        name = f"{docker.host}/team/{model}:v1"
        client.copy(model, name)
        manifest = next((suite.home / "models" / "manifests" / docker.host).rglob(f"{model}/v1"))
        before = manifest.read_bytes()
        steps = [step.status for step in client.push(name, insecure=True, stream=True)]
        assert (steps[0], steps[-1]) == ("retrieving manifest", "success")
        client.delete(name)
        assert not manifest.exists()
        steps = [step.status for step in client.pull(name, insecure=True, stream=True)]
        assert (steps[0], steps[-1]) == ("pulling manifest", "success")
        assert manifest.read_bytes() == before
        assert say(client, name) == say(client, model)
        client.generate(name, keep_alive=0)
        client.delete(name)


def test_adapters_share_the_engine_of_their_base(client: ollama.Client, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = make_adapter(tmp_path / str(number), DEMO, seed=number, strength=0.2)
        client.create(f"tuned-{number}", from_="demo", adapters=upload(client, folder))
    try:
        answers = {say(client, model) for model in ("demo", "tuned-1", "tuned-2")}
        assert len(answers) == 3
        running = {model.model: model.digest for model in client.ps().models}
        assert running.keys() >= {"tuned-1:latest", "tuned-2:latest"}
        shown = client.show("tuned-1")
        assert shown.details
        assert shown.details.parent_model == "demo:latest"
    finally:
        for number in (1, 2):
            client.generate(f"tuned-{number}", keep_alive=0)
            client.delete(f"tuned-{number}")


def test_services_that_die_during_a_pull(
    suite: Suite, client: ollama.Client, docker: DockerRegistry, tmp_path: Path
) -> None:
    weights = tmp_path / "large.safetensors"
    content = bytes(range(256)) * 400_000
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (
        len(content),
        len(content),
    )
    weights.write_bytes(len(header).to_bytes(8, "little") + header + content)
    name = f"{docker.host}/team/large:v1"
    files = upload(client, DEMO) | {"large.safetensors": client.create_blob(weights)}
    client.create(name, files=files)
    client.push(name, insecure=True)
    digest = f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
    for kind in ("registry", "blob"):
        client.delete(name)
        eventually(lambda: digest not in suite.blobs(), 20)
        begun = pull_until(client, name, digest, suite.kinds()[kind].kill)
        assert begun
        client.pull(name, insecure=True)
        assert digest in suite.blobs()
    client.delete(name)


def pull_until(client: ollama.Client, name: str, digest: str, act: Callable[[], None]) -> bool:
    """Pull, and act as soon as bytes of a blob have come; tell whether any had."""
    begun = False
    try:
        for step in client.pull(name, insecure=True, stream=True):
            if step.digest == digest and step.completed and not begun:
                begun = True
                act()
    except (ollama.ResponseError, httpx.TransportError):
        pass  # what was killed does not answer; the next pull goes on
    return begun
