"""What the controllers do next."""

import pytest

from tests.k8s.manifests import Object
from tests.k8s_rollout.rolling import (
    DeploymentStep,
    PodState,
    StatefulSetStep,
    may_evict,
    next_of_deployment,
    next_of_stateful_set,
)

OLD, NEW = "old", "new"


def there(name: str, revision: str = OLD) -> PodState:
    return PodState(name, revision, ready=True, available=True)


def starting(name: str, revision: str = NEW) -> PodState:
    return PodState(name, revision)


def leaving(name: str, revision: str = OLD) -> PodState:
    return PodState(name, revision, ready=True, available=True, leaving=True)


SURGE: Object = {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize(
    ("limits", "pods", "step"),
    [
        pytest.param(SURGE, [], DeploymentStep(2), id="nothing is there"),
        pytest.param(SURGE, [there("a"), there("b")], DeploymentStep(1), id="one more at first"),
        pytest.param(
            SURGE, [there("a"), there("b"), starting("c")], DeploymentStep(), id="it is not ready"
        ),
        pytest.param(
            SURGE,
            [there("a"), there("b"), there("c", NEW)],
            DeploymentStep(0, ("a",)),
            id="it is ready, an old one goes",
        ),
        pytest.param(
            SURGE,
            [leaving("a"), there("b"), there("c", NEW)],
            DeploymentStep(1),
            id="those that leave do not count",
        ),
        pytest.param(
            SURGE,
            [there("a", NEW), there("b", NEW), starting("c", OLD)],
            DeploymentStep(0, ("c",)),
            id="back again: what never was ready goes",
        ),
        pytest.param(
            {"maxSurge": 0, "maxUnavailable": "50%"},
            [there("a"), there("b")],
            DeploymentStep(0, ("a",)),
            id="an old one first",
        ),
        pytest.param(
            SURGE,
            [there("a", NEW), there("b", NEW), there("c", NEW)],
            DeploymentStep(0, ("a",)),
            id="one too many",
        ),
    ],
)
def test_a_deployment_rolls(limits: Object, pods: list[PodState], step: DeploymentStep) -> None:
    spec = {"replicas": 2, "strategy": {"rollingUpdate": limits}}
    assert next_of_deployment(spec, NEW, pods) == step


PARALLEL: Object = {"replicas": 2, "podManagementPolicy": "Parallel"}
ORDERED: Object = {"replicas": 2}
STILL_OLD: Object = {"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 1}}}


@pytest.mark.parametrize(
    ("spec", "pods", "step"),
    [
        pytest.param(PARALLEL, [], StatefulSetStep({0: NEW, 1: NEW}), id="all at once"),
        pytest.param(ORDERED, [], StatefulSetStep({0: NEW}), id="one after the other"),
        pytest.param(ORDERED, [starting("0")], StatefulSetStep(), id="the first is not ready"),
        pytest.param(
            PARALLEL,
            [there("0"), there("1")],
            StatefulSetStep({}, (1,)),
            id="the highest is replaced first",
        ),
        pytest.param(
            PARALLEL, [there("0"), leaving("1")], StatefulSetStep(), id="its name is still taken"
        ),
        pytest.param(
            PARALLEL,
            [there("0"), PodState("1", NEW, ready=True)],
            StatefulSetStep(),
            id="ready, but not long enough",
        ),
        pytest.param(
            PARALLEL,
            [there("0"), there("1", NEW)],
            StatefulSetStep({}, (0,)),
            id="then the next",
        ),
        pytest.param(
            PARALLEL,
            [there("0", NEW), there("1", NEW), there("2", NEW), there("3", NEW)],
            StatefulSetStep({}, (3, 2)),
            id="too many, all at once",
        ),
        pytest.param(
            ORDERED,
            [there("0", NEW), there("1", NEW), there("2", NEW), there("3", NEW)],
            StatefulSetStep({}, (3,)),
            id="too many, one after the other",
        ),
        pytest.param(
            STILL_OLD, [there("0"), there("1", NEW)], StatefulSetStep(), id="below the partition"
        ),
    ],
)
def test_a_stateful_set_rolls(spec: Object, pods: list[PodState], step: StatefulSetStep) -> None:
    assert next_of_stateful_set(spec, OLD, NEW, dict(enumerate(pods))) == step


@pytest.mark.parametrize(
    ("budget", "pods", "allowed"),
    [
        ({"maxUnavailable": 1}, [there("a"), there("b")], True),
        ({"maxUnavailable": 1}, [there("a"), starting("b")], False),
        ({"maxUnavailable": 1}, [there("a"), leaving("b"), there("c")], True),
        ({"maxUnavailable": 1}, [there("a"), leaving("b")], False),
        ({"minAvailable": 2}, [there("a"), there("b")], False),
        ({"minAvailable": "50%"}, [there("a"), there("b")], True),
        ({"maxUnavailable": 1}, [starting("a"), starting("b")], False),
        (
            {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
            [starting("a"), starting("b")],
            True,
        ),
    ],
)
def test_a_budget_lets_a_pod_go(budget: Object, pods: list[PodState], allowed: bool) -> None:
    assert may_evict(budget, 2, pods[0], pods) == allowed
