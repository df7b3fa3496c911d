"""How the model is computed by those who are measured: compiled or eagerly."""

import argparse
from typing import Literal

Execution = Literal["compiled", "eager"]


def add_execution(parser: argparse.ArgumentParser) -> None:
    """Let the command line say it, as `execution`: compiled, unless it says otherwise."""
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--compile",
        dest="execution",
        action="store_const",
        const="compiled",
        help="compile the model, as vLLM does by default; the default here, too",
    )
    ways.add_argument(
        "--eager",
        dest="execution",
        action="store_const",
        const="eager",
        help="compute without compiling, as Paddock does on a CPU by default",
    )
    parser.set_defaults(execution="compiled")
