"""Secrets, keys, volumes, claims and accounts that a pod names are there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.k8s.manifests import Container, Manifests, Object, Workload

_PAGE = Path(__file__).parents[3] / "docs" / "kubernetes.md"
_OF_CERTIFICATES = {"tls.crt", "tls.key", "ca.crt"}
_CREATED = re.compile(r"create secret generic ([\w-]+)((?:.*\\\n)*.*)")


def problems(manifests: Manifests) -> Iterator[str]:
    """Give what is named and does not exist, and what exists and is not used."""
    secrets = _secrets(manifests)
    for workload in manifests.workloads:
        yield from _volumes(manifests, workload, secrets)
        account = workload.pod.get("serviceAccountName", "default")
        if manifests.named("ServiceAccount", account) is None:
            yield f"{workload.name}: no service account {account}"
    for container in manifests.containers:
        yield from _keys(container, secrets)
        yield from _paths(container)


def _secrets(manifests: Manifests) -> dict[str, set[str]]:
    """Give the secrets that there will be: cert-manager's, and those of the documents."""
    known = {
        found["spec"]["secretName"]: _OF_CERTIFICATES for found in manifests.of_kind("Certificate")
    }
    for name, arguments in _CREATED.findall(_PAGE.read_text()):
        keys = set(re.findall(r"--from-(?:literal|file)=([\w.-]+)=", arguments))
        known[name] = known.get(name, set()) | keys
    return known


def _keys(container: Container, secrets: dict[str, set[str]]) -> Iterator[str]:
    for name, variable in container.environment.items():
        wanted = variable.get("valueFrom", {}).get("secretKeyRef")
        if wanted and wanted["key"] not in secrets.get(wanted["name"], set()):
            yield f"{container.name}: {name}: nobody makes {wanted['name']}/{wanted['key']}"
        if "value" in variable and ("SECRET" in name or "TOKEN" in name.split("_")[-1:]):
            yield f"{container.name}: {name} is a secret that everybody can read"


def _volumes(
    manifests: Manifests, workload: Workload, secrets: dict[str, set[str]]
) -> Iterator[str]:
    volumes: dict[str, Object] = {
        volume["name"]: volume for volume in workload.pod.get("volumes", [])
    }
    templates = workload.object["spec"].get("volumeClaimTemplates", [])
    provided = volumes.keys() | {template["metadata"]["name"] for template in templates}
    mounted = {
        mount["name"]
        for container in workload.containers
        for mount in container.spec.get("volumeMounts", [])
    }
    for name in sorted(mounted ^ provided):
        yield f"{workload.name}: the volume {name} is not both there and mounted"
    for volume in volumes.values():
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and manifests.named("PersistentVolumeClaim", claim) is None:
            yield f"{workload.name}: no claim {claim}"
        secret = volume.get("secret", {}).get("secretName")
        if secret and secret not in secrets:
            yield f"{workload.name}: nobody makes the secret {secret}"


def _paths(container: Container) -> Iterator[str]:
    """Files that variables name lie in volumes; root file systems cannot be written."""
    mounts = [mount["mountPath"] for mount in container.spec.get("volumeMounts", [])]
    for name, value in container.values.items():
        inside = any(value == mount or value.startswith(f"{mount}/") for mount in mounts)
        if value.startswith("/") and not inside:
            yield f"{container.name}: {name}: no volume has {value}"
