"""What docs/modelfile.md shows, run as it stands there; and models made by Modelfiles."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.suite import Suite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "modelfile.md").read_text()


def snippets(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [text for fence, text in fenced if fence == language]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page's first Modelfile."""
    example = next(snippet for snippet in snippets("") if "FROM demo" in snippet)
    (tmp_path / "Modelfile").write_text(example)
    return tmp_path


def run(suite: Suite, arguments: list[str], folder: Path) -> str:
    answer = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"OLLAMA_HOST": suite.url},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout


def test_the_commands(suite: Suite, folder: Path) -> None:
    commands = [snippet for snippet in snippets("") if snippet.startswith("curl ")]
    assert len(commands) == 3
    for command in commands:
        command = command.replace("http://127.0.0.1:11434", suite.url)
        answer = run(suite, ["bash", "-c", command], folder)
        assert "error" not in answer
        assert '"success"' in answer or "PARAMETER temperature 0.3" in answer
    suite.client.delete("mario")


def test_the_python_example(suite: Suite, folder: Path) -> None:
    (example,) = snippets("python")
    printed = run(suite, [sys.executable, "-c", example], folder)
    assert "PARAMETER temperature 0.3" in printed
    suite.client.delete("mario")


def test_a_folder_beside_a_modelfile_is_served(suite: Suite, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "demo_model" / "model", tmp_path / "my-model")
    (tmp_path / "Modelfile").write_text("FROM ./my-model\nPARAMETER num_predict 3\n")
    fields = {"model": "mine", "path": str(tmp_path / "Modelfile"), "stream": False}
    assert suite.request("POST", "/api/create", fields) == (200, {"status": "success"})
    assert suite.client.generate("mine", "Hello!").eval_count == 3
    suite.client.delete("mine")
