"""One load on 1, 4 and 16 simulated workers: `python -m bench.scaling`.

A worker runs few sequences at once and takes its time for a step, so that the workers and not
this machine's cores are what is scarce: the table says how much of the cores was in use. The
clients ask one thing after another, through a gateway and a router.
"""

import argparse
import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from bench.cluster import MODEL, running_cluster
from bench.load import closed_loop, percentile, rate
from bench.measure import busy_seconds

_SEQUENCES = 4
_TOKEN_TIME = 0.05
_TOKENS = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--clients", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--routers", type=int, default=1)
    arguments = parser.parse_args()
    print(
        f"{arguments.clients} clients ask for {_TOKENS} tokens again and again; a worker runs"
        f" {_SEQUENCES} at once, a token every {_TOKEN_TIME * 1000:.0f} ms;"
        f" {arguments.gateways} gateway(s), {arguments.routers} router(s)"
    )
    first = 0.0
    for workers in arguments.workers:
        found = measure(workers, arguments)
        first = first or found["tokens/s"] / workers
        print(
            f"  {workers:3} workers {found['tokens/s']:7.0f} tokens/s"
            f"  {found['tokens/s'] / (first * workers):4.0%} of linear,"
            f" {found['tokens/s'] / capacity(workers):4.0%} of what they can;"
            f"  first token p50 {found['p50']:6.2f} s  p99 {found['p99']:6.2f} s;"
            f"  cores {found['cores']:.2f} of {psutil.cpu_count()}"
        )


def capacity(workers: int) -> float:
    """Give the tokens a second that so many workers can give."""
    return workers * _SEQUENCES / _TOKEN_TIME


def measure(workers: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Run the load on a fresh cluster."""
    settings = {
        "SIMULATED_TOKEN_TIME": f"{_TOKEN_TIME}s",
        "SIMULATED_PROMPT_TIME": "0s",
        "SIMULATED_LOAD_TIME": "0s",
        "MAX_SEQUENCES": str(_SEQUENCES),
        "LOG_LEVEL": "WARNING",
    }
    with (
        TemporaryDirectory() as folder,
        running_cluster(
            Path(folder),
            workers=workers,
            gateways=arguments.gateways,
            routers=arguments.routers,
            settings=settings,
        ) as cluster,
    ):
        asyncio.run(closed_loop(cluster.urls, workers, 1, request))
        busy, began = busy_seconds(), time.monotonic()
        answers = asyncio.run(
            closed_loop(cluster.urls, arguments.clients, arguments.seconds, request)
        )
        cores = (busy_seconds() - busy) / (time.monotonic() - began)
    waited = [each.waited for each in answers]
    return {
        "tokens/s": rate(answers, arguments.seconds),
        "p50": percentile(waited, 50),
        "p99": percentile(waited, 99),
        "cores": cores,
    }


def request(client: int, turn: int) -> dict[str, Any]:
    """Make a request that no other client makes."""
    options = {"num_predict": _TOKENS, "temperature": 0}
    return {"model": MODEL, "prompt": f"Client {client} asks {turn}.", "options": options}


if __name__ == "__main__":
    main()
