"""An engine's processes as actors of a Ray cluster, on this machine and others.

Importing this module needs Ray. The actors import `workers`, so this project has to be
installed where they run.
"""

from vllm.v1.executor.ray_executor_v2 import RayExecutorV2

from workers.executors import OfSeveral


class RayExecutor(OfSeveral, RayExecutorV2):
    """vLLM's, prepared as the others are."""
