"""The Services of the cluster: names and addresses that lead to pods, as they were a moment ago."""

import time
from collections import deque
from collections.abc import Iterable, Sequence

from tests.k8s.manifests import Object, name_of
from tests.k8s_rollout.endpoints import Endpoints, PodAddress, endpoints_of
from tests.k8s_rollout.network import Network
from tests.k8s_rollout.pod import Pod
from tests.k8s_rollout.service_proxy import ServiceProxy

PROPAGATION = 1.0
"""Seconds until the name server and the proxies have learned what has changed."""


class Services:
    """Follows the pods."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._services: dict[str, Object] = {}
        self._addresses: dict[str, str | None] = {}
        self._proxies: dict[str, ServiceProxy] = {}
        self._pods: list[Pod] = []
        self._history: deque[tuple[float, dict[str, Endpoints]]] = deque()
        self._known: dict[str, Endpoints] = {}

    async def add(self, service: Object) -> None:
        """Give a Service its name, and its address where it is to have one."""
        name = name_of(service)
        self._services[name] = service
        if service["spec"].get("clusterIP") == "None":
            self._addresses[name] = None
            return
        self._addresses[name] = address = await self._network.add_service()
        [port] = service["spec"]["ports"]
        self._proxies[name] = ServiceProxy(lambda: self._choice(name, port["targetPort"]))
        await self._proxies[name].start(address, port["port"])

    def address(self, name: str) -> str:
        """Give a Service's address and port."""
        [port] = self._services[name]["spec"]["ports"]
        return f"{self._addresses[name]}:{port['port']}"

    def records(self) -> dict[str, tuple[str, ...]]:
        """Give the names of all Services, as they are known by now."""
        found: dict[str, tuple[str, ...]] = {}
        for endpoints in self._known.values():
            found |= endpoints.records()
        return found

    def look(self, pods: Iterable[Pod]) -> None:
        """Take note of the pods as they are."""
        self._pods = [pod for pod in pods if pod.address]
        addresses = [_address(pod) for pod in self._pods]
        now = time.monotonic()
        current = {
            name: endpoints_of(service, self._addresses[name], addresses)
            for name, service in self._services.items()
        }
        if not self._history or self._history[-1][1] != current:
            self._history.append((now, current))
        while self._history and self._history[0][0] <= now - PROPAGATION:
            self._known = self._history[0][1]
            if len(self._history) == 1:
                break
            self._history.popleft()

    def close(self) -> None:
        """Take no connections any more."""
        for proxy in self._proxies.values():
            proxy.close()

    def _choice(self, name: str, port: str) -> Sequence[tuple[str, int]]:
        ports = {pod.address: pod.ports[port] for pod in self._pods if port in pod.ports}
        known = self._known[name].pods if name in self._known else ()
        return [(pod.address, ports[pod.address]) for pod in known if pod.address in ports]


def _address(pod: Pod) -> PodAddress:
    labels = pod.assignment.labels
    return PodAddress(pod.name, pod.address, labels, pod.ready, pod.leaving)
