"""Rendered manifests, and what of them the checks look at."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as YAML has it."""

GROUP_LABEL = "leaderworkerset.sigs.k8s.io/name"
_MODULE = re.compile(r"-m ([a-z.]+)")
_SUFFIXES = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Container:
    """A container of a workload."""

    workload: "Workload"
    spec: Object

    @property
    def name(self) -> str:
        """The workload and the container in it."""
        return f"{self.workload.name}/{self.spec['name']}"

    @property
    def module(self) -> str | None:
        """The module that Python runs in it; None: it runs something else."""
        words = [*self.spec.get("command", []), *self.spec.get("args", [])]
        found = _MODULE.search(" ".join(words))
        return found[1] if found else None

    @property
    def environment(self) -> dict[str, Object]:
        """Its variables by name, as they are written."""
        return {variable["name"]: variable for variable in self.spec.get("env", [])}

    @property
    def values(self) -> dict[str, str]:
        """Those of its variables that have a value in the manifest."""
        return {
            name: variable["value"]
            for name, variable in self.environment.items()
            if "value" in variable
        }

    @property
    def ports(self) -> dict[str, int]:
        """Its ports by name."""
        return {port["name"]: port["containerPort"] for port in self.spec.get("ports", [])}

    @property
    def gpus(self) -> int:
        """How many GPUs it is given."""
        return int(self.spec.get("resources", {}).get("limits", {}).get("nvidia.com/gpu", 0))


@dataclass(frozen=True)
class Workload:
    """A template of pods, and who makes them."""

    name: str
    kind: str
    object: Object
    template: Object
    labels: Mapping[str, str]
    """Of its pods."""

    @property
    def pod(self) -> Object:
        """What its pods are to be."""
        spec: Object = self.template["spec"]
        return spec

    @property
    def containers(self) -> list[Container]:
        """All containers of a pod."""
        specs = [*self.pod.get("initContainers", []), *self.pod["containers"]]
        return [Container(self, spec) for spec in specs]


class Manifests:
    """All objects of an installation."""

    def __init__(self, objects: list[Object]) -> None:
        self.objects = objects

    def of_kind(self, *kinds: str) -> list[Object]:
        """Give the objects of some kinds."""
        return [found for found in self.objects if found["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object | None:
        """Give an object by its name; None where it is not here."""
        named = (found for found in self.of_kind(kind) if found["metadata"]["name"] == name)
        return next(named, None)

    @cached_property
    def workloads(self) -> list[Workload]:
        """Everything that makes pods."""
        made = [
            Workload(
                name_of(found),
                found["kind"],
                found,
                found["spec"]["template"],
                found["spec"]["template"]["metadata"]["labels"],
            )
            for found in self.of_kind("Deployment", "StatefulSet", "DaemonSet", "Job")
        ]
        for group in self.of_kind("LeaderWorkerSet"):
            made += _of_group(group)
        return made

    @property
    def containers(self) -> list[Container]:
        """All containers of all workloads."""
        return [container for workload in self.workloads for container in workload.containers]

    def selected(self, selector: Object) -> list[Workload]:
        """Give the workloads whose pods a label selector selects."""
        return [workload for workload in self.workloads if selects(selector, workload.labels)]


def _of_group(group: Object) -> Iterator[Workload]:
    for role in ("leader", "worker"):
        template = group["spec"]["leaderWorkerTemplate"][f"{role}Template"]
        # The controller adds that label.
        labels = {**template["metadata"]["labels"], GROUP_LABEL: name_of(group)}
        yield Workload(f"{name_of(group)}-{role}", group["kind"], group, template, labels)


def name_of(found: Object) -> str:
    """Give an object's name."""
    name: str = found["metadata"]["name"]
    return name


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector of Kubernetes selects what has some labels."""
    wanted = selector.get("matchLabels", {}).items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _meets(requirement, labels) for requirement in selector.get("matchExpressions", [])
    )


def _meets(requirement: Object, labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values", [])
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def in_seconds(duration: str) -> float:
    """Read a Go duration such as `1m30s`."""
    parts = re.findall(r"([\d.]+)(ms|[smh])", duration)
    return sum(float(number) * _SUFFIXES[unit] for number, unit in parts)
