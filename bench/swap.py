"""Two small models that take turns in memory for one: `python -m bench.swap`.

Each request is for the model that is not loaded, so that the other one has to go first. The
seconds are those to the first token. Beside that: the same where nothing is loaded, and where
the model is there already.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from bench.cold_start import first_token, make_model
from bench.measure import MEGABYTE
from tests.integration.safetensors_folder import upload
from tests.integration.suite import Suite, eventually, running_suite

MODELS = ("demo:latest", "other:latest")
_SIZE = 30 * MEGABYTE
_GOAL = 4.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        model = make_model(root / "model", _SIZE)
        with running_suite(root / "home", OLLAMA_MAX_LOADED_MODELS="1") as suite:
            suite.client.create(MODELS[1], files=upload(suite.client, model))
            for model_name in MODELS:
                first_token(suite, model_name)  # brings its files
            turns = list(islice(cycle(MODELS), arguments.swaps))
            swapped = [first_token(suite, turn) for turn in turns]
            alone = [after_unload(suite, turn) for turn in turns]
            loaded = [first_token(suite, turns[-1]) for _ in turns]
    print(f"Seconds to the first token, two models in turn, {arguments.swaps} times\n")
    print("| | median | spread | goal | met |")
    print("|---|---|---|---|---|")
    print_row("the other model has to go", swapped, _GOAL)
    print_row("no model is loaded", alone)
    print_row("it is loaded", loaded)


def after_unload(suite: Suite, model: str) -> float:
    """Give the seconds to a model's first token when no model is loaded."""
    for loaded in suite.running():
        suite.client.generate(loaded, keep_alive=0)
    eventually(lambda: not suite.running())
    return first_token(suite, model)


def print_row(what: str, seconds: Sequence[float], goal: float | None = None) -> None:
    """Print a row of the table; the goal is for the slowest."""
    met = "" if goal is None else "yes" if max(seconds) <= goal else "no"
    print(
        f"| {what} | {statistics.median(seconds):.2f} s "
        f"| {min(seconds):.2f} to {max(seconds):.2f} s "
        f"| {'' if goal is None else f'<= {goal:g} s'} | {met} |"
    )


if __name__ == "__main__":
    main()
