"""The same load on vLLM's own server, on its engine alone and on Paddock: `python -m bench`.

All are started once and take turns, because what else the machine does then hits all of them.
The tables go to standard output, the figures to build/bench/ as JSON, and with `--document`
tables and picture to docs/.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.closed_loop import Figures, Load, summarize
from bench.comparison import BARE, PADDOCK, VLLM, markdown
from bench.contestants import BareEngine, Contestant, Paddock, VllmServer
from bench.document import write_section
from bench.endless_model import write_endless_model
from bench.execution import Execution, add_execution
from bench.speed_picture import speed_section

RESULTS = Path("build/bench")
_Running = Callable[[Path, Path, Execution], AbstractContextManager[Contestant]]
_KINDS: dict[str, tuple[str, _Running]] = {
    "vllm": (VLLM, VllmServer.running),
    "bare": (BARE, BareEngine.running),
    "paddock": (PADDOCK, Paddock.running),
}

_Results = dict[int, dict[str, list[Figures]]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench")
    parser.add_argument("--only", nargs="+", choices=_KINDS, default=list(_KINDS))
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement, at least")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", action="store_true", help="all streams ask at once")
    add_execution(parser)
    parser.add_argument("--document", action="store_true", help="renew docs/benchmarks.md")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name, ExitStack() as stack:
        root = Path(name)
        write_endless_model(root / "model")
        contestants = {}
        for key in arguments.only:
            title, running = _KINDS[key]
            contestants[title] = stack.enter_context(
                running(root / "model", root, arguments.execution)
            )
        results = measure(contestants, arguments)
    print(f"\n{markdown(results, arguments.execution)}")
    save(results, arguments.execution)
    if arguments.document:
        write_section("speed", speed_section(results, arguments.execution))


def measure(contestants: dict[str, Contestant], arguments: argparse.Namespace) -> _Results:
    """Let them take turns, each round beginning with another one."""
    results: _Results = {
        streams: {name: [] for name in contestants} for streams in arguments.streams
    }
    names = list(contestants)
    gc.freeze()
    for number in range(arguments.rounds):
        turns = names[number % len(names) :] + names[: number % len(names)]
        for streams in arguments.streams:
            for name in turns:
                load = Load(streams, arguments.tokens, arguments.seconds, arguments.together)
                figures = summarize(*contestants[name].run(load))
                results[streams][name].append(figures)
                print(
                    f"round {number + 1}: {streams:4} streams, {name:13}"
                    f" {figures.rate:7,.0f} tokens/s,"
                    f" first token p50 {figures.first_p50 * 1000:6.1f} ms,"
                    f" p99 {figures.first_p99 * 1000:6.1f} ms;"
                    f" us a token: {_costs(figures)}",
                    flush=True,
                )
    return results


def _costs(figures: Figures) -> str:
    costs = sorted(figures.costs.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {cost * 1e6:.0f}" for kind, cost in costs if cost * 1e6 >= 0.5)


def save(results: _Results, execution: Execution) -> None:
    """Write the figures of all rounds down."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figures = {
        str(streams): {name: [asdict(each) for each in rounds] for name, rounds in all_.items()}
        for streams, all_ in results.items()
    }
    path = RESULTS / f"speed-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    path.write_text(json.dumps({"execution": execution, "figures": figures}, indent=1))
    print(f"\nfigures of all rounds: {path}")


if __name__ == "__main__":
    main()
