"""What the README shows, run as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.suite import Suite

ROOT = Path(__file__).parents[2]


def snippets(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [snippet for kind, snippet in found if kind == language]


def test_the_curl_examples(suite: Suite) -> None:
    commands = [snippet for snippet in snippets("") if snippet.startswith("curl ")]
    chat, create = (curl(suite, command) for command in commands)
    assert "scatter" in chat
    assert '"done":true' in chat.splitlines()[-1]
    assert '"status":"success"' in create.splitlines()[-1]
    suite.client.delete("demo-small")


def curl(suite: Suite, command: str) -> str:
    command = command.replace("http://127.0.0.1:11434", suite.url)
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True
    ).stdout


def test_the_python_examples(suite: Suite, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "demo_model" / "model", tmp_path / "my-model")
    found = snippets("python")
    assert len(found) == 2
    for snippet in found:
        answer = subprocess.run(
            [sys.executable, "-c", snippet],
            cwd=tmp_path,
            env=os.environ | {"OLLAMA_HOST": suite.url},
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout.strip()
    suite.client.delete("my-model")
