"""What selects pods selects those that it is for, and names that stand for objects exist."""

from collections.abc import Iterator

from tests.k8s.manifests import Manifests, Object, Workload, name_of, selects


def problems(manifests: Manifests) -> Iterator[str]:
    """Give selectors that select nothing or too much."""
    for workload in manifests.workloads:
        yield from _of_workload(manifests, workload)
    for service in manifests.of_kind("Service"):
        chosen = manifests.selected({"matchLabels": service["spec"]["selector"]})
        if len({_component(workload) for workload in chosen}) != 1:
            yield f"Service {name_of(service)} selects {[found.name for found in chosen]}"
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        for found in manifests.of_kind(kind):
            if not manifests.selected(found["spec"]["selector"]):
                yield f"{kind} {name_of(found)} selects nothing"
    for policy in manifests.of_kind("NetworkPolicy"):
        if not manifests.selected(policy["spec"]["podSelector"]):
            yield f"NetworkPolicy {name_of(policy)} selects nothing"


def _of_workload(manifests: Manifests, workload: Workload) -> Iterator[str]:
    chosen = workload.object["spec"].get("selector")
    if chosen is not None and manifests.selected(chosen) != [workload]:
        names = [found.name for found in manifests.selected(chosen)]
        yield f"{workload.name} owns the pods of {names}"
    covering = [
        name_of(budget)
        for budget in manifests.of_kind("PodDisruptionBudget")
        if selects(budget["spec"]["selector"], workload.labels)
    ]
    if len(covering) != 1:
        yield f"{workload.name} has the disruption budgets {covering}"
    for spread in workload.pod.get("topologySpreadConstraints", []):
        if not selects(spread["labelSelector"], workload.labels):
            yield f"{workload.name} does not spread its own pods"
    for term in _affinities(workload):
        if not manifests.selected(term["labelSelector"]):
            yield f"{workload.name} wants to be near what is not there"
    service = workload.object["spec"].get("serviceName")
    if service is not None:
        found = manifests.named("Service", service)
        if found is None or not selects(
            {"matchLabels": found["spec"]["selector"]}, workload.labels
        ):
            yield f"{workload.name} is not behind its Service {service}"


def _affinities(workload: Workload) -> list[Object]:
    near = workload.pod.get("affinity", {}).get("podAffinity", {})
    terms: list[Object] = near.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    return terms


def _component(workload: Workload) -> str | None:
    return workload.labels.get("app.kubernetes.io/component")
