"""What a request costs as a store holds more and more models: `python -m bench.growth`.

Real processes over a folder and over a bucket of OpenStack Swift on this machine. The models
are variants of the demo model: they share its files, and each has a configuration and
parameters of its own. They are put into the store behind the services' back, which are then told
to look. The first list after that, which reads what is new, is a row of its own.
"""

import argparse
import asyncio
import hashlib
import os
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import orjson

from bench.cluster import MODEL, running_cluster
from bench.plots import draw_lines, picture
from common.names import ModelName
from store.opening import open_store
from tests.servers.swift import running_swift

Put = Callable[[str, bytes], object]
"""Puts an object, or a file, at a path of a store."""

Way = Callable[[], Coroutine[Any, Any, None]]
"""Sends a request and reads its answer."""

Times = Mapping[str, Sequence[float]]
"""Milliseconds of each kind of request, for each number of models."""

_BUCKET = "models"
_WRITERS = 16
# Swift, on the same cores, takes longer for a first list than Paddock's clients usually wait.
_SETTINGS = {"CALL_TIMEOUT": "10m"}
_DRAWN = ("list", "show", "show, unknown", "generate", "copy", "delete")


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=int, nargs="*", default=[1, 10, 100, 1000, 10000])
    parser.add_argument("--s3", type=int, nargs="*", default=[1, 10, 100, 1000, 10000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draw", action="store_true", help="draw docs/images/growth-*.svg")
    arguments = parser.parse_args()
    for kind, counts in (("folder", arguments.folder), ("s3", arguments.s3)):
        if counts:
            times = measure(kind, counts, arguments.rounds)
            print_table(kind, counts, times)
            if arguments.draw:
                draw(kind, counts, times)


def print_table(kind: str, counts: Sequence[int], times: Times) -> None:
    """Print milliseconds as a table in Markdown."""
    print(f"| {kind}, models | " + " | ".join(f"{count:,}" for count in counts) + " |")
    print("|---|" + "--:|" * len(counts))
    for name, row in times.items():
        print(f"| {name} | " + " | ".join(f"{each:.1f} ms" for each in row) + " |")


def draw(kind: str, counts: Sequence[int], times: Times) -> None:
    """Draw what is no first time."""
    lines = {name: times[name] for name in _DRAWN}
    title = {"folder": "A store in a folder", "s3": "A store in S3"}[kind]
    with picture(f"growth-{kind}") as (axes,):
        draw_lines(axes, title, ("models", counts), "ms for a request", lines, log_y=True)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def measure(kind: str, counts: Sequence[int], rounds: int) -> Times:
    """Run a cluster whose store grows."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    with (
        TemporaryDirectory() as name,
        store_for(kind, Path(name)) as (address, put),
        running_cluster(Path(name), workers=1, store=address, settings=_SETTINGS) as cluster,
    ):
        stored = 1
        for count in counts:
            fill(address, put, range(stored, count))
            stored = count
            for request, row in asyncio.run(ask(cluster.urls[0], count, rounds)).items():
                times[request].append(statistics.median(row) * 1000)
    return times


@contextmanager
def store_for(kind: str, root: Path) -> Iterator[tuple[str, Put]]:
    """Give the address of an empty store, and how to put something into it."""
    if kind == "folder":
        store = root / "store"
        yield str(store), lambda path, content: write_file(store / path, content)
        return
    (root / "swift").mkdir()
    with running_swift(root / "swift") as swift:
        os.environ |= swift.environment
        client = swift.client()
        client.create_bucket(Bucket=_BUCKET)
        yield (
            f"s3://{_BUCKET}",
            lambda path, content: client.put_object(Bucket=_BUCKET, Key=path, Body=content),
        )


def write_file(file: Path, content: bytes) -> None:
    """Write a file without waiting for the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def fill(address: str, put: Put, numbers: Sequence[int]) -> None:
    """Make variants of the demo model."""
    store = open_store(address)
    base = orjson.loads(store.read_manifest(ModelName.parse(MODEL)).content)
    config = orjson.loads(b"".join(store.read(base["config"]["digest"])))
    with ThreadPoolExecutor(_WRITERS) as threads:
        list(threads.map(lambda number: put_variant(put, base, config, number), numbers))
    # Tells the Blob service that so much has changed that it has to look at everything.
    put(f"changed/{uuid.uuid4().hex}", orjson.dumps({"count": len(numbers), "changed": []}))


def put_variant(put: Put, base: dict[str, Any], config: dict[str, Any], number: int) -> None:
    """Put a model into the store that has a configuration and parameters of its own."""

    def blob(kind: str, value: object) -> dict[str, Any]:
        content = orjson.dumps(value)
        digest = hashlib.sha256(content).hexdigest()
        put(f"blobs/sha256-{digest}", content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    own = config | {"rootfs": {"type": "layers", "diff_ids": [str(number)]}}
    parameters = blob("application/vnd.ollama.image.params", {"seed": number})
    manifest = base | {
        "config": blob(base["config"]["mediaType"], own),
        "layers": [*base["layers"], parameters],
    }
    put(f"manifests/{ModelName.parse(variant(number)).path}", orjson.dumps(manifest))


def variant(number: int) -> str:
    """Name a variant; the first one is the demo model itself."""
    return f"team{number % 10}/Model-{number:05d}" if number else MODEL


async def ask(url: str, count: int, rounds: int) -> dict[str, list[float]]:
    """Send each kind of request some times; give the seconds that each took."""
    async with aiohttp.ClientSession(url) as session:
        ways = requests(session, variant(count - 1))
        began = time.perf_counter()
        waited = await beside(ways["list"], ways["show"])
        times = {
            "first list": [time.perf_counter() - began],
            "show, longest wait beside the first list": [waited],
        }
        times |= {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():  # what is made is deleted in the same round
                times[name].append(await timed(way))
        for name in ("version", "show"):
            longest = [await beside(ways["list"], ways[name]) for _ in range(rounds)]
            times[f"{name}, longest wait beside a list"] = longest
    return times


async def beside(way: Way, other: Way) -> float:
    """Give the longest time that another request takes, one after another, beside one."""
    running = asyncio.create_task(way())
    longest = 0.0
    while not running.done():
        longest = max(longest, await timed(other))
    await running
    return longest


async def timed(way: Way) -> float:
    """Give the seconds that a request takes."""
    began = time.perf_counter()
    await way()
    return time.perf_counter() - began


def requests(session: aiohttp.ClientSession, known: str) -> dict[str, Way]:
    """Give the kinds of requests by name."""

    def call(method: str, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Way:
        async def send() -> None:
            async with session.request(method, path, json=body) as answer:
                content = await answer.read()
                if answer.status != status:
                    raise RuntimeError(f"{path}: {answer.status} {content!r}")

        return send

    generate = {"model": known, "prompt": "Hi", "stream": False, "options": {"num_predict": 1}}
    child = {"model": "child", "from": known, "system": "Be brief.", "stream": False}
    return {
        "list": call("GET", "/api/tags"),
        "show": call("POST", "/api/show", {"model": known}),
        "show, other case": call("POST", "/api/show", {"model": known.upper()}),
        "show, unknown": call("POST", "/api/show", {"model": "nobody"}, 404),
        "generate": call("POST", "/api/generate", generate),
        "generate, unknown": call("POST", "/api/generate", generate | {"model": "nobody"}, 404),
        "ps": call("GET", "/api/ps"),
        "version": call("GET", "/api/version"),
        "copy": call("POST", "/api/copy", {"source": known, "destination": "copy"}),
        "list, changed": call("GET", "/api/tags"),
        "delete": call("DELETE", "/api/delete", {"model": "copy"}),
        "create": call("POST", "/api/create", child),
        "delete what was created": call("DELETE", "/api/delete", {"model": "child"}),
    }


if __name__ == "__main__":
    main()
