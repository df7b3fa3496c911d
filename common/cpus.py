"""The CPUs that a process answers on, where engines compute on others of the same machine.

An engine's step on a CPU takes as long as it is left alone. What passes tokens on wakes up for
each of them; wherever the kernel then lets it run, it displaces the engine now and then, and its
caches with it.
"""

import logging
import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from common.errors import InvalidRequest

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
# What this process could run on before, for those that it starts.
_ALL_VARIABLE = "PADDOCK_ALL_CPUS"


def parse_cpus(listed: str) -> set[int]:
    """Read a list such as `0-2,5`, the kernel's form: cpuset(7), "List format".

    Raises:
        InvalidRequest: it is no such list.
    """
    cpus: set[int] = set()
    for part in filter(None, listed.split(",")):
        match = _RANGE.fullmatch(part)
        found = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not found:
            raise InvalidRequest(f"not a list of CPUs such as 0-2,5: {listed!r}")
        cpus.update(found)
    return cpus


def format_cpus(cpus: Iterable[int]) -> str:
    """Write what `parse_cpus` reads."""
    return ",".join(map(str, sorted(cpus)))


def _check(listed: str) -> str:
    try:
        parse_cpus(listed)
    except InvalidRequest as error:
        raise ValueError(error.message) from None
    return listed


CpuList = Annotated[str, AfterValidator(_check)]
"""A setting that lists CPUs."""


def answer_on(listed: str) -> None:
    """Keep all threads of this process to some CPUs, where they wait for each other's turns.

    As batch work a thread that wakes up does not displace another. Where nothing is listed, or
    the kernel refuses, all stays as it is. Processes that this one starts can leave with
    `run_on_all`.
    """
    cpus = parse_cpus(listed)
    if not cpus:
        return
    before = os.sched_getaffinity(0)
    try:
        _place(cpus, os.SCHED_BATCH)
    except OSError as error:
        logger.warning("cannot keep to the CPUs %s: %s", listed, error.strerror)
        with suppress(OSError):  # a sandbox may allow one half of it
            _place(before, os.SCHED_OTHER)
        return
    os.environ[_ALL_VARIABLE] = format_cpus(before)


def run_on_all() -> None:
    """Run on every CPU that the process which started this one could run on at first."""
    if listed := os.environ.pop(_ALL_VARIABLE, ""):
        with suppress(OSError):
            _place(parse_cpus(listed), os.SCHED_OTHER)


def _place(cpus: Collection[int], policy: int) -> None:
    for folder in Path("/proc/self/task").iterdir():
        thread = int(folder.name)
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cpus)
            os.sched_setscheduler(thread, policy, os.sched_param(0))
