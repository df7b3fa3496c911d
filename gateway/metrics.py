"""`GET /metrics`: this process, its requests, and the models that run, for Prometheus."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import grpc
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from common.durations import SECOND
from common.errors import Canceled, Internal
from gateway.services import SERVICES
from protos.paddock.v1 import inference_pb2

# A scrape must not wait longer than Prometheus does.
LIST_TIMEOUT_SECONDS = 5.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CONTENT_TYPE = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


class Metrics(Collector):
    """What this process counts; made into metrics when it is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(self)
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """Those that were answered, by method, route and status."""
        self.in_flight = 0

    def collect(self) -> Iterator[Metric]:
        """Give all families."""
        requests = CounterMetricFamily(
            "paddock_http_requests",
            "HTTP requests answered, by route and status (499: the client went away)",
            labels=("method", "route", "status"),
        )
        for (method, route, status), number in self.requests.items():
            requests.add_metric((method, route, str(status)), number)
        yield requests
        yield GaugeMetricFamily(
            "paddock_http_requests_in_flight", "HTTP requests being answered", self.in_flight
        )

    def describe(self) -> Iterator[Metric]:
        """Give none: their names are found by collecting."""
        return iter(())


METRICS = web.AppKey("metrics", Metrics)


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count each request by how it ended."""
    metrics = request.app[METRICS]
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "unknown"
    status = Internal.http_status
    metrics.in_flight += 1
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    except asyncio.CancelledError:
        status = Canceled.http_status
        raise
    finally:
        metrics.in_flight -= 1
        # Clients must not invent label values.
        method = request.method if request.method in _METHODS else "other"
        metrics.requests[method, route, status] += 1


async def show_metrics(request: web.Request) -> web.Response:
    """Give everything in Prometheus's text format; the cluster's gauges are read now."""
    cluster = CollectorRegistry()
    reachable = Gauge(
        "paddock_inference_reachable",
        "Whether the inference service answered this scrape",
        registry=cluster,
    )
    try:
        running = await request.app[SERVICES].inference.ListRunning(
            inference_pb2.ListRunningRequest(), timeout=LIST_TIMEOUT_SECONDS
        )
    except grpc.aio.AioRpcError:
        reachable.set(0)
    else:
        reachable.set(1)
        _describe_models(cluster, running)
    own = generate_latest(request.app[METRICS].registry)
    return web.Response(body=own + generate_latest(cluster), headers=_CONTENT_TYPE)


def _describe_models(
    cluster: CollectorRegistry, running: inference_pb2.ListRunningResponse
) -> None:
    labels = ("model", "worker")
    sequences = Gauge(
        "paddock_running_sequences", "Sequences on the engine", labels, registry=cluster
    )
    waiting = Gauge(
        "paddock_waiting_sequences", "Sequences in the engine's queue", labels, registry=cluster
    )
    memory = Gauge(
        "paddock_model_memory_bytes", "Memory that a model takes", labels, registry=cluster
    )
    load_time = Gauge(
        "paddock_model_load_seconds",
        "Time its load took, or has taken so far",
        labels,
        registry=cluster,
    )
    loaded = Gauge("paddock_loaded_models", "Models ready on a worker", registry=cluster)
    for model in running.models:
        sequences.labels(model.name, model.worker).set(model.running)
        waiting.labels(model.name, model.worker).set(model.waiting)
        memory.labels(model.name, model.worker).set(model.memory)
        load_time.labels(model.name, model.worker).set(model.load_duration / SECOND)
    loaded.set(sum(not model.loading for model in running.models))
    _describe_loads(cluster, [model for model in running.models if model.loading])


def _describe_loads(
    cluster: CollectorRegistry, models: Sequence[inference_pb2.RunningModel]
) -> None:
    labels = ("model", "worker")
    fetched = Gauge(
        "paddock_loading_fetched_bytes",
        "Bytes of a loading model's files that its worker has",
        labels,
        registry=cluster,
    )
    size = Gauge(
        "paddock_loading_files_bytes",
        "Bytes of all files of a loading model",
        labels,
        registry=cluster,
    )
    for model in models:
        fetched.labels(model.name, model.worker).set(model.fetched)
        size.labels(model.name, model.worker).set(model.files_size)
    loading = Gauge("paddock_loading_models", "Models that workers are loading", registry=cluster)
    loading.set(len(models))


ROUTES = [web.get("/metrics", show_metrics)]
