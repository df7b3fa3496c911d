"""Those who are compared: vLLM's own server, its engine alone, and Paddock.

All serve the same files with the same type, key-value cache and number of sequences at once,
and compute on one thread, as so small a model does best. All compile it, or none. Everything else
is left as it comes.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import uvloop

from bench.closed_loop import Load, Measured, run_load
from bench.cluster import answers
from bench.execution import Execution
from bench.load import Answered
from bench.placement import ENGINE_CPU, beside_the_engine
from bench.processes import Tree, Usage
from bench.wire import Target, connect
from cli.demo import install_demo
from common.process import LIFELINE_VARIABLE
from tests.integration.suite import free_port

KV_CACHE = 128 << 20  # bytes; what a worker plans for this model
SEQUENCES = 256
NAME = "demo"
_START_SECONDS = 300.0  # vLLM's server compiles
_STOP_SECONDS = 20.0
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    # As vLLM itself places it on a machine of two CPUs.
    "VLLM_CPU_OMP_THREADS_BIND": str(ENGINE_CPU),
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def prompt(number: int) -> str:
    """Make a prompt that no other request has."""
    return f"Count from {number} to {number + 100}:"


def generate(url: str) -> Target:
    """Make `/api/generate` of a Paddock what is asked."""

    def body(number: int, length: int) -> dict[str, Any]:
        return {
            "model": NAME,
            "prompt": prompt(number),
            "raw": True,
            "options": {"num_predict": length, "temperature": 0},
        }

    return Target(url, "/api/generate", body, re.compile(rb'"eval_count":(\d+)'))


class Contestant(ABC):
    """One of those who answer."""

    def __init__(self, process: int) -> None:
        self.process = psutil.Process(process)

    @abstractmethod
    def run(self, load: Load) -> tuple[Measured, Usage]:
        """Put a load on it; tell also what its processes and the clients took meanwhile."""


class Server(Contestant):
    """One that is asked through HTTP, by clients in this process."""

    def __init__(self, process: int, target: Target) -> None:
        super().__init__(process)
        self._target = target
        self._number = 0

    def run(self, load: Load) -> tuple[Measured, Usage]:
        """Put a load on it."""
        with beside_the_engine():
            return uvloop.run(self._run(load))

    async def _run(self, load: Load) -> tuple[Measured, Usage]:
        clients = [await connect(self._target) for _ in range(load.streams)]

        async def ask(client: int, length: int) -> Answered:
            self._number += 1
            return await clients[client].ask(self._target, self._number, length)

        measured = await run_load(ask, load, Tree(self.process))
        for client in clients:
            client.close()
        return measured


class VllmServer(Server):
    """`vllm serve`, asked through its OpenAI API."""

    @classmethod
    @contextmanager
    def running(cls, folder: Path, root: Path, execution: Execution) -> Iterator["VllmServer"]:
        """Start one that serves the model in the folder."""
        url = f"http://127.0.0.1:{free_port()}"
        flags = (
            *("--model", str(folder), "--served-model-name", NAME, "--dtype", "bfloat16"),
            *("--kv-cache-memory-bytes", str(KV_CACHE), "--max-num-seqs", str(SEQUENCES)),
            *("--host", "127.0.0.1", "--port", str(urlsplit(url).port)),
            *(("--enforce-eager",) if execution == "eager" else ()),
        )
        module = "vllm.entrypoints.openai.api_server"
        with started(root / "vllm.log", module, *flags, **_ONE_THREAD) as process:
            _wait(process, root / "vllm.log", f"{url}/health")
            tokens = re.compile(rb'"completion_tokens":\s*(\d+)')
            yield cls(process.pid, Target(url, "/v1/completions", cls._body, tokens))

    @staticmethod
    def _body(number: int, length: int) -> dict[str, Any]:
        return {
            "model": NAME,
            "prompt": prompt(number),
            "max_tokens": length,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


class Paddock(Server):
    """`paddock serve`, asked through `/api/generate`."""

    @classmethod
    @contextmanager
    def running(cls, folder: Path, root: Path, execution: Execution) -> Iterator["Paddock"]:
        """Start one that serves the model in the folder."""
        url = f"http://127.0.0.1:{free_port()}"
        flags = ("serve", "--host", urlsplit(url).netloc, "--home", str(root / "paddock"))
        log = root / "paddock.log"
        settings = {
            "PADDOCK_DEMO": "false",
            "PADDOCK_MAX_SEQUENCES": str(SEQUENCES),
            "PADDOCK_COMPILE": "always" if execution == "compiled" else "never",
        }
        with started(log, "cli.main", *flags, **settings) as process:
            _wait(process, log, f"{url}/readyz")
            asyncio.run(install_demo(url, folder))
            _load(url)
            yield cls(process.pid, generate(url))


class BareEngine(Contestant):
    """vLLM's `AsyncLLM` in a process whose tasks are the clients."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(process.pid)
        self._process = process

    @classmethod
    @contextmanager
    def running(cls, folder: Path, root: Path, execution: Execution) -> Iterator["BareEngine"]:
        """Start one that has the model in the folder."""
        log = root / "bare.log"
        with started(log, "bench.bare_engine", str(folder), execution, **_ONE_THREAD) as process:
            contestant = cls(process)
            if contestant._read() != "ready":
                raise RuntimeError(f"no engine:\n{log.read_text()[-3000:]}")
            yield contestant

    def run(self, load: Load) -> tuple[Measured, Usage]:
        """Put a load on it."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()
        measured = json.loads(self._read())
        taken = Usage(**measured.pop("usage"))
        answers = [Answered(**each) for each in measured.pop("answers")]
        return Measured(**measured, answers=answers), taken

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def started(
    log: Path, module: str, *flags: str, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a module, with its log in a file, until the block is left."""
    lifeline, held_end = os.pipe()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *flags],
            env=os.environ | settings | {LIFELINE_VARIABLE: str(lifeline)},
            pass_fds=(lifeline,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if module == "bench.bare_engine" else errors,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        _end(process)
        os.close(lifeline)
        os.close(held_end)


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, and what it has left: vLLM's engine goes on without the one it is of."""
    below: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    process.kill()
    process.wait()
    for each in below:
        with suppress(psutil.NoSuchProcess):
            each.kill()


def _wait(process: subprocess.Popen[str], log: Path, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no answer at {url}:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _load(url: str) -> None:
    """Load the model, to stay there."""
    content = json.dumps({"model": NAME, "keep_alive": -1}).encode()
    with urllib.request.urlopen(f"{url}/api/generate", content) as answer:
        answer.read()
