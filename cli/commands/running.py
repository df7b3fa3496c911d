"""`paddock ps`: the models that workers hold."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cli.arguments import AsJson, Prefix
from cli.commands.list_models import ID_DIGITS
from cli.formats import human_bytes, human_time, parse_time
from cli.tables import print_json, print_table

HEADER = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
WORKER = "WORKER"


def list_running(prefix: Prefix = "", as_json: AsJson = False) -> None:
    """List running models.

    A model that several workers hold has a line for each; a column WORKER tells them apart
    then.
    """
    from cli.server import fetch_models

    models = fetch_models("/api/ps")
    chosen = [model for model in models if model["name"].startswith(prefix)]
    if as_json:
        print_json({"models": chosen})
        return
    header, rows = running_table(chosen, datetime.now(UTC))
    print_table(header, rows)


def running_table(
    models: Sequence[dict[str, Any]], now: datetime
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Lay out what `/api/ps` says; workers are named where there are several."""
    rows = [_row(model, now) for model in models]
    workers = [model.get("worker", "") for model in models]
    if len(set(workers)) < 2:
        return HEADER, rows
    named = [(*row, worker) for row, worker in zip(rows, workers, strict=True)]
    return (*HEADER, WORKER), named


def _row(model: dict[str, Any], now: datetime) -> tuple[str, ...]:
    return (
        model["name"],
        model["digest"][:ID_DIGITS],
        human_bytes(model["size"]),
        _processor(model),
        str(model.get("context_length", 0)),
        _until(model, now),
    )


def _processor(model: dict[str, Any]) -> str:
    size, on_gpu = model["size"], model.get("size_vram", 0)
    if model.get("loading") or on_gpu > size or not size:
        return "Unknown"
    if on_gpu in (0, size):
        return "100% GPU" if on_gpu else "100% CPU"
    on_cpu = round(100 * (size - on_gpu) / size)
    return f"{on_cpu}%/{100 - on_cpu}% CPU/GPU"


def _until(model: dict[str, Any], now: datetime) -> str:
    if model.get("loading"):
        status = model.get("status", {})
        completed, total = status.get("completed", 0), status.get("total", 0)
        return f"Loading... {100 * completed // total}%" if total else "Loading..."
    expires = parse_time(model["expires_at"])
    return "Stopping..." if expires < now and expires.year > 1 else human_time(expires, now)
