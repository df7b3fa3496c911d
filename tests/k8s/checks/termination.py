"""Whoever is told to leave has the time to."""

from collections.abc import Iterator
from typing import Any

from common.settings import seconds
from tests.k8s.manifests import Container, Manifests, in_seconds, selects
from tests.k8s.processes import SETTINGS, variables_of

_RESERVE = 5  # seconds to end in after the last drain
_ENDPOINTS = 5  # seconds in which a cluster's proxies and name servers learn who has left
_CACHED = 30  # seconds for which name servers repeat what they have said before


def problems(manifests: Manifests) -> Iterator[str]:
    """Give pods that would be killed at work, and those that leave before callers know."""
    for container in manifests.containers:
        grace = container.workload.pod.get("terminationGracePeriodSeconds", 30)
        needed = _pause(container) + _time_to_drain(container)
        if grace < needed + _RESERVE:
            yield f"{container.name}: leaving takes {needed:g} s, and it is killed after {grace} s"
        if container.module is not None:
            yield from _notice(container, manifests)
    for leader in (found for found in manifests.workloads if found.name.endswith("-leader")):
        follower = next(
            found
            for found in manifests.workloads
            if found.object is leader.object and found is not leader
        )
        drain = max(_time_to_drain(container) for container in leader.containers)
        if min(_pause(container) for container in follower.containers) < drain:
            yield f"{follower.name} leaves before its leader has drained"


def _notice(container: Container, manifests: Manifests) -> Iterator[str]:
    if container.module == "workers":
        return  # it tells the routers itself
    delay = _duration(container, "drain_delay")
    noticed = _ENDPOINTS + (_CACHED if _is_found_by_name(container, manifests) else 0)
    if _pause(container) + delay < noticed:
        yield f"{container.name} leaves before its callers can know"
    probe = container.spec["readinessProbe"]
    unready = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    if delay and delay < unready:
        yield f"{container.name}: that it drains is noticed after {unready} s, when it has gone"


def _is_found_by_name(container: Container, manifests: Manifests) -> bool:
    """Tell whether callers get its pod's own address from a name server."""
    return any(
        selects({"matchLabels": service["spec"]["selector"]}, container.workload.labels)
        for service in manifests.of_kind("Service")
        if service["spec"].get("clusterIP") == "None"
    )


def _time_to_drain(container: Container) -> float:
    return _duration(container, "drain_delay") + _duration(container, "drain_timeout")


def _pause(container: Container) -> float:
    stop: dict[str, Any] = container.spec.get("lifecycle", {}).get("preStop", {})
    return float(stop.get("sleep", {}).get("seconds", 0))


def _duration(container: Container, field: str) -> float:
    """Give a setting of a process, by the manifest or by default; 0 where it has none."""
    if container.module is None or field not in variables_of(container.module).values():
        return 0.0
    value = container.values.get(f"PADDOCK_{field.upper()}")
    default: str = SETTINGS[container.module].model_fields[field].default
    return in_seconds(value) if value else seconds(default)
