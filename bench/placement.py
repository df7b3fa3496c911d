"""Where clients compute: beside the engines, as clients on other machines would."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_CPUS = os.sched_getaffinity(0)

ENGINE_CPU = min(_CPUS)
"""The one that an engine of one thread has: vLLM chooses it on a machine of two, and so do we."""


@contextmanager
def beside_the_engine() -> Iterator[None]:
    """Let this thread run on the other CPUs, where there are any, until the block is left."""
    os.sched_setaffinity(0, _CPUS - {ENGINE_CPU} or _CPUS)
    try:
        yield
    finally:
        os.sched_setaffinity(0, _CPUS)
