"""What network policies of Kubernetes let through."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.k8s.manifests import Object, selects


class Pod(NamedTuple):
    """Someone on the network: a pod, or with no labels at all the world outside."""

    namespace: str
    labels: Mapping[str, str]


class Port(NamedTuple):
    """Where somebody listens."""

    number: int
    protocol: str = "TCP"


class Policies:
    """All policies of a namespace; other namespaces have none.

    A policy selects pods of its own namespace. A pod that none selects for a direction may do
    everything there; the others what one of theirs allows
    (https://kubernetes.io/docs/concepts/services-networking/network-policies/).
    """

    def __init__(self, namespace: str, policies: list[Object]) -> None:
        self._namespace = namespace
        self._policies = [policy["spec"] for policy in policies]

    def let(self, source: Pod, target: Pod, port: Port) -> bool:
        """Tell whether one pod reaches another at a port."""
        return self.let_out(source, target, port) and self.let_in(source, target, port)

    def let_out(self, source: Pod, target: Pod, port: Port) -> bool:
        """Tell whether what selects the source allows it."""
        return self._allows("Egress", source, target, port)

    def let_in(self, source: Pod, target: Pod, port: Port) -> bool:
        """Tell whether what selects the target allows it."""
        return self._allows("Ingress", target, source, port)

    def _allows(self, direction: str, subject: Pod, other: Pod, port: Port) -> bool:
        if subject.namespace != self._namespace:
            return True
        chosen = [
            policy
            for policy in self._policies
            if direction in policy["policyTypes"] and selects(policy["podSelector"], subject.labels)
        ]
        rules = [rule for policy in chosen for rule in policy.get(direction.lower(), [])]
        return not chosen or any(self._matches(rule, direction, other, port) for rule in rules)

    def _matches(self, rule: Object, direction: str, other: Pod, port: Port) -> bool:
        peers = rule.get("from" if direction == "Ingress" else "to")
        ports = rule.get("ports")
        return (not peers or any(self._is(peer, other) for peer in peers)) and (
            not ports or any(_includes(allowed, port) for allowed in ports)
        )

    def _is(self, peer: dict[str, Any], other: Pod) -> bool:
        if "ipBlock" in peer:
            raise NotImplementedError("addresses in network policies")
        if not other.labels:  # no pod
            return False
        namespace = {"kubernetes.io/metadata.name": other.namespace}
        if "namespaceSelector" in peer:
            in_namespace = selects(peer["namespaceSelector"], namespace)
        else:
            in_namespace = other.namespace == self._namespace
        return in_namespace and selects(peer.get("podSelector", {}), other.labels)


def _includes(allowed: Object, port: Port) -> bool:
    if allowed.get("protocol", "TCP") != port.protocol:
        return False
    if "port" not in allowed:
        return True
    first: int = allowed["port"]
    last: int = allowed.get("endPort", first)
    return first <= port.number <= last
