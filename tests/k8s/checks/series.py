"""Alerts and autoscalers read series that somebody exports."""

from collections.abc import Iterator

from tests.k8s.checks.scaling import adapter_rules
from tests.k8s.manifests import Manifests, name_of
from tests.k8s.metric_names import OF_OTHERS, exported_metrics, series_in


def problems(manifests: Manifests) -> Iterator[str]:
    """Give names that no process exports."""
    known = {series for found in exported_metrics().values() for series in found} | OF_OTHERS
    for where, expression in _expressions(manifests):
        read = series_in(expression)
        if not read:
            yield f"{where}: reads nothing"
        for name in sorted(read - known):
            yield f"{where}: {name} is not exported"


def _expressions(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for rules in manifests.of_kind("PrometheusRule"):
        for group in rules["spec"]["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], rule["expr"]
    for scaled in manifests.of_kind("ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            yield name_of(scaled), trigger["metadata"]["query"]
    for rule in adapter_rules():
        query = rule["metricsQuery"].replace("<<.LabelMatchers>>", "")
        yield rule["name"]["as"], f"{query} + {rule['seriesQuery']}"
