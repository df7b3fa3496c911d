"""What vLLM's scheduler says about itself after each step: the newest of it alone is kept."""

from typing import Any

from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import PrometheusStatLogger
from vllm.v1.metrics.stats import SchedulerStats

from workers.engine import Occupancy


class LatestStatistics(PrometheusStatLogger):
    """Stands where vLLM's own metrics would: those cost time for every token.

    They would be of the engine that was started last, besides, and of no other. With a logger
    of any kind vLLM notes the times of each request, which `Timing` is made from.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.latest: SchedulerStats | None = None

    def record(self, scheduler_stats: SchedulerStats | None, *rest: Any, **named: Any) -> None:
        """Take a step's statistics."""
        self.latest = scheduler_stats or self.latest

    def log_engine_initialized(self) -> None:
        """Take the news that the engine is ready."""

    def record_sleep_state(self, *arguments: Any, **named: Any) -> None:
        """Take the news that the engine sleeps, which none does."""

    def record_admission_rejection(self, reason: str) -> None:
        """Take the news of a request that vLLM refused."""


def occupancy(llm: AsyncLLM) -> Occupancy:
    """Tell how full an engine is.

    After the last sequence was aborted there is no step, and nothing new in the statistics.
    """
    assert llm.logger_manager
    [logger] = llm.logger_manager.stat_loggers
    assert isinstance(logger, LatestStatistics)
    if logger.latest is None or not llm.output_processor.has_unfinished_requests():
        return Occupancy()
    return Occupancy(logger.latest.num_running_reqs, logger.latest.kv_cache_usage)
