"""What a router tells Prometheus: queues, requests, and the workers that it sees.

The queues are this router's own; what counts for scaling is their sum over all routers.
"""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.inference.admission import Admission, Queue
from services.inference.answers import Answers
from services.inference.fleet import Fleet
from services.inference.placement import READY
from services.inference.router import Router


class RouterMetrics(Collector):
    """Reads everything when it is asked for."""

    def __init__(
        self, admission: Admission, router: Router, answers: Answers, fleet: Fleet
    ) -> None:
        self._admission = admission
        self._router = router
        self._answers = answers
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        """Give all families."""
        yield from self._queues()
        yield from self._workers()
        ended = CounterMetricFamily(
            "paddock_answers", "Answers by how they ended", labels=["result"]
        )
        for result, number in self._answers.ended.items():
            ended.add_metric([result], number)
        yield ended
        refused = CounterMetricFamily(
            "paddock_requests_refused", "Requests that found a full queue"
        )
        refused.add_metric([], self._admission.refused)
        yield refused
        moved = CounterMetricFamily(
            "paddock_answers_moved", "Times that another worker went on with an answer"
        )
        moved.add_metric([], self._router.moved)
        yield moved

    def describe(self) -> Iterator[Metric]:
        """Give none: their names are found by collecting."""
        return iter(())

    def _queues(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "paddock_queue_requests", "Requests that wait for their turn", labels=["model"]
        )
        oldest = GaugeMetricFamily(
            "paddock_queue_oldest_seconds", "Time that the first of them waits", labels=["model"]
        )
        running = GaugeMetricFamily(
            "paddock_requests_in_flight", "Requests that went on to a worker", labels=["model"]
        )
        for queue in self._queues_by_name():
            waiting.add_metric([queue.model], queue.waiting)
            oldest.add_metric([queue.model], queue.oldest)
            running.add_metric([queue.model], queue.admitted)
        yield from (waiting, oldest, running)

    def _queues_by_name(self) -> Iterable[Queue]:
        """Give a queue for each model that is loaded or asked for.

        A name that was given to other weights has one queue all the same.
        """
        loaded = (
            held.spec.name
            for candidate in self._fleet.candidates()
            for held in candidate.held
            if held.state == READY
        )
        queues = {name: Queue(name, 0, 0, 0.0) for name in loaded}
        for queue in self._admission.queues():
            other = queues.get(queue.model, Queue(queue.model, 0, 0, 0.0))
            queues[queue.model] = Queue(
                queue.model,
                other.admitted + queue.admitted,
                other.waiting + queue.waiting,
                max(other.oldest, queue.oldest),
            )
        return queues.values()

    def _workers(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "paddock_worker_up", "Workers that this router can reach", labels=["worker"]
        )
        draining = GaugeMetricFamily(
            "paddock_worker_draining", "Whether a worker takes no new work", labels=["worker"]
        )
        for candidate in self._fleet.candidates():
            up.add_metric([candidate.address], 1)
            draining.add_metric([candidate.address], candidate.draining)
        yield from (up, draining)
