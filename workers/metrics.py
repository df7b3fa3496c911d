"""What a worker tells Prometheus: its engines, their loads, and its memory."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workers.models import Models
from workers.slot import READY

# Seconds: a small model from a warm cache, to a large one from the store.
_LOAD_SECONDS = (0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 600, 1200, 3600)


class LoadMetrics:
    """Counts loads; a cold start is what they take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._loads = Counter(
            "paddock_worker_loads", "Loads by how they ended", ("result",), registry=registry
        )
        self._seconds = Histogram(
            "paddock_worker_load_seconds",
            "Time from a model's first request until its engine was ready",
            buckets=_LOAD_SECONDS,
            registry=registry,
        )

    def loaded(self, seconds: float) -> None:
        """One took so long."""
        self._loads.labels("OK").inc()
        self._seconds.observe(seconds)

    def not_loaded(self, reason: str) -> None:
        """One failed, or was ended; the reason is an error's."""
        self._loads.labels(reason).inc()


class WorkerMetrics(Collector):
    """Reads everything else when it is asked for."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        """Give all families."""
        yield from self._engines()
        models = self._models
        loaded = sum(slot.state == READY for slot in models.engines)
        yield _gauge("loaded_models", "Models whose engine is ready", loaded)
        sleepers = models.engines.sleepers
        yield _gauge("sleeping_models", "Models that left the GPU to others", len(sleepers))
        yield _gauge("sleeping_memory_bytes", "RAM that these take", sleepers.host_memory)
        yield _gauge("memory_used_bytes", "Memory that engines take of the budget", models.memory)
        yield _gauge("memory_budget_bytes", "Memory that engines may take", models.budget)

    def describe(self) -> Iterator[Metric]:
        """Give none: their names are found by collecting."""
        return iter(())

    def _engines(self) -> Iterator[Metric]:
        running = _by_model("running_sequences", "Sequences that an engine computes")
        waiting = _by_model("waiting_sequences", "Requests that wait for a load, or for their turn")
        cache = _by_model("kv_cache_usage_ratio", "Share of the key-value cache that is in use")
        for name, values in self._values().items():
            for family, value in zip((running, waiting, cache), values, strict=True):
                family.add_metric([name], value)
        yield from (running, waiting, cache)

    def _values(self) -> dict[str, tuple[int, int, float]]:
        """Give what runs, what waits and the cache's use, by the model that engines are for.

        A name has two engines while its weights change: what counts is both, and the fuller.
        """
        values: dict[str, tuple[int, int, float]] = {}
        for slot in self._models.engines:
            requests = sum(it.active for it in self._models.residents.of(slot.key))
            running, cache = 0, 0.0
            if slot.state == READY and slot.engine:
                running, cache = slot.engine.occupancy.running, slot.engine.occupancy.cache
            other = values.get(slot.spec.name, (0, 0, 0.0))
            waiting = max(requests - running, 0)
            values[slot.spec.name] = (
                other[0] + running,
                other[1] + waiting,
                max(other[2], cache),
            )
        return values


def _by_model(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"paddock_worker_{name}", text, labels=["model"])


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"paddock_worker_{name}", text, value=value)
