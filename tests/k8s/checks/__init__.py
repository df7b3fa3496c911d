"""What has to be true of rendered manifests: each check gives the problems that it finds."""

from collections.abc import Callable, Iterator

from tests.k8s.checks import (
    environment,
    ingress,
    network,
    pod_security,
    ports,
    references,
    scaling,
    schemas,
    selectors,
    series,
    termination,
)
from tests.k8s.manifests import Manifests

Check = Callable[[Manifests], Iterator[str]]

CHECKS: dict[str, Check] = {
    "schemas": schemas.problems,
    "selectors": selectors.problems,
    "environment": environment.problems,
    "ingress": ingress.problems,
    "ports": ports.problems,
    "references": references.problems,
    "termination": termination.problems,
    "network": network.problems,
    "pod_security": pod_security.problems,
    "scaling": scaling.problems,
    "series": series.problems,
}
