"""Which pods are behind a Service, and what its name means."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.k8s.manifests import Object, name_of, selects

DOMAIN = "cluster.local"


class PodAddress(NamedTuple):
    """What Services look at of a pod."""

    name: str
    address: str
    labels: Mapping[str, str]
    ready: bool = False
    leaving: bool = False


class Endpoints(NamedTuple):
    """A Service and those pods that it leads to."""

    namespace: str
    name: str
    cluster_address: str | None
    """None: it is headless."""
    pods: tuple[PodAddress, ...]

    def records(self) -> dict[str, tuple[str, ...]]:
        """Give the addresses of its names, as
        https://github.com/kubernetes/dns/blob/master/docs/specification.md has them.
        """
        own = f"{self.name}.{self.namespace}.svc.{DOMAIN}"
        if self.cluster_address:
            return {own: (self.cluster_address,)}
        each = {f"{pod.name}.{own}": (pod.address,) for pod in self.pods}
        return {own: tuple(pod.address for pod in self.pods), **each}


def endpoints_of(
    service: Object, cluster_address: str | None, pods: Sequence[PodAddress]
) -> Endpoints:
    """Find those that are ready and stay, or all where the Service publishes these as well."""
    spec = service["spec"]
    every = spec.get("publishNotReadyAddresses", False)
    chosen = (
        pod
        for pod in pods
        if selects({"matchLabels": spec["selector"]}, pod.labels)
        and (every or (pod.ready and not pod.leaving))
    )
    return Endpoints(
        service["metadata"]["namespace"], name_of(service), cluster_address, tuple(chosen)
    )
