"""What a token and a request cost as streams become many: `python -m bench.stream_growth`.

Simulated workers, which compute nothing, behind the whole chain, asked through HTTP. So the
cores are Paddock's and the clients' alone, and 1,000 streams run on any machine. A worker's
step takes 20 ms, and longer where that would be more than 5,000 tokens a second.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.budget import Cost, cost_table, measure_costs
from bench.cluster import running_cluster
from bench.contestants import Server, generate
from bench.document import write_section
from bench.plots import draw_lines, picture

_WORKERS = 4
_LENGTHS = (16, 64)
_TOKEN_TIME = 20.0  # milliseconds
_MOST_TOKENS = 5000  # a second, of all streams
_NAMES = {"gateway": "gateway", "inference": "router", "bench.simulated_cluster": "worker"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement, at least")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--document", action="store_true", help="renew docs/benchmarks.md")
    arguments = parser.parse_args()
    costs = {
        streams: measure(streams, arguments.seconds, arguments.rounds)
        for streams in arguments.streams
    }
    if arguments.document:
        draw(costs)
        write_section("streams", "![cost of a token and of a request](images/streams.svg)")


def measure(streams: int, seconds: float, rounds: int) -> dict[str, Cost]:
    """Run so many streams through a fresh cluster; print and give what each process takes."""
    token_time = max(_TOKEN_TIME, streams / _MOST_TOKENS * 1000)
    settings = {
        "SIMULATED_TOKEN_TIME": f"{token_time:.0f}ms",
        "SIMULATED_PROMPT_TIME": "0s",
        "SIMULATED_ANSWER_LENGTH": f"{4 * _LENGTHS[1]}",
        "MAX_SEQUENCES": f"{streams}",
        "MAX_QUEUE": f"{2 * streams}",
    }
    with (
        TemporaryDirectory() as folder,
        running_cluster(Path(folder), workers=_WORKERS, settings=settings) as cluster,
    ):
        server = Server(psutil.Process().pid, generate(cluster.urls[0]))
        costs, figures = measure_costs(server, streams, _LENGTHS, seconds, rounds)
        print(cost_table(streams, costs, figures), flush=True)
        return costs


def draw(costs: Mapping[int, Mapping[str, Cost]]) -> None:
    """Draw docs/images/streams.svg."""
    x = ("streams at once", list(costs))
    tokens = {
        name: [each[kind].token * 1e6 for each in costs.values()] for kind, name in _NAMES.items()
    }
    requests = {
        name: [each[kind].request * 1e3 for each in costs.values()] for kind, name in _NAMES.items()
    }
    with picture("streams", panels=2) as (token, request):
        draw_lines(token, "A token", x, "time of a core (µs)", tokens, log_y=True)
        draw_lines(request, "A request, without its tokens", x, "time of a core (ms)", requests)


if __name__ == "__main__":
    main()
