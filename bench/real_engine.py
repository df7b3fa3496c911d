"""The demo model on one and on two vLLM workers: `python -m bench.real_engine`.

Both share this machine's cores with gateway, router and clients, so two workers can only be
faster where one leaves cores unused: each runs so small a model on one thread. The table says
how much of the cores was in use.
"""

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from bench.cluster import MODEL, running_cluster
from bench.load import closed_loop, percentile, rate
from bench.measure import busy_seconds

_TOKENS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"The demo model, {_TOKENS} tokens an answer; medians of {arguments.rounds} rounds")
    for workers in arguments.workers:
        measure(workers, arguments)


def measure(workers: int, arguments: argparse.Namespace) -> None:
    """Run the load on a fresh cluster, and print what it gave."""
    settings = {"MEMORY_BUDGET": "2GiB", "LOG_LEVEL": "WARNING"}
    with (
        TemporaryDirectory() as folder,
        running_cluster(
            Path(folder), workers=workers, simulated=False, settings=settings
        ) as cluster,
    ):
        asyncio.run(closed_loop(cluster.urls, 4 * workers, 2, request))
        for clients in arguments.clients:
            rates, waits, cores = [], [], []
            for _ in range(arguments.rounds):
                busy, began = busy_seconds(), time.monotonic()
                answers = asyncio.run(
                    closed_loop(cluster.urls, clients, arguments.seconds, request)
                )
                cores.append((busy_seconds() - busy) / (time.monotonic() - began))
                rates.append(rate(answers, arguments.seconds))
                waits.append(percentile([each.waited for each in answers], 50))
            print(
                f"  {workers} worker(s) {clients:3} clients"
                f" {statistics.median(rates):7.0f} tokens/s"
                f"  ({min(rates):.0f} to {max(rates):.0f});"
                f"  first token p50 {statistics.median(waits) * 1000:5.0f} ms;"
                f"  cores {statistics.median(cores):.2f} of {psutil.cpu_count()}"
            )


def request(client: int, turn: int) -> dict[str, Any]:
    """Make a request that no other client makes, answered at full length."""
    options = {"num_predict": _TOKENS, "temperature": 0}
    prompt = f"Count from {client} to {client + turn + 100}:"
    return {"model": MODEL, "prompt": prompt, "raw": True, "options": options}


if __name__ == "__main__":
    main()
