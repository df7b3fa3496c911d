"""`python -m services.inference`: the Inference service as a process."""

import asyncio

from common.cpus import answer_on
from common.metrics import metrics_served
from common.process import run_process
from common.rpc import open_channel
from common.server import Server
from common.settings import read_settings, seconds
from protos.paddock.v1 import inference_pb2, inference_pb2_grpc, registry_pb2_grpc
from services.inference.admission import Admission
from services.inference.answers import Answers
from services.inference.calls import Calls
from services.inference.capacity import Capacities
from services.inference.fleet import Fleet
from services.inference.metrics import RouterMetrics
from services.inference.replicas import Replicas
from services.inference.resolver import Resolver
from services.inference.router import Router
from services.inference.routing import AffinityRouting, RoundRobin
from services.inference.scaling import Scaling
from services.inference.servicer import InferenceServicer
from services.inference.settings import InferenceSettings

# Seconds before the end of the grace period, at most, at which what still runs is interrupted:
# its callers are to hear of it.
_LAST_WORDS = 1.0


async def serve(settings: InferenceSettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let running requests finish, or go on elsewhere."""
    scaling = Scaling(settings.replica_load, settings.max_replicas)
    routing = RoundRobin() if settings.routing == "round-robin" else AffinityRouting(scaling)
    fleet = Fleet(settings.workers, routing, interval=seconds(settings.lookup_interval))
    admission = Admission(
        settings.max_queue, Capacities(fleet).of, seconds(settings.queue_timeout) or None
    )
    replicas = Replicas(
        fleet,
        lambda wanted: admission.waiting(wanted.weights),
        scaling,
        seconds(settings.replica_delay),
    )
    async with open_channel(settings.registry) as channel:
        resolver = Resolver(registry_pb2_grpc.RegistryServiceStub(channel))
        router = Router(resolver, fleet, admission, seconds(settings.load_timeout))
        server = Server()
        calls = Calls()
        answers = Answers(router, calls)
        servicer = InferenceServicer(router, fleet, answers, calls)
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server.grpc)
        service = inference_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name
        server.metrics.register(RouterMetrics(admission, router, answers, fleet))
        await server.start(settings.listen, service, probes=settings.probes)
        async with metrics_served(settings.metrics, server.metrics), asyncio.TaskGroup() as group:
            following = [
                group.create_task(fleet.follow()),
                group.create_task(replicas.follow()),
                group.create_task(admission.follow(fleet.change)),
            ]
            await server.set_serving(True)
            answer_on(settings.serving_cpus)
            await stop.wait()
            await server.set_serving(False)
            await asyncio.sleep(seconds(settings.drain_delay))
            calls.leave()
            admission.leave()
            await _drain(server, calls, seconds(settings.drain_timeout))
            for task in following:
                task.cancel()


async def _drain(server: Server, calls: Calls, grace: float) -> None:
    """Take no new calls; give those that run time to finish, and send the rest elsewhere."""
    stopping = asyncio.create_task(server.stop(grace))
    await asyncio.wait({stopping}, timeout=grace - min(_LAST_WORDS, grace / 4))
    calls.interrupt()
    await stopping


def main() -> None:
    """Start the process."""
    settings = read_settings(InferenceSettings, "python -m services.inference")
    run_process("inference", settings.log_level, lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
