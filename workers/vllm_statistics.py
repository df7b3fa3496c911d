"""What vLLM's scheduler says about itself after each step, and a stand-in for vLLM's metrics."""

from typing import Any

from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import SchedulerStats

from workers.engine import Occupancy


class NoMetrics(PrometheusStatLogger):
    """Stands where vLLM's own metrics would, which would be of the engine started last.

    With a logger of any kind the core tells how full it is, and when it began with a request.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def record(self, *arguments: Any, **named: Any) -> None:
        """Take a step's statistics."""

    def log_engine_initialized(self) -> None:
        """Take the news that the engine is ready."""

    def record_sleep_state(self, *arguments: Any, **named: Any) -> None:
        """Take the news that the engine sleeps, which none does."""

    def record_admission_rejection(self, reason: str) -> None:
        """Take the news of a request that vLLM refused."""


def occupancy(statistics: SchedulerStats | None, *, busy: bool) -> Occupancy:
    """Tell how full an engine is, as of its last step.

    After the last sequence was aborted there is no step, and nothing new in the statistics.
    """
    if statistics is None or not busy:
        return Occupancy()
    return Occupancy(statistics.num_running_reqs, statistics.kv_cache_usage)
