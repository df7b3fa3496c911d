"""The manifests in a cluster of real processes; see the package."""

import pytest

from tests.k8s_rollout.conftest import RollOut


@pytest.mark.timeout(400)
def test_the_manifests_stay_up(roll_out: RollOut) -> None:
    status = roll_out.process.wait()
    assert status == 0, f"{roll_out.output}\nThe logs are in {roll_out.folder}"
