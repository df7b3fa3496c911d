"""What the processes of a server take: time of the cores, and memory."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CLIENTS = "clients"
"""The kind of a process that does nothing but to ask."""


@dataclass(frozen=True)
class Usage:
    """Seconds of a core by kind of process."""

    seconds: dict[str, float]

    def __sub__(self, earlier: "Usage") -> "Usage":
        return Usage({kind: at - earlier.seconds[kind] for kind, at in self.seconds.items()})


@dataclass(frozen=True)
class Memory:
    """Bytes of a process' memory."""

    resident: int
    proportional: int
    """What is shared counts with its share."""
    own: int
    """What is not shared."""


class Tree:
    """A process and all below it, as they are now, by kind; and this one.

    `own` is the kind of this one: where nothing else is said, it is the clients alone.
    """

    def __init__(self, root: psutil.Process, own: str = CLIENTS) -> None:
        self._kinds = {own: [psutil.Process()]}
        for process in (root, *root.children(recursive=True)):
            if process.pid != os.getpid():
                with suppress(psutil.NoSuchProcess):
                    self._kinds.setdefault(_kind(process.cmdline()), []).append(process)

    def usage(self) -> Usage:
        """Read what they have taken so far; one that has ended counts nothing."""
        return Usage({kind: sum(map(_busy, group)) for kind, group in self._kinds.items()})

    def memory(self) -> dict[str, Memory]:
        """Read what they hold."""
        return {
            kind: _total([_memory(process) for process in group])
            for kind, group in self._kinds.items()
            if kind != CLIENTS
        }

    def pids(self) -> dict[str, list[int]]:
        """Give their numbers by kind."""
        return {kind: [each.pid for each in group] for kind, group in self._kinds.items()}


def _kind(command: Sequence[str]) -> str:
    """Name a process as its module, or by the title that vLLM gives it."""
    text = " ".join(command)
    if "VLLM::" in text:
        title = text.partition("VLLM::")[2].split("_")[0].split(" ")[0]
        return {"EngineCore": "engine core", "Worker": "engine worker"}.get(title, title)
    if "-m" in command:
        return command[command.index("-m") + 1].removeprefix("services.")
    for mark in ("forkserver", "resource_tracker"):
        if mark in text:
            return mark
    return Path(command[0]).name if command else "?"


def _busy(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _memory(process: psutil.Process) -> Memory:
    with suppress(psutil.NoSuchProcess):
        full = process.memory_full_info()
        return Memory(full.rss, full.pss, full.uss)
    return Memory(0, 0, 0)


def _total(parts: Sequence[Memory]) -> Memory:
    return Memory(
        sum(part.resident for part in parts),
        sum(part.proportional for part in parts),
        sum(part.own for part in parts),
    )
