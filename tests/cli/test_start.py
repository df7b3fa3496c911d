"""What a command loads before it does anything: little, as people wait for it."""

import subprocess
import sys

from tests.cli.plain_server import answer, server
from tests.cli.program import environment

SLOW = {"aiohttp", "boto3", "grpc", "httpx", "ollama", "prompt_toolkit", "pydantic", "rich"}
SLOWEST = {"aiohttp", "boto3", "grpc", "ollama", "prompt_toolkit", "torch", "vllm"}


def loaded(code: str, url: str = "") -> set[str]:
    """Give the modules that are there when a program ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env=environment(url),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_nothing_slow_is_imported_before_it_is_needed() -> None:
    assert not loaded("import cli.main") & SLOW


def test_what_only_reads_needs_little() -> None:
    with server(answer(200, '{"models": []}')) as url:
        names = loaded("from cli.main import app; app(['list'], standalone_mode=False)", url)
    assert "httpx" in names
    assert not names & SLOWEST
