"""Pods keep to the standard `restricted`, and have no token for Kubernetes's own API.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator

from tests.k8s.manifests import Container, Manifests, Workload

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_OF_HOST = ("hostNetwork", "hostPID", "hostIPC")


def problems(manifests: Manifests) -> Iterator[str]:
    """Give what the standard forbids, and what it would allow and nobody needs."""
    for workload in manifests.workloads:
        yield from _of_pod(workload)
    for container in manifests.containers:
        yield from _of_container(container)
    for namespace in manifests.of_kind("Namespace"):
        labels = namespace["metadata"]["labels"]
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield "the namespace does not enforce the standard"


def _of_pod(workload: Workload) -> Iterator[str]:
    pod = workload.pod
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield f"{workload.name} may run as root"
    if not context.get("fsGroup"):
        yield f"{workload.name} owns none of its volumes"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{workload.name} may make any system call"
    if pod.get("automountServiceAccountToken") is not False:
        yield f"{workload.name} has a token for Kubernetes's API"
    if pod.get("enableServiceLinks") is not False:
        yield f"{workload.name} gets variables named after services, which are settings of ours"
    if any(pod.get(name) for name in _OF_HOST):
        yield f"{workload.name} shares something of its host"
    for volume in pod.get("volumes", []):
        if not volume.keys() - {"name"} <= _VOLUMES:
            yield f"{workload.name}: a volume of a forbidden kind: {volume}"


def _of_container(container: Container) -> Iterator[str]:
    context = container.spec.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield f"{container.name} may gain privileges"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield f"{container.name} keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield f"{container.name} may write to its image"
    mounts = {mount["mountPath"] for mount in container.spec.get("volumeMounts", [])}
    if "/tmp" not in mounts:
        yield f"{container.name} has no folder for temporary files"
    resources = container.spec.get("resources", {})
    if not resources.get("requests", {}).keys() >= {"cpu", "memory"}:
        yield f"{container.name} does not say what it needs"
    if "memory" not in resources.get("limits", {}):
        yield f"{container.name} may take all memory of its node"
