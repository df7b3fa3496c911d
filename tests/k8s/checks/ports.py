"""Ports and probes are where the process listens, and probes ask what it answers."""

from collections.abc import Iterator

from common.server import LIVE
from gateway import health, metrics
from tests.k8s.manifests import Container, Manifests, name_of

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_ROUTES = {route.path for route in (*health.ROUTES, *metrics.ROUTES)}
_LISTENING = {
    "PADDOCK_HOST": "http",
    "PADDOCK_LISTEN": "grpc",
    "PADDOCK_PROBES": "probes",
    "PADDOCK_METRICS": "metrics",
}
_RAY = "ray"


def problems(manifests: Manifests) -> Iterator[str]:
    """Give ports at which nobody listens, and probes that cannot be answered."""
    for container in manifests.containers:
        if container.module is not None:
            yield from _listening(container)
            yield from _probes(container)
    for service in manifests.of_kind("Service"):
        chosen = manifests.selected({"matchLabels": service["spec"]["selector"]})
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            for container in (found for workload in chosen for found in workload.containers):
                if container.ports.get(target) != port["port"]:
                    yield f"Service {name_of(service)}: {container.name} has no port {port}"
    for monitor in manifests.of_kind("PodMonitor"):
        yield from _endpoints(manifests, monitor)


def _listening(container: Container) -> Iterator[str]:
    named = {name: port for name, port in container.ports.items() if name != _RAY}
    bound = {}
    for variable, name in _LISTENING.items():
        host, _, port = container.values.get(variable, "").rpartition(":")
        if port:
            bound[name] = int(port)
        if port and host != "0.0.0.0":
            yield f"{container.name}: {variable} is not to be reached from other pods"
    if named != bound:
        yield f"{container.name}: listens at {bound} and names {named}"
    if len(set(bound.values())) != len(bound):
        yield f"{container.name}: one port is used twice: {bound}"


def _probes(container: Container) -> Iterator[str]:
    for kind in _PROBES:
        probe = container.spec.get(kind)
        if probe is None:
            yield f"{container.name}: no {kind}"
        elif "grpc" in probe:
            yield from _grpc_probe(container, kind, probe["grpc"])
        elif "httpGet" in probe:
            asked = probe["httpGet"]
            if asked["path"] not in _ROUTES or asked["port"] not in container.ports:
                yield f"{container.name}: {kind} asks for {asked}"
        else:
            yield f"{container.name}: {kind} asks nothing of the process"


def _grpc_probe(container: Container, kind: str, asked: dict[str, str | int]) -> Iterator[str]:
    if asked["port"] != container.ports.get("probes"):
        yield f"{container.name}: {kind} asks at {asked['port']}"
    # One that is busy, or has lost its store, must not be killed for it.
    wanted = "" if kind == "readinessProbe" else LIVE
    if asked.get("service", "") != wanted:
        yield f'{container.name}: {kind} asks for "{asked.get("service", "")}", not "{wanted}"'


def _endpoints(manifests: Manifests, monitor: dict[str, dict[str, object]]) -> Iterator[str]:
    spec = monitor["spec"]
    endpoints = spec["podMetricsEndpoints"]
    assert isinstance(endpoints, list)
    assert isinstance(spec["selector"], dict)
    for workload in manifests.selected(spec["selector"]):
        for endpoint in endpoints:
            ports = [container.ports for container in workload.containers]
            if not any(endpoint["port"] in named for named in ports):
                yield f"PodMonitor {name_of(monitor)}: {workload.name} has no {endpoint['port']}"
            if endpoint["path"] != "/metrics":
                yield f"PodMonitor {name_of(monitor)}: {endpoint['path']} is not answered"
