"""What the controllers of Deployments and StatefulSets do next, and whether a pod may be evicted.

After Kubernetes' `pkg/controller/deployment/rolling.go`, `statefulset/stateful_set_control.go`
and `registry/core/pod/storage/eviction.go`; the defaults are those of the API.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.k8s.manifests import Object


class PodState(NamedTuple):
    """A pod as its controller sees it."""

    name: str
    revision: str
    ready: bool = False
    available: bool = False
    """Whether it has been ready for `minReadySeconds`."""
    leaving: bool = False


class DeploymentStep(NamedTuple):
    """What is done now: how many pods are made, and who has to leave."""

    create: int = 0
    delete: tuple[str, ...] = ()


def next_of_deployment(spec: Object, revision: str, pods: Sequence[PodState]) -> DeploymentStep:
    """Go a step towards `replicas` available pods of a revision and none of another.

    Pods that leave do not count: there may be more of those than `maxSurge` says.
    """
    wanted: int = spec.get("replicas", 1)
    limits = spec.get("strategy", {}).get("rollingUpdate", {})
    surge = _count(limits.get("maxSurge", "25%"), wanted, math.ceil)
    unavailable = _count(limits.get("maxUnavailable", "25%"), wanted, math.floor)
    if not surge and not unavailable:
        unavailable = 1
    present = [pod for pod in pods if not pod.leaving]
    new = [pod for pod in present if pod.revision == revision]
    old = [pod for pod in present if pod.revision != revision]
    create = max(0, min(wanted + surge - len(present), wanted - len(new)))
    least = wanted - unavailable
    new_not_there = min(wanted, len(new) + create) - _available(new)
    may_go = max(0, len(present) + create - least - new_not_there)
    broken = [pod.name for pod in old if not pod.available][:may_go]
    spare = max(0, _available(present) - least)
    working = [pod.name for pod in old if pod.available][:spare]
    too_many = sorted(new, key=lambda pod: pod.available)[: max(0, len(new) - wanted)]
    return DeploymentStep(create, (*broken, *working, *(pod.name for pod in too_many)))


class StatefulSetStep(NamedTuple):
    """What is done now, by ordinal: the pods that are made with their revisions, and who leaves."""

    create: Mapping[int, str] = {}
    delete: tuple[int, ...] = ()


def next_of_stateful_set(
    spec: Object, current: str, update: str, pods: Mapping[int, PodState]
) -> StatefulSetStep:
    """Go a step towards pods 0 to `replicas` - 1 of the newer of two revisions.

    The name of a pod that leaves is taken until it has left. `partition` keeps those below it.
    """
    wanted: int = spec.get("replicas", 1)
    in_parallel = spec.get("podManagementPolicy") == "Parallel"
    partition = spec.get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    missing = {
        ordinal: update if ordinal >= partition else current
        for ordinal in range(wanted)
        if ordinal not in pods
    }
    too_many = sorted((it for it in pods if it >= wanted and not pods[it].leaving), reverse=True)
    if not in_parallel:
        blocked = [it for it in range(wanted) if it not in pods or not _is_there(pods[it])]
        if blocked:
            first = blocked[0]
            return StatefulSetStep({first: missing[first]} if first in missing else {})
        if too_many:
            going = any(pods[it].leaving for it in pods if it >= wanted)
            return StatefulSetStep({}, () if going else tuple(too_many[:1]))
    replaced: tuple[int, ...] = ()
    for ordinal in range(wanted - 1, partition - 1, -1):
        pod = pods.get(ordinal)
        if pod and pod.revision != update and not pod.leaving:
            replaced = (ordinal,)
        if not pod or replaced or not _is_there(pod):
            break
    return StatefulSetStep(missing, (*too_many, *replaced))


def may_evict(budget: Object, expected: int, pod: PodState, pods: Sequence[PodState]) -> bool:
    """Tell whether a disruption budget lets one of the pods that it selects go.

    `expected` is how many the controllers of these pods want there to be.
    """
    if not pod.ready and budget.get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy = sum(1 for it in pods if it.ready and not it.leaving)
    if "maxUnavailable" in budget:
        least = expected - _count(budget["maxUnavailable"], expected, math.ceil)
    else:
        least = _count(budget["minAvailable"], expected, math.ceil)
    return healthy > least


def _is_there(pod: PodState) -> bool:
    return pod.available and not pod.leaving


def _available(pods: Sequence[PodState]) -> int:
    return sum(1 for pod in pods if pod.available)


def _count(value: int | str, of: int, rounded: Callable[[float], int]) -> int:
    if isinstance(value, int):
        return value
    share = of * int(value.removesuffix("%")) / 100
    return rounded(share)
