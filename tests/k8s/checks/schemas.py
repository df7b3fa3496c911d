"""Every object is as its kind's schema says, and has no field that the schema has not.

Kubernetes's own kinds are checked against several of its versions; others against the schemas in
tests/k8s/schemas, which know the fields in use and no more.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]

from tests.k8s.manifests import Manifests, Object, Workload, name_of

OLDEST = "1.30"  # the first that has sleep actions before a pod is stopped
VERSIONS = (OLDEST, "1.33", kubernetes_validate.latest_version())

_SCHEMAS = Path(__file__).parents[1] / "schemas"


def problems(manifests: Manifests) -> Iterator[str]:
    """Give what the schemas say."""
    for found in manifests.objects:
        yield from _check(json.dumps(found, sort_keys=True))
    for workload in manifests.workloads:
        if workload.kind == "LeaderWorkerSet":
            yield from _check(json.dumps(_as_template(workload), sort_keys=True))


@cache
def _check(text: str) -> list[str]:
    """Check an object; most are the same in many combinations."""
    found = json.loads(text)
    own = _SCHEMAS / _file_name(found)
    if own.exists():
        errors = jsonschema.Draft202012Validator(json.loads(own.read_text())).iter_errors(found)
        return [_describe(found, error) for error in errors]
    return [problem for version in VERSIONS for problem in _check_version(found, version)]


def _check_version(found: Object, version: str) -> Iterator[str]:
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{_describe(found, error)} (Kubernetes {version})"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def _file_name(found: Object) -> str:
    group, _, version = found["apiVersion"].partition("/")
    return f"{found['kind']}-{group.split('.')[0]}-{version}.json".lower()


def _describe(found: Object, error: jsonschema.ValidationError) -> str:
    where = ".".join(str(step) for step in error.absolute_path)
    return f"{found['kind']} {name_of(found)}: {where}: {error.message}"


def _as_template(workload: Workload) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": workload.name},
        "template": workload.template,
    }
