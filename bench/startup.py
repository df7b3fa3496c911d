"""How long `paddock serve` takes to come up, and what it holds then: `python -m bench.startup`.

From the start of the command to the first answer of `/api/version`, until everything is ready,
and until the engine has given its first token; then the memory of each process.
"""

import argparse
import asyncio
import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil

from bench.cluster import answers
from bench.contestants import started
from bench.document import write_section
from bench.endless_model import DEMO
from bench.measure import MEGABYTE
from bench.processes import Memory, Tree
from cli.demo import NAME, install_demo
from tests.integration.suite import free_port

_PATIENCE = 120.0  # seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--document", action="store_true", help="renew docs/benchmarks.md")
    arguments = parser.parse_args()
    rounds: list[dict[str, float]] = []
    memory: dict[str, Memory] = {}
    for _ in range(arguments.rounds):
        with TemporaryDirectory() as name:
            times, memory = start_once(Path(name))
        rounds.append(times)
        print("  ".join(f"{what} {seconds:.2f} s" for what, seconds in times.items()), flush=True)
    text = tables(rounds, memory)
    print(f"\n{text}")
    if arguments.document:
        write_section("startup", text)


def tables(rounds: Sequence[Mapping[str, float]], memory: Mapping[str, Memory]) -> str:
    """Make the tables of the times and of the memory."""
    lines = ["| from the command to | seconds |", "|---|--:|"]
    for what in rounds[0]:
        values = [times[what] for times in rounds]
        low, high = min(values), max(values)
        lines.append(f"| {what} | {statistics.median(values):.2f} ({low:.2f} to {high:.2f}) |")
    lines += ["", "| process | resident | proportional | own |", "|---|--:|--:|--:|"]
    for kind, held in memory.items():
        cells = (held.resident, held.proportional, held.own)
        lines.append(f"| {kind} | " + " | ".join(f"{it / MEGABYTE:.0f} MB" for it in cells) + " |")
    return "\n".join(lines)


def start_once(root: Path) -> tuple[dict[str, float], dict[str, Memory]]:
    """Start a suite with an empty home; give the times, and what it held with a model loaded."""
    url = f"http://127.0.0.1:{free_port()}"
    flags = ("serve", "--host", urlsplit(url).netloc, "--home", str(root / "home"))
    log = root / "serve.log"
    began = time.monotonic()
    times = {}

    def passed(what: str, condition: Callable[[], bool]) -> None:
        while not condition():
            if time.monotonic() > began + _PATIENCE:
                raise RuntimeError(f"no {what}:\n{log.read_text()[-3000:]}")
            time.sleep(0.01)
        times[what] = time.monotonic() - began

    with started(log, "cli.main", *flags, PADDOCK_DEMO="false") as process:
        passed("the first answer of /api/version", lambda: answers(f"{url}/api/version"))
        passed("all processes ready", lambda: "ready at" in log.read_text())
        asyncio.run(install_demo(url, DEMO))
        passed("the first token of a model", lambda: _first_token(url))
        return times, Tree(psutil.Process(process.pid)).memory()


def _first_token(url: str) -> bool:
    body = {"model": NAME, "prompt": "Hello", "stream": False, "options": {"num_predict": 1}}
    with urllib.request.urlopen(f"{url}/api/generate", json.dumps(body).encode()) as answer:
        return bool(json.load(answer)["done"])


if __name__ == "__main__":
    main()
