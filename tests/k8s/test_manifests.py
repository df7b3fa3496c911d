"""Every installation that k8s/ offers is one that Kubernetes takes and that fits the code."""

import pytest

from tests.k8s.checks import CHECKS
from tests.k8s.manifests import Manifests
from tests.k8s.rendering import Combination, combinations_to_check, render


@pytest.fixture(scope="module", params=combinations_to_check(), ids=str)
def manifests(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Manifests:
    combination: Combination = request.param
    return render(combination, tmp_path_factory.mktemp("overlays"))


@pytest.mark.parametrize("check", CHECKS)
def test_it_is_in_order(manifests: Manifests, check: str) -> None:
    assert list(CHECKS[check](manifests)) == []
