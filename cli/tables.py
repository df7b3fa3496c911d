"""Tables as scripts cut them: columns of text, four blanks between them, no lines."""

import json
from collections.abc import Sequence
from typing import Any

import typer

_GAP = "    "


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows of cells; a row may have fewer cells than others."""
    from rich.cells import cell_len

    count = max((len(row) for row in rows), default=0)
    widths = [
        max(cell_len(row[column]) for row in rows if column < len(row)) for column in range(count)
    ]

    def pad(cell: str, width: int) -> str:
        return cell + " " * (width - cell_len(cell))

    return [
        _GAP.join(pad(cell, width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table under its header, which stands there even when nothing else does."""
    for line in table_lines([header, *rows]):
        typer.echo(line)


def print_json(value: Any) -> None:
    """Print what the API said, for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
