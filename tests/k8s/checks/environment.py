"""Every variable in a manifest is a setting of that very process, with a value that it takes."""

from collections.abc import Iterator

from pydantic import ValidationError

from tests.k8s.manifests import Container, Manifests
from tests.k8s.processes import LISTENING, SETTINGS, peers_of, variables_of

# Of AWS's client (blob alone), of the system, of the GPU's driver, of vLLM.
_OF_OTHERS = {
    "services.blob": {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    },
    "workers": {"HOME", "USER", "NVIDIA_DRIVER_CAPABILITIES", "VLLM_HOST_IP"},
    None: {"HOME", "USER", "NVIDIA_DRIVER_CAPABILITIES", "VLLM_HOST_IP"},
}
_TLS = {"PADDOCK_TLS_CERTIFICATE", "PADDOCK_TLS_KEY", "PADDOCK_TLS_AUTHORITY"}


def problems(manifests: Manifests) -> Iterator[str]:
    """Give variables that nothing reads, values that are refused, and what is left at home."""
    for container in manifests.containers:
        names = [variable["name"] for variable in container.spec.get("env", [])]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{container.name}: {name} is set twice"
        yield from _unknown(container)
        if container.module is not None:
            yield from _values(container)
            yield from _addresses(container)
        tls = _TLS & container.environment.keys()
        if tls and tls != _TLS:
            yield f"{container.name}: of TLS's files only {sorted(tls)} are named"
    secured = {
        bool(_TLS & container.environment.keys())
        for container in manifests.containers
        if container.module
    }
    if len(secured) > 1:
        yield "some processes have TLS and some have not"


def _unknown(container: Container) -> Iterator[str]:
    module = container.module
    known = _OF_OTHERS.get(module, set())
    if module is not None:
        known = known | variables_of(module).keys()
    for name in container.environment.keys() - known:
        yield f"{container.name}: {name} is no setting of {module or 'what runs there'}"
    if container.spec.get("envFrom"):
        yield f"{container.name}: it cannot be seen which variables envFrom sets"


def _values(container: Container) -> Iterator[str]:
    assert container.module
    kind = SETTINGS[container.module]
    fields = variables_of(container.module)
    given = {
        fields[name]: value
        for name, value in container.values.items()
        if name in fields and fields[name] in kind.model_fields
    }
    try:
        kind(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        for item in error.errors():
            yield f"{container.name}: {item['loc']}: {item['msg']}"
    parallel = int(container.values.get("PADDOCK_TENSOR_PARALLEL_SIZE", 1))
    if container.gpus and parallel != container.gpus:
        yield f"{container.name}: {container.gpus} GPUs, of which models use {parallel}"


def _addresses(container: Container) -> Iterator[str]:
    """What is not set is on loopback, which nobody else reaches and where nobody else is."""
    assert container.module
    fields = variables_of(container.module)
    given = {fields[name] for name in container.values if name in fields}
    wanted = peers_of(container.module) | (LISTENING & set(fields.values()))
    for name in sorted(wanted - given):
        yield f"{container.name}: PADDOCK_{name.upper()} is not set"
