"""The picture of a comparison: `python -m bench.speed_picture RESULTS.json` draws it again."""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.closed_loop import Figures
from bench.comparison import BARE, PADDOCK, VLLM, Results, markdown
from bench.document import write_section
from bench.execution import Execution
from bench.plots import draw_bars, picture

_ORDER = (VLLM, PADDOCK, BARE)


def main() -> None:
    """Renew the section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    write_section("speed", speed_section(*read(parser.parse_args().results)))


def read(file: Path) -> tuple[dict[int, dict[str, list[Figures]]], Execution]:
    """Read what `python -m bench` wrote down."""
    content = json.loads(file.read_text())
    figures = {
        int(streams): {name: [Figures(**each) for each in rounds] for name, rounds in all_.items()}
        for streams, all_ in content["figures"].items()
    }
    return figures, content["execution"]


def speed_section(results: Results, execution: Execution) -> str:
    """Draw the picture; give it with the tables, as Markdown."""
    draw(results, execution)
    image = "![throughput and time to the first token](images/speed.svg)"
    return f"{image}\n\n{markdown(results, execution)}"


def draw(results: Results, execution: Execution) -> None:
    """Draw docs/images/speed.svg."""
    groups = [f"{streams}" for streams in results]

    def bars(value: Callable[[Figures], float]) -> dict[str, list[tuple[float, float, float]]]:
        names = [name for name in _ORDER if name in next(iter(results.values()))]
        return {
            name: [_spread([value(each) for each in all_[name]]) for all_ in results.values()]
            for name in names
        }

    with picture("speed", panels=2) as (rate, first):
        draw_bars(
            rate,
            f"Throughput, {execution}",
            ("streams at once", groups),
            "tokens/s",
            bars(lambda it: it.rate),
        )
        draw_bars(
            first,
            f"Time to the first token, median, {execution}",
            ("streams at once", groups),
            "ms",
            bars(lambda it: it.first_p50 * 1000),
        )


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


if __name__ == "__main__":
    main()
