"""Progress on a terminal: a line for each step, a bar for what has a size."""

import threading
from collections.abc import Iterable
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from cli.formats import human_bytes
from cli.progress import Progress


class _SizeColumn(ProgressColumn):
    """What is done of the whole, in bytes; only the whole in the end."""

    def render(self, task: Task) -> Text:
        total = human_bytes(int(task.total or 0))
        if task.finished:
            return Text(total)
        return Text(f"{human_bytes(int(task.completed))}/{total}")


class _RateColumn(ProgressColumn):
    """Bytes in a second, while there are more to come."""

    def render(self, task: Task) -> Text:
        if task.finished or not task.speed:
            return Text("")
        return Text(f"{human_bytes(int(task.speed))}/s")


class _RemainingColumn(TimeRemainingColumn):
    """The time left, while there is some."""

    def render(self, task: Task) -> Text:
        return Text("") if task.finished else super().render(task)


class _Display(RichProgress):
    """A layout of its own for each line, so that a long step does not squeeze the bars.

    Of more lines than the terminal has, the last ones are shown.
    """

    _step = (TextColumn("{task.description}", markup=False), SpinnerColumn(finished_text=""))
    _bar = (
        TextColumn("{task.description}", markup=False),
        TaskProgressColumn(),
        BarColumn(bar_width=None),
        _SizeColumn(),
        _RateColumn(),
        _RemainingColumn(compact=True),
    )

    def __init__(self, console: Console) -> None:
        self._terminal = console
        super().__init__(console=console)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give the lines that fit."""
        for task in self.tasks[-max(self._terminal.height - 1, 1) :]:
            has_size = task.total is not None and task.total > 1
            self.columns = self._bar if has_size else self._step
            self.expand = has_size
            yield self.make_tasks_table([task])


class Bars(Progress):
    """Lines that are drawn anew while they change, and stay when it is over."""

    def __init__(self) -> None:
        self._display = _Display(Console(stderr=True))
        self._lock = threading.RLock()
        self._bars: dict[str, TaskID] = {}
        self._status = ""
        self._step: TaskID | None = None

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._end_step()
        self._display.stop()

    def status(self, text: str) -> None:
        """Begin a line with a step that is not the one before."""
        with self._lock:
            if text != self._status:
                self._end_step()
                self._status = text
                self._step = self._display.add_task(text, total=None)

    def advance(self, label: str, completed: int, total: int) -> None:
        """Move a bar, or begin one."""
        with self._lock:
            if label not in self._bars:
                self._end_step()
                self._bars[label] = self._display.add_task(label, total=total)
            self._display.update(self._bars[label], completed=completed, total=total)

    def _end_step(self) -> None:
        if self._step is not None:
            self._display.update(self._step, total=1, completed=1)
            self._step = None
