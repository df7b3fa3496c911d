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
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_curl_example(suite: Suite) -> None:
    (command,) = [snippet for snippet in snippets("") if snippet.startswith("curl ")]
    command = command.replace("http://127.0.0.1:11434", suite.url)
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "scatter" in answer.stdout
    assert '"done":true' in answer.stdout.splitlines()[-1]


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
