"""Where the time of the cores goes in Paddock, by process: `python -m bench.budget`.

The same load once with answers of one token and once with long ones: what a token costs and
what a request costs follow from both. With `--profile` it also lists the functions of each
process that took the most time, as py-spy saw them.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.closed_loop import Figures, Load, summarize
from bench.contestants import Paddock, Server
from bench.document import write_section
from bench.endless_model import write_endless_model
from bench.execution import add_execution
from bench.measure import MEGABYTE
from bench.processes import CLIENTS, Memory, Tree
from bench.profiling import profile

_LEAST = 1e-6  # seconds a request, of a process that is listed
_EXECUTIONS = {
    "compiled": "The model is compiled.\n",
    "eager": "The model is not compiled.\n",
}


@dataclass(frozen=True)
class Cost:
    """Seconds of a core."""

    token: float
    request: float
    """Without its tokens."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument("--tokens", type=int, default=64, help="of the long answers")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement, at least")
    parser.add_argument("--rounds", type=int, default=3)
    add_execution(parser)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--document", action="store_true", help="renew docs/benchmarks.md")
    arguments = parser.parse_args()
    tables = [_EXECUTIONS[arguments.execution]]
    print(tables[0])
    with TemporaryDirectory() as name:
        root = Path(name)
        write_endless_model(root / "model")
        with Paddock.running(root / "model", root, arguments.execution) as paddock:
            idle = Tree(paddock.process).memory()
            for streams in arguments.streams:
                costs, rounds = measure_costs(
                    paddock, streams, (1, arguments.tokens), arguments.seconds, arguments.rounds
                )
                tables.append(cost_table(streams, costs, rounds))
                print(tables[-1], flush=True)
            load = Load(max(arguments.streams), arguments.tokens, arguments.seconds)
            with ThreadPoolExecutor(1) as clients:
                running = clients.submit(paddock.run, load)
                tree = Tree(paddock.process)
                top = profile(tree, arguments.seconds) if arguments.profile else {}
                tables.append(memory_table(idle, tree.memory(), load.streams))
                print(tables[-1], flush=True)
                running.result()
            for kind, lines in top.items():
                print(f"\n{kind}, {load.streams} streams\n" + "\n".join(lines))
    if arguments.document:
        write_section("budget", "\n".join(tables).strip())


def measure_costs(
    server: Server, streams: int, lengths: tuple[int, int], seconds: float, rounds: int
) -> tuple[dict[str, Cost], list[Figures]]:
    """Tell what each kind of process takes for a token and for a request, and the long runs.

    Both follow from answers of few and of many tokens, which are `lengths`.
    """
    short: list[Figures] = []
    long: list[Figures] = []
    for _ in range(rounds):
        for length, figures in zip(lengths, (short, long), strict=True):
            figures.append(summarize(*server.run(Load(streams, length, seconds))))
    return solve(_answer_costs(short, lengths[0]), _answer_costs(long, lengths[1]), lengths), long


def _answer_costs(rounds: Sequence[Figures], tokens: int) -> dict[str, float]:
    return {
        kind: tokens * statistics.median(each.costs[kind] for each in rounds)
        for kind in rounds[0].costs
    }


def solve(
    short: Mapping[str, float], long: Mapping[str, float], lengths: tuple[int, int]
) -> dict[str, Cost]:
    """Tell a token's cost and a request's from those of answers of few and of many tokens."""
    costs = {}
    for kind, whole in long.items():
        token = (whole - short[kind]) / (lengths[1] - lengths[0])
        costs[kind] = Cost(token, short[kind] - lengths[0] * token)
    return costs


def cost_table(streams: int, costs: Mapping[str, Cost], rounds: Sequence[Figures]) -> str:
    """Make a table, the dearest first."""
    rate = statistics.median(each.rate for each in rounds)
    count = "One stream" if streams == 1 else f"{streams:,} streams"
    lines = [
        f"{count}, {rate:,.0f} tokens/s:",
        "",
        "| process | us a token | us a request |",
        "|---|--:|--:|",
    ]
    for kind, cost in sorted(costs.items(), key=lambda item: -item[1].token):
        if cost.request >= _LEAST:
            lines.append(f"| {kind} | {cost.token * 1e6:.1f} | {cost.request * 1e6:,.0f} |")
    served = [cost for kind, cost in costs.items() if kind != CLIENTS]
    token, request = sum(it.token for it in served), sum(it.request for it in served)
    lines.append(f"| all but the clients | {token * 1e6:.1f} | {request * 1e6:,.0f} |")
    return "\n".join(lines) + "\n"


def memory_table(idle: Mapping[str, Memory], loaded: Mapping[str, Memory], streams: int) -> str:
    """Make a table of what each kind holds before the load and under it."""
    lines = [
        f"Memory in MB with the model loaded, idle and under {streams} streams:",
        "",
        "| process | resident | proportional | own | loaded: resident | own |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind, at in idle.items():
        under = loaded.get(kind, at)
        cells = (at.resident, at.proportional, at.own, under.resident, under.own)
        lines.append(f"| {kind} | " + " | ".join(f"{it / MEGABYTE:.0f}" for it in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
