"""The manifests in a cluster of real processes; see the package."""

import sys

import pytest

from tests.k8s.rendering import ROOT
from tests.k8s_rollout import namespaces


@pytest.mark.timeout(400)
def test_the_manifests_stay_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    if refusal := namespaces.refusal():
        pytest.skip(f"needs user namespaces with networks of their own: {refusal}")
    folder = tmp_path_factory.mktemp("rollout") / "run"
    checks = ROOT / "tests" / "k8s_rollout" / "check_rollout.py"
    options = ("-p", "no:cacheprovider", "-v", "--durations=0", f"--basetemp={folder}")
    arguments = (sys.executable, "-m", "pytest", str(checks), f"--rootdir={ROOT}", *options)
    assert namespaces.run(arguments, ROOT) == 0, f"see above, and the logs in {folder}"
