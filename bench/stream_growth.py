"""What a token and a request cost as streams become many: `python -m bench.stream_growth`.

Simulated workers, which compute nothing, behind the whole chain, asked through HTTP. So the
cores are Paddock's and the clients' alone, and 1,000 streams run on any machine. A worker's
step takes 5 ms, and longer where that would be more than 5,000 tokens a second.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.budget import Cost, measure_costs
from bench.cluster import running_cluster
from bench.contestants import Server, generate
from bench.document import write_section
from bench.plots import draw_lines, picture
from bench.processes import CLIENTS

_WORKERS = 4
_LENGTHS = (8, 32)
_TOKEN_TIME = 5.0  # milliseconds
_MOST_TOKENS = 5000  # a second, of all streams
_NAMES = {"gateway": "gateway", "inference": "router", "bench.simulated_cluster": "worker"}


@dataclass(frozen=True)
class Row:
    """What was measured with some number of streams."""

    rate: float
    """Tokens a second."""
    costs: Mapping[str, Cost]
    """By kind of process."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement, at least")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--document", action="store_true", help="renew docs/benchmarks.md")
    arguments = parser.parse_args()
    rows: dict[int, Row] = {}
    for streams in arguments.streams:
        rows[streams] = measure(streams, arguments.seconds, arguments.rounds)
        print(table(rows), flush=True)
    if arguments.document:
        draw(rows)
        picture_link = "![cost of a token and of a request](images/growth-streams.svg)"
        write_section("streams", f"{picture_link}\n\n{table(rows)}")


def measure(streams: int, seconds: float, rounds: int) -> Row:
    """Run so many streams through a fresh cluster."""
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
        return Row(statistics.median(each.rate for each in figures), costs)


def table(rows: Mapping[int, Row]) -> str:
    """Make a table in Markdown, with all services together in the last columns."""
    lines = [
        "| streams | tokens/s | us a token: " + " | ".join((*_NAMES.values(), "all services"))
        + " | us a request: " + " | ".join((*_NAMES.values(), "all services")) + " |",
        "|" + "--:|" * (2 * len(_NAMES) + 4),
    ]  # fmt: skip
    for streams, row in rows.items():
        served = [cost for kind, cost in row.costs.items() if kind != CLIENTS]
        shown = [row.costs[kind] for kind in _NAMES]
        tokens = [*(it.token for it in shown), sum(it.token for it in served)]
        requests = [*(it.request for it in shown), sum(it.request for it in served)]
        cells = [f"{streams:,}", f"{row.rate:,.0f}", *(f"{each * 1e6:,.0f}" for each in tokens)]
        cells += [f"{each * 1e6:,.0f}" for each in requests]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rows: Mapping[int, Row]) -> None:
    """Draw docs/images/growth-streams.svg."""
    x = ("streams at once", list(rows))

    def lines(cost: Callable[[Cost], float]) -> dict[str, list[float]]:
        return {
            name: [cost(row.costs[kind]) for row in rows.values()] for kind, name in _NAMES.items()
        }

    with picture("growth-streams", panels=2) as (token, request):
        tokens, requests = lines(lambda it: it.token * 1e6), lines(lambda it: it.request * 1e3)
        draw_lines(token, "A token", x, "time of a core (µs)", tokens)
        draw_lines(request, "A request, without its tokens", x, "time of a core (ms)", requests)


if __name__ == "__main__":
    main()
