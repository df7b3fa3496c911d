"""The variables of a container, as its manifest and what that names say."""

from collections.abc import Mapping
from typing import Any

from tests.k8s.manifests import Manifests, Object

_KINDS = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}


class MissingReference(Exception):
    """A container names something that is not there; it is not started."""


def environment_of(
    container: Object, manifests: Manifests, fields: Mapping[str, str]
) -> dict[str, str]:
    """Give a container's variables.

    `fields` are those of its pod by their paths, such as `status.podIP`.

    Raises:
        MissingReference: see there.
    """
    if "envFrom" in container:
        raise NotImplementedError("envFrom")
    variables = {}
    for variable in container.get("env", []):
        value = _value(variable, manifests, fields)
        if value is not None:
            variables[variable["name"]] = value
    return variables


def content_of(found: Object) -> dict[str, str]:
    """Give the keys and values of a Secret or a ConfigMap that is written in plain text."""
    return {**found.get("data", {}), **found.get("stringData", {})}


def _value(variable: Object, manifests: Manifests, fields: Mapping[str, str]) -> str | None:
    source: dict[str, Any] = variable.get("valueFrom", {})
    if not source:
        return str(variable.get("value", ""))
    if "fieldRef" in source:
        return fields[source["fieldRef"]["fieldPath"]]
    ((way, reference),) = source.items()
    found = manifests.named(_KINDS[way], reference["name"])
    value = content_of(found).get(reference["key"]) if found else None
    if value is None and not reference.get("optional"):
        raise MissingReference(f"{_KINDS[way]} {reference['name']} has no {reference['key']}")
    return value
