"""What a command loads before it does anything: little, as people wait for it."""

import subprocess
import sys

SLOW = ("aiohttp", "httpx", "ollama", "prompt_toolkit", "pydantic", "rich")


def test_nothing_slow_is_imported_before_it_is_needed() -> None:
    code = f"import sys, cli.main; print([name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
