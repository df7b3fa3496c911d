"""The names of the metrics that the code exports, and those that a PromQL expression reads."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SERIES = {
    "Counter": ("_total",),
    "Gauge": ("",),
    "Histogram": ("_bucket", "_count", "_sum"),
    "Summary": ("_count", "_sum"),
}
_KINDS = _SERIES | {
    f"{kind}MetricFamily": suffixes for kind, suffixes in _SERIES.items() if kind != "Summary"
}

OF_OTHERS = {
    "up",
    "kube_pod_status_ready",
    "certmanager_certificate_expiration_timestamp_seconds",
}
"""Series that Prometheus itself, kube-state-metrics and cert-manager have."""

_WORDS = {"and", "or", "unless", "bool", "by", "without", "on", "ignoring", "offset", "inf", "nan"}
_LABELS = re.compile(r"""\{[^}]*\}|\[[^]]*\]|"[^"]*"|\b(?:by|without|on|ignoring)\s*\([^)]*\)""")
_FUNCTIONS = re.compile(r"\b\w+\s*(?=\()")


@cache
def exported_metrics() -> dict[str, tuple[str, ...]]:
    """Give each metric of the code with the series that Prometheus makes of it."""
    files = (path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return {name: series for path in files for name, series in _in_module(path)}


_FOLDERS = ("gateway", "services", "workers", "common")


def _in_module(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    tree = ast.parse(path.read_text())
    makers = {kind: (kind, "") for kind in _KINDS} | dict(_makers(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=maker), args=[ast.Constant(value=str(rest)), *_]) if (
                maker in makers and (makers[maker][1] + rest).startswith("paddock_")
            ):
                kind, prefix = makers[maker]
                base = (prefix + rest).removesuffix("_total" if kind.startswith("Counter") else "")
                yield prefix + rest, tuple(base + suffix for suffix in _KINDS[kind])


def _makers(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Find functions that make a metric of the name that they are given after a prefix."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(
                name=maker,
                body=[
                    ast.Return(
                        value=ast.Call(
                            func=ast.Name(id=kind),
                            args=[
                                ast.JoinedStr(
                                    values=[ast.Constant(value=str(prefix)), ast.FormattedValue()]
                                ),
                                *_,
                            ],
                        )
                    )
                ],
            ) if kind in _KINDS:
                yield maker, (kind, prefix)


def series_in(expression: str) -> set[str]:
    """Give the names of the series that a PromQL expression reads."""
    rest = _FUNCTIONS.sub(" ", _LABELS.sub("", expression))
    words = re.findall(r"[A-Za-z_:][\w:]*", rest)
    return set(words) - _WORDS
