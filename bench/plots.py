"""How the pictures of measurements look, and where they are kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

IMAGES = Path(__file__).parent.parent / "docs" / "images"
COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#64748b")
"""Told apart also by those who see red and green alike, in the order in which to use them."""

_STYLE: dict[Any, Any] = {
    "figure.facecolor": "#ffffff",  # readable on a dark page, too
    "axes.facecolor": "#ffffff",
    "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": "#334155",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "grid.color": "#e2e8f0",
    "xtick.color": "#475569",
    "ytick.color": "#475569",
    "text.color": "#1e293b",
    "font.size": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "paddock",  # the same figures give the same file
}


@contextmanager
def picture(
    name: str, *, panels: int = 1, folder: Path = IMAGES, height: float = 3.2
) -> Iterator[Sequence[Axes]]:
    """Draw into panels side by side; at the end they become `name`.svg in the folder."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.4 * panels, height), layout="constrained")
        axes = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
        yield axes
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def draw_lines(
    axes: Axes,
    title: str,
    x: tuple[str, Sequence[float]],
    y: str,
    lines: Mapping[str, Sequence[float]],
    *,
    log_y: bool = False,
) -> None:
    """Draw lines over a logarithmic x axis whose ticks are the values that were measured.

    Args:
        axes: the panel.
        title: what it shows.
        x: the axis' label, with its unit, and the values.
        y: the axis' label, with its unit.
        lines: the values of each line by its name.
        log_y: whether the y axis is logarithmic, too; else it begins at zero.
    """
    label, values = x
    for name, heights in lines.items():
        axes.plot(values, heights, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:,.0f}" for value in values])
    axes.minorticks_off()
    if log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel(y)
    if len(lines) > 1:
        axes.legend()


def draw_bars(
    axes: Axes,
    title: str,
    x: tuple[str, Sequence[str]],
    y: str,
    bars: Mapping[str, Sequence[tuple[float, float, float]]],
) -> None:
    """Draw groups of bars, each with its spread: the least, the median and the greatest value."""
    label, groups = x
    width = 0.8 / len(bars)
    for number, (name, values) in enumerate(bars.items()):
        at = [group + (number - (len(bars) - 1) / 2) * width for group in range(len(groups))]
        medians = [median for _, median, _ in values]
        spread = (
            [median - least for least, median, _ in values],
            [greatest - median for _, median, greatest in values],
        )
        axes.bar(at, medians, width * 0.92, label=name)
        axes.errorbar(at, medians, yerr=spread, fmt="none", ecolor="#1e293b", elinewidth=1)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel(y)
    axes.legend()
