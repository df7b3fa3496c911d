"""What of the manifests is not used as it is: what needs a GPU."""

import copy
from typing import Any

from tests.k8s.manifests import Manifests

SIMULATED = {
    "PADDOCK_ENGINE": "simulated",
    "PADDOCK_SIMULATED_LOAD_TIME": "2s",
    "PADDOCK_SIMULATED_ANSWER_LENGTH": "16000",
}
_GPU = "nvidia.com/gpu"


def without_gpus(manifests: Manifests) -> Manifests:
    """Have containers that ask for GPUs simulate their engines, and ask for none."""
    replaced = Manifests(copy.deepcopy(manifests.objects))
    for container in replaced.containers:
        if container.gpus:
            del container.spec["resources"]["limits"][_GPU]
            added: list[dict[str, Any]] = [
                {"name": name, "value": value} for name, value in SIMULATED.items()
            ]
            container.spec["env"] += added
    return replaced
