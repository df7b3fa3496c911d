"""`paddock list`: the models in the store."""

from datetime import UTC, datetime
from typing import Any

from cli.arguments import AsJson, Prefix
from cli.formats import human_bytes, human_time, parse_time
from cli.tables import print_json, print_table

HEADER = ("NAME", "ID", "SIZE", "MODIFIED")
ID_DIGITS = 12


def list_models(prefix: Prefix = "", as_json: AsJson = False) -> None:
    """List models."""
    from cli.server import fetch_models

    models = fetch_models("/api/tags")
    chosen = [model for model in models if model["name"].lower().startswith(prefix.lower())]
    if as_json:
        print_json({"models": chosen})
    else:
        now = datetime.now(UTC)
        print_table(HEADER, [_row(model, now) for model in chosen])


def _row(model: dict[str, Any], now: datetime) -> tuple[str, ...]:
    return (
        model["name"],
        model["digest"][:ID_DIGITS],
        "-" if model.get("remote_model") else human_bytes(model["size"]),
        human_time(parse_time(model["modified_at"]), now),
    )
