"""What a kubelet makes of a manifest: variables, volumes, and what probes come to."""

from pathlib import Path

import pytest

from tests.k8s.manifests import Manifests, Object
from tests.k8s_rollout.container_environment import MissingReference, environment_of
from tests.k8s_rollout.probes import Verdict
from tests.k8s_rollout.volumes import mounts_of

SECRET = {"kind": "Secret", "metadata": {"name": "s3"}, "stringData": {"key": "value"}}
FIELDS = {"status.podIP": "10.0.0.1"}


def of_secret(name: str, key: str, **more: bool) -> Object:
    reference = {"name": name, "key": key, **more}
    return {"name": "VARIABLE", "valueFrom": {"secretKeyRef": reference}}


@pytest.mark.parametrize(
    ("variable", "environment"),
    [
        ({"name": "VARIABLE", "value": "1"}, {"VARIABLE": "1"}),
        (
            {"name": "VARIABLE", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"VARIABLE": "10.0.0.1"},
        ),
        (of_secret("s3", "key"), {"VARIABLE": "value"}),
        (of_secret("s3", "none", optional=True), {}),
        (of_secret("none", "key", optional=True), {}),
    ],
)
def test_a_container_has_the_variables(variable: Object, environment: dict[str, str]) -> None:
    assert environment_of({"env": [variable]}, Manifests([SECRET]), FIELDS) == environment


@pytest.mark.parametrize("variable", [of_secret("s3", "none"), of_secret("none", "key")])
def test_a_container_whose_secret_is_not_there_does_not_start(variable: Object) -> None:
    with pytest.raises(MissingReference):
        environment_of({"env": [variable]}, Manifests([SECRET]), FIELDS)


def test_volumes_are_folders(tmp_path: Path) -> None:
    volumes: list[Object] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "cache", "persistentVolumeClaim": {"claimName": "cache-0"}},
        {"name": "keys", "secret": {"secretName": "s3"}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    container = {"volumeMounts": mounts}
    own, claims = tmp_path / "pod", tmp_path / "claims"
    found = mounts_of(container, volumes, Manifests([SECRET]), own, claims)
    assert [mount.target for mount in found] == ["/tmp", "/cache", "/keys"]
    assert [mount.source.is_relative_to(own) for mount in found] == [True, False, True]
    assert (found[2].source / "key").read_text() == "value"


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ([True], [True]),
        ([False, False], [None, False]),
        ([True, False, True, False, False], [True, True, True, True, False]),
        ([False, False, True], [None, False, True]),
    ],
)
def test_a_probe_fails_when_it_has_failed_in_a_row(
    answers: list[bool], verdicts: list[bool | None]
) -> None:
    verdict = Verdict({"failureThreshold": 2})
    assert [verdict.take(answer) for answer in answers] == verdicts
