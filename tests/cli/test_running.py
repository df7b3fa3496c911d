"""The table of `paddock ps`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.commands.running import HEADER, WORKER, running_table

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "name": "demo:latest",
        "digest": "0123456789abcdef",
        "size": 1000,
        "size_vram": 0,
        "context_length": 2048,
        "expires_at": (NOW + timedelta(seconds=290)).isoformat(),
        "worker": "one",
        "loading": False,
    } | changes


def row(**changes: Any) -> tuple[str, ...]:
    return running_table([entry(**changes)], NOW)[1][0]


def test_a_row() -> None:
    assert running_table([entry()], NOW) == (
        HEADER,
        [("demo:latest", "0123456789ab", "1 KB", "100% CPU", "2048", "4 minutes from now")],
    )


@pytest.mark.parametrize(
    ("size", "on_gpu", "text"),
    [
        (1000, 0, "100% CPU"),
        (1000, 1000, "100% GPU"),
        (1000, 520, "48%/52% CPU/GPU"),
        (1000, 1001, "Unknown"),
        (0, 0, "Unknown"),
    ],
)
def test_processors(size: int, on_gpu: int, text: str) -> None:
    assert row(size=size, size_vram=on_gpu)[3] == text


def test_when_it_ends() -> None:
    assert row(expires_at="2318-01-01T00:00:00Z")[5] == "Forever"
    assert row(expires_at=(NOW - timedelta(seconds=1)).isoformat())[5] == "Stopping..."


def test_a_model_on_its_way() -> None:
    status = {"phase": "fetching", "completed": 430, "total": 1000}
    shown = row(loading=True, status=status)
    assert (shown[3], shown[5]) == ("Unknown", "Loading... 43%")
    assert row(loading=True)[5] == "Loading..."


def test_several_workers_are_named() -> None:
    header, rows = running_table([entry(), entry(worker="two")], NOW)
    assert header == (*HEADER, WORKER)
    assert [row[-1] for row in rows] == ["one", "two"]


def test_an_ollama_server_names_no_workers() -> None:
    theirs = entry()
    del theirs["worker"], theirs["loading"]
    assert running_table([theirs, theirs], NOW)[0] == HEADER
