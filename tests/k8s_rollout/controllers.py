"""The controllers of one workload: they make its pods and have them leave."""

import copy
import hashlib
import itertools
import json
import random
from collections.abc import Iterable, Mapping, Sequence

from tests.k8s.manifests import Object, name_of
from tests.k8s_rollout.pod import Assignment, Pod
from tests.k8s_rollout.rolling import PodState, next_of_deployment, next_of_stateful_set

HASH_LABEL = "pod-template-hash"


def revision_of(workload: Object) -> str:
    """Name the template that a workload has now."""
    text = json.dumps(workload["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def state_of(pod: Pod, min_ready: float) -> PodState:
    """Give what controllers see of a pod."""
    return PodState(
        pod.name,
        pod.assignment.revision,
        pod.ready,
        pod.ready and pod.is_available(min_ready),
        pod.leaving,
    )


class Deployment:
    """Rolls by `maxSurge` and `maxUnavailable`."""

    def __init__(self, workload: Object) -> None:
        self.workload = workload
        self._suffixes = itertools.count()

    def step(self, pods: Sequence[Pod]) -> tuple[list[str], list[Pod]]:
        """Give the names of pods that are made now, and those that are to leave."""
        spec = self.workload["spec"]
        states = [state_of(pod, spec.get("minReadySeconds", 0)) for pod in pods]
        revision = revision_of(self.workload)
        step = next_of_deployment(spec, revision, states)
        base = f"{name_of(self.workload)}-{revision}"
        names = [f"{base}-{next(self._suffixes)}" for _ in range(step.create)]
        return names, [pod for pod in pods if pod.name in step.delete]

    def template(self, name: str) -> Object:
        """Give what a pod is made from."""
        template = copy.deepcopy(self.workload["spec"]["template"])
        template["metadata"]["labels"][HASH_LABEL] = revision_of(self.workload)
        return dict(template)


class StatefulSet:
    """Rolls one after the other; each pod keeps its name and its claims."""

    def __init__(self, workload: Object) -> None:
        self.workload = workload
        self._current = revision_of(workload)

    def step(self, pods: Sequence[Pod]) -> tuple[list[str], list[Pod]]:
        """Give the names of pods that are made now, and those that are to leave."""
        spec = self.workload["spec"]
        by_ordinal = {int(pod.name.rpartition("-")[2]): pod for pod in pods}
        states = {
            ordinal: state_of(pod, spec.get("minReadySeconds", 0))
            for ordinal, pod in by_ordinal.items()
        }
        assert "partition" not in spec.get("updateStrategy", {}).get("rollingUpdate", {})
        update = revision_of(self.workload)
        step = next_of_stateful_set(spec, self._current, update, states)
        names = [f"{name_of(self.workload)}-{ordinal}" for ordinal in step.create]
        return names, [by_ordinal[ordinal] for ordinal in step.delete]

    def template(self, name: str) -> Object:
        """Give what a pod is made from."""
        spec = self.workload["spec"]
        template = copy.deepcopy(spec["template"])
        template["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name
        template["spec"].setdefault("volumes", []).extend(
            {
                "name": name_of(claim),
                "persistentVolumeClaim": {"claimName": f"{name_of(claim)}-{name}"},
            }
            for claim in spec.get("volumeClaimTemplates", [])
        )
        return dict(template)


Controller = Deployment | StatefulSet
KINDS: Mapping[str, type[Deployment] | type[StatefulSet]] = {
    "Deployment": Deployment,
    "StatefulSet": StatefulSet,
}


def assign(
    controller: Controller, name: str, nodes: Sequence[str], pods: Iterable[Pod]
) -> Assignment:
    """Say what a new pod is, and on which of some nodes: where fewest of its workload are."""
    workload = controller.workload
    key = f"{workload['kind']}/{name_of(workload)}"
    taken = [pod.assignment.node for pod in pods if pod.assignment.workload == key]
    template = controller.template(name)
    return Assignment(
        name=name,
        workload=key,
        revision=revision_of(workload),
        labels=template["metadata"]["labels"],
        spec=template["spec"],
        node=min(random.sample(nodes, len(nodes)), key=taken.count),
        namespace=workload["metadata"]["namespace"],
    )
