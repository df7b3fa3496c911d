"""The sections in which `paddock show` tells of a model."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from cli.formats import human_number
from cli.tables import table_lines

_Rows = list[tuple[str, ...]]

_TEXT_WIDTH = 100  # characters
_TEXT_LINES = 2
_LIST_WIDTH = 10  # characters
_MODALITIES = ("vision", "audio")


def show_lines(shown: Mapping[str, Any], *, verbose: bool = False) -> Iterator[str]:
    """Lay out what `/api/show` says, each section under its heading."""
    for heading, rows in _sections(shown, verbose=verbose):
        yield f"  {heading}"
        yield from table_lines([("", *row) for row in rows])
        yield ""


def _sections(shown: Mapping[str, Any], *, verbose: bool) -> Iterator[tuple[str, _Rows]]:
    yield "Model", _model(shown)
    if shown.get("capabilities"):
        yield "Capabilities", [(capability,) for capability in shown["capabilities"]]
    if shown.get("projector_info"):
        yield "Projector", _projector(shown["projector_info"])
    if shown.get("parameters"):
        lines = shown["parameters"].splitlines()
        yield "Parameters", [tuple(line.split(None, 1)) for line in lines if line.strip()]
    if verbose and shown.get("model_info"):
        info = shown["model_info"]
        yield "Metadata", [(key, _value(info[key])) for key in sorted(info)]
    if verbose and shown.get("tensors"):
        yield "Tensors", [_tensor(tensor) for tensor in shown["tensors"]]
    for heading in ("System", "License"):
        if text := shown.get(heading.lower()):
            yield heading, _first_lines(text)


def _model(shown: Mapping[str, Any]) -> _Rows:
    info, details = shown.get("model_info") or {}, shown.get("details") or {}
    architecture = info.get("general.architecture") or details.get("family", "")
    size = details.get("parameter_size") or _count(info.get("general.parameter_count"))
    rows = [
        ("Remote model", shown.get("remote_model")),
        ("Remote URL", shown.get("remote_host")),
        ("architecture", architecture),
        ("parameters", size),
        ("context length", info.get(f"{architecture}.context_length")),
        ("embedding length", info.get(f"{architecture}.embedding_length")),
        ("quantization", details.get("quantization_level")),
        ("requires", shown.get("requires")),
    ]
    return _given(rows)


def _projector(info: Mapping[str, Any]) -> _Rows:
    architecture = info.get("general.architecture", "")

    def value(name: str) -> Any:
        keys = (f"{architecture}.{modality}.{name}" for modality in _MODALITIES)
        return next((info[key] for key in keys if key in info), None)

    return _given(
        [
            ("architecture", architecture),
            ("parameters", _count(info.get("general.parameter_count"))),
            ("embedding length", value("embedding_length")),
            ("dimensions", value("projection_dim")),
        ]
    )


def _tensor(tensor: Mapping[str, Any]) -> tuple[str, ...]:
    shape = " ".join(map(str, tensor["shape"]))
    return tensor["name"], tensor["type"], f"[{shape}]"


def _given(rows: list[tuple[str, Any]]) -> _Rows:
    return [(name, str(value)) for name, value in rows if value]


def _count(number: Any) -> str:
    return human_number(int(number)) if isinstance(number, int | float) else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, float):
        return f"{value:g}"
    return textwrap.shorten(str(value), _TEXT_WIDTH, placeholder="...")


def _list(values: list[Any]) -> str:
    """Write as many values as fit, at least one, and how many more there are."""
    texts = [_value(value) for value in values]
    shown, width = 0, 1
    for text in texts:
        width += len(text) + (2 if shown else 0)
        if width > _LIST_WIDTH and shown:
            break
        shown += 1
    more = f" ...+{len(texts) - shown} more" if shown < len(texts) else ""
    return f"[{' '.join(texts[:shown])}{more}]"


def _first_lines(text: str) -> _Rows:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = [part for line in lines[:_TEXT_LINES] for part in textwrap.wrap(line, _TEXT_WIDTH)]
    return [(line,) for line in [*shown, *(["..."] if len(lines) > _TEXT_LINES else [])]]
