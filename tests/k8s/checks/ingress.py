"""What is brought outside is the API: all of it, and none of what is for operators."""

from collections.abc import Iterator

from gateway import health, metrics, ollama
from tests.k8s.manifests import Manifests, Object, name_of

_API = {route.path for route in ollama.ROUTES}
_OPERATORS = {route.path for route in (*health.ROUTES, *metrics.ROUTES)}


def problems(manifests: Manifests) -> Iterator[str]:
    """Give pages that are missing outside, and those that are there without need."""
    for ingress in manifests.of_kind("Ingress"):
        paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        for page in sorted(_API | _OPERATORS):
            if any(_leads(path, page) for path in paths) != (page in _API):
                yield f"{name_of(ingress)}: {page} is {'missing' if page in _API else 'open'}"
        for path in paths:
            yield from _backend(manifests, path["backend"]["service"])


def _leads(path: Object, page: str) -> bool:
    whole: str = path["path"]
    prefix = whole.rstrip("/")
    if path["pathType"] == "Exact":
        return page == whole
    return page == prefix or page.startswith(f"{prefix}/")


def _backend(manifests: Manifests, wanted: Object) -> Iterator[str]:
    service = manifests.named("Service", wanted["name"])
    ports = [port["name"] for port in service["spec"]["ports"]] if service else []
    if wanted["port"]["name"] not in ports:
        yield f"nothing is at {wanted}"
