"""Network policies let through each channel that the code opens, and no other."""

from collections.abc import Iterator

from tests.k8s.manifests import GROUP_LABEL, Container, Manifests, Workload
from tests.k8s.policies import Pod, Policies, Port
from tests.k8s.processes import asks_the_internet, peers_of, variables_of

NAMESPACE = "paddock"
_INTERNET = Pod("", {})
_NAME_SERVER = Pod("kube-system", {"k8s-app": "kube-dns"})
_PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
_STRANGER = Pod("elsewhere", {"app.kubernetes.io/name": "stranger"})
_HTTPS = Port(443)
_DNS = (Port(53, "UDP"), Port(53))

Channel = tuple[str, str, int]
"""A workload that calls, one that answers, and at which port."""


def problems(manifests: Manifests) -> Iterator[str]:
    """Give channels that are cut, and those that are open without need."""
    policies = Policies(NAMESPACE, manifests.of_kind("NetworkPolicy"))
    wanted: set[Channel] = set()
    for container in manifests.containers:
        for address in _addresses(container):
            channels = _channels(manifests, container.workload, address)
            wanted |= channels
            if not channels:
                yield f"{container.name}: nothing serves {address}"
    for source in manifests.workloads:
        for target in manifests.workloads:
            yield from _between(policies, source, target, wanted)
        yield from _outside(policies, manifests, source)


def _addresses(container: Container) -> Iterator[str]:
    """Give the addresses that a process is told to call."""
    if container.module is None:
        return
    peers = peers_of(container.module)
    for variable, field in variables_of(container.module).items():
        if field in peers and variable in container.values:
            yield from container.values[variable].split(",")


def _channels(manifests: Manifests, source: Workload, address: str) -> set[Channel]:
    name, _, port = address.removeprefix("dns:").lstrip("/").rpartition(":")
    service = manifests.named("Service", name)
    if service is None or int(port) not in [one["port"] for one in service["spec"]["ports"]]:
        return set()
    chosen = manifests.selected({"matchLabels": service["spec"]["selector"]})
    return {(source.name, target.name, int(port)) for target in chosen}


def _between(
    policies: Policies, source: Workload, target: Workload, wanted: set[Channel]
) -> Iterator[str]:
    """Both sides' policies say the same; but anybody's requests may come in at the gateways."""
    ports = {item for container in target.containers for item in container.ports.items()}
    for name, port in ports:
        ends = _pod(source), _pod(target), Port(port)
        needed = (source.name, target.name, port) in wanted or _share_a_group(source, target)
        if policies.let_out(*ends) != needed:
            yield f"{source.name} to {target.name}:{port} is {'cut' if needed else 'open'}"
        if policies.let_in(*ends) != (needed or name == "http"):
            yield f"{target.name}:{port} from {source.name} is {'cut' if needed else 'open'}"


def _share_a_group(source: Workload, target: Workload) -> bool:
    group = source.labels.get(GROUP_LABEL)
    return group is not None and group == target.labels.get(GROUP_LABEL)


def _outside(policies: Policies, manifests: Manifests, workload: Workload) -> Iterator[str]:
    pod = _pod(workload)
    modules = {container.module for container in workload.containers}
    monitored = bool(manifests.of_kind("PodMonitor"))
    ports = {
        name: Port(number)
        for container in workload.containers
        for name, number in container.ports.items()
    }
    expectations = [
        *((pod, _NAME_SERVER, port, True) for port in _DNS),
        (pod, _INTERNET, _HTTPS, _asks_outside(manifests, modules)),
        (pod, _INTERNET, Port(80), False),
        (pod, _STRANGER, Port(8080), False),
        *((_STRANGER, pod, port, name == "http") for name, port in ports.items()),
        *((_INTERNET, pod, port, name == "http") for name, port in ports.items()),
        *(
            (_PROMETHEUS, pod, port, name == "http" or (name == "metrics" and monitored))
            for name, port in ports.items()
        ),
    ]
    for source, target, port, needed in expectations:
        if policies.let(source, target, port) != needed:
            other = f"to {target}" if source is pod else f"from {source}"
            yield f"{workload.name} {other}, port {port.number}: not {needed}"


def _asks_outside(manifests: Manifests, modules: set[str | None]) -> bool:
    in_bucket = any(
        container.values.get("PADDOCK_STORE", "").startswith("s3://")
        for container in manifests.containers
    )
    return any(
        module is not None
        and (asks_the_internet(module) or (in_bucket and module in ("services.blob", "workers")))
        for module in modules
    )


def _pod(workload: Workload) -> Pod:
    return Pod(NAMESPACE, workload.labels)
