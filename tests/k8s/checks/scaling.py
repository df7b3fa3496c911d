"""Autoscalers have targets that they alone scale, by numbers that somebody gives them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.manifests import Manifests, Object, name_of
from workers.settings import WorkerSettings

ADAPTER = (
    Path(__file__).parents[3] / "k8s" / "components" / "autoscaling" / "prometheus-adapter.yaml"
)


def problems(manifests: Manifests) -> Iterator[str]:
    """Give autoscalers that scale nothing, or by nothing, and numbers that are fought over."""
    targets = []
    for scaler in manifests.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        spec, name = scaler["spec"], f"{scaler['kind']} {name_of(scaler)}"
        wanted = spec["scaleTargetRef"]
        target = manifests.named(wanted["kind"], wanted["name"])
        targets.append(wanted["name"])
        if target is None or target["apiVersion"] != wanted["apiVersion"]:
            yield f"{name} scales nothing"
        elif "replicas" in target["spec"]:
            yield f"{name}: each apply would set the number of {wanted['name']} again"
        least = spec.get("minReplicas", spec.get("minReplicaCount", 0))
        if least > spec.get("maxReplicas", spec.get("maxReplicaCount", 0)):
            yield f"{name}: at least {least} are more than there may be"
        yield from _numbers(name, spec)
    if len(targets) != len(set(targets)):
        yield f"several autoscalers have one target: {targets}"
    for workload in manifests.workloads:
        if workload.name not in targets and "replicas" not in workload.object["spec"]:
            yield f"{workload.name}: how many?"
    for budget in manifests.of_kind("PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") != 1:
            yield f"{name_of(budget)}: a node with the only pod could never be drained"


def _numbers(name: str, spec: Object) -> Iterator[str]:
    given = {rule["name"]["as"] for rule in adapter_rules()}
    for metric in spec.get("metrics", []):
        external = metric.get("external")
        if external and external["metric"]["name"] not in given:
            yield f"{name}: no adapter gives {external['metric']['name']}"
    most = WorkerSettings.model_fields["max_sequences"].default
    for share in _averages(spec):
        if share > most:
            yield f"{name}: {share:g} requests a worker are more than it runs at once"


def _averages(spec: Object) -> Iterator[float]:
    for metric in spec.get("metrics", []):
        target = metric.get("external", {}).get("target", {})
        if target.get("type") == "AverageValue":
            yield float(target["averageValue"])
    for trigger in spec.get("triggers", []):
        if trigger.get("metricType", "AverageValue") == "AverageValue":
            yield float(trigger["metadata"]["threshold"])


def adapter_rules() -> list[dict[str, Any]]:
    """Give the rules by which Kubernetes learns what Prometheus knows."""
    rules: list[dict[str, Any]] = yaml.safe_load(ADAPTER.read_text())["rules"]["external"]
    return rules
