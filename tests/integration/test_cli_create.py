"""`paddock create` with files of this machine, and pull and push, before a real suite."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import paddock
from tests.gguf_files import write_gguf
from tests.integration.suite import Suite
from tests.lora_adapters import make_adapter
from tests.servers.docker_registry import DockerRegistry, running_registry

DEMO = Path(__file__).parents[2] / "examples" / "demo_model" / "model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the demo model in `weights`."""
    shutil.copytree(DEMO, tmp_path / "weights")
    return tmp_path


@pytest.fixture
def name(suite: Suite) -> Iterator[str]:
    yield "made"
    paddock("rm", "made", url=suite.url)


def create(suite: Suite, folder: Path, *arguments: str) -> list[str]:
    """Create `made` and give the lines of progress."""
    done = paddock("create", "made", *arguments, url=suite.url, cwd=folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr.splitlines()


def test_from_a_folder(suite: Suite, folder: Path, name: str) -> None:
    (folder / "weights" / "extra.txt").write_text("what the server does not have yet")
    (folder / "Modelfile").write_text("FROM ./weights\nSYSTEM Be brief.\nPARAMETER num_ctx 512")
    lines = create(suite, folder)
    assert lines[0].startswith("gathering model components: 100% 6.5 MB")
    assert [line for line in lines if line.startswith("copying")] == [
        "copying extra.txt: 100% 33 B"
    ]
    assert lines[-1] == "success"
    assert suite.client.generate(name, "Hello!", options={"num_predict": 8}).eval_count == 8
    shown = suite.request("POST", "/api/show", {"model": name})[1]
    assert (shown["system"], shown["parameters"].split()) == ("Be brief.", ["num_ctx", "512"])


def test_the_model_of_this_folder(suite: Suite, folder: Path, name: str) -> None:
    assert create(suite, folder / "weights", "--quiet") == []
    assert suite.client.show(name).details


def test_from_a_gguf_file_quantized(suite: Suite, tmp_path: Path, name: str) -> None:
    write_gguf(DEMO, tmp_path / "demo.gguf", "F16")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.modelfile").write_text("FROM ../demo.gguf")
    lines = create(suite, tmp_path, "-f", "sub/mine.modelfile", "-q", "q8_0")
    assert lines[-1] == "success"
    details = suite.client.show(name).details
    assert details
    assert (details.format, details.quantization_level) == ("gguf", "Q8_0")


def test_from_a_model_with_an_adapter(suite: Suite, tmp_path: Path, name: str) -> None:
    make_adapter(tmp_path / "adapter", DEMO, seed=1, strength=0.2)
    (tmp_path / "Modelfile").write_text("FROM demo\nADAPTER ./adapter")
    assert create(suite, tmp_path)[-1] == "success"
    assert "# ADAPTER" in (suite.client.show(name).modelfile or "")


def test_a_text_of_the_base_is_taken_away(suite: Suite, tmp_path: Path, name: str) -> None:
    suite.client.create("wordy", from_="demo", system="Say much.")
    (tmp_path / "Modelfile").write_text('FROM wordy\nSYSTEM ""\nPARAMETER seed 1')
    assert create(suite, tmp_path)[-1] == "success"
    shown = suite.request("POST", "/api/show", {"model": name})[1]
    assert (shown.get("system"), shown["parameters"].split()) == (None, ["seed", "1"])
    suite.client.delete("wordy")


@pytest.mark.parametrize(
    ("modelfile", "message"),
    [
        ("FROM demo\nPARAMETER nonsense 1", "Error: (line 2): unknown parameter 'nonsense'"),
        ("SYSTEM x", "Error: no FROM line"),
        ("FROM demo\nTEMPLATE {{ .x", "Error: template"),
        ("FROM ./weights/config.json", "Error: "),
    ],
)
def test_what_cannot_be_made(suite: Suite, folder: Path, modelfile: str, message: str) -> None:
    (folder / "Modelfile").write_text(modelfile)
    done = paddock("create", "broken", url=suite.url, cwd=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "broken" not in paddock("list", url=suite.url).stdout


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with running_registry(tmp_path_factory.mktemp("docker")) as running:
        yield running


def test_a_model_goes_to_a_registry_and_comes_back(suite: Suite, docker: DockerRegistry) -> None:
    model = f"{docker.host}/team/demo:v1"
    paddock("cp", "demo", model, url=suite.url)
    done = paddock("push", model, "--insecure", url=suite.url)
    assert done.returncode == 0
    assert done.stdout == f"\nYou can find your model at:\n\n\t{model}\n"
    lines = done.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("retrieving manifest", "success")
    paddock("rm", model, url=suite.url)
    done = paddock("pull", model, "--insecure", url=suite.url)
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("pulling manifest", "success")
    assert any(line.startswith("pulling ") and ": 100% " in line for line in lines)
    assert paddock("rm", model, url=suite.url).returncode == 0
