"""What the names of Services mean."""

import pytest

from tests.k8s.manifests import Object
from tests.k8s_rollout.endpoints import PodAddress, endpoints_of
from tests.k8s_rollout.name_server import CACHED, CACHED_DENIAL, Answers

LABELS = {"part": "blob"}
PODS = [
    PodAddress("ready", "10.0.0.1", LABELS, ready=True),
    PodAddress("starting", "10.0.0.2", LABELS),
    PodAddress("leaving", "10.0.0.3", LABELS, ready=True, leaving=True),
    PodAddress("other", "10.0.0.4", {"part": "gateway"}, ready=True),
]
NAME = "blob.paddock.svc.cluster.local"


def service(**spec: object) -> Object:
    return {
        "metadata": {"name": "blob", "namespace": "paddock"},
        "spec": {"selector": LABELS, **spec},
    }


@pytest.mark.parametrize(
    ("spec", "cluster_address", "addresses"),
    [
        ({}, None, ("10.0.0.1",)),
        ({"publishNotReadyAddresses": True}, None, ("10.0.0.1", "10.0.0.2", "10.0.0.3")),
        ({}, "10.96.0.7", ("10.96.0.7",)),
    ],
)
def test_a_name_leads_to(
    spec: Object, cluster_address: str | None, addresses: tuple[str, ...]
) -> None:
    records = endpoints_of(service(**spec), cluster_address, PODS).records()
    assert records[NAME] == addresses


def test_each_pod_of_a_headless_service_has_a_name() -> None:
    records = endpoints_of(service(), None, PODS).records()
    assert records == {NAME: ("10.0.0.1",), f"ready.{NAME}": ("10.0.0.1",)}


def test_answers_are_repeated_for_a_while() -> None:
    records: dict[str, tuple[str, ...]] = {}
    answers = Answers(lambda: records)
    assert answers.find(NAME, now=0.0) == ()
    records[NAME] = ("10.0.0.1",)
    assert answers.find(NAME, now=CACHED_DENIAL - 0.1) == ()
    assert answers.find(NAME, now=CACHED_DENIAL) == ("10.0.0.1",)
    records[NAME] = ("10.0.0.2",)
    assert answers.find(NAME, now=CACHED_DENIAL + CACHED - 0.1) == ("10.0.0.1",)
    assert answers.find(NAME, now=CACHED_DENIAL + CACHED) == ("10.0.0.2",)
