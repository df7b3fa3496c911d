"""The overlay `gpu` in the cluster, with streams through all that is done to it.

`test_rollout.py` runs this in namespaces of its own. A test begins with what the one before left.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio

from cli.demo import install_demo
from cli.main import DEMO_MODEL
from tests.integration.calls import running_calls
from tests.integration.cluster import get_json
from tests.integration.load import undisturbed
from tests.integration.questions import Answer, ask
from tests.k8s.manifests import Object
from tests.k8s.rendering import Combination, render
from tests.k8s_rollout.clients import (
    Entrance,
    Expected,
    long_question,
    questions,
    streams,
    traffic,
)
from tests.k8s_rollout.cluster import Cluster, running_cluster
from tests.k8s_rollout.name_server import CACHED
from tests.k8s_rollout.pod import Pod
from tests.k8s_rollout.replacements import without_gpus
from tests.k8s_rollout.service_proxy import ServiceProxy
from tests.servers.swift import ACCESS_KEY, REGION, SECRET_KEY, Swift, running_swift

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BLOB = "Deployment/paddock-blob"
REGISTRY = "Deployment/paddock-registry"
INFERENCE = "Deployment/paddock-inference"
GATEWAY = "Deployment/paddock-gateway"
WORKER = "StatefulSet/paddock-worker"
BUCKET = "paddock-models"

LONG = 3500  # tokens, of 20 ms each: longer than PADDOCK_DRAIN_TIMEOUT of workers
HALTED = 8.0  # seconds in which a roll-out would have gone on


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    with running_swift(tmp_path_factory.mktemp("swift")) as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, swift: Swift) -> AsyncIterator[Cluster]:
    """Everything applied at once, and ready."""
    manifests = without_gpus(render(Combination("gpu"), tmp_path_factory.mktemp("overlay")))
    async with (
        running_cluster(tmp_path_factory.mktemp("cluster"), nodes=2) as running,
        bucket_outside(running, swift) as secret,
    ):
        await running.apply([secret, *manifests.objects])
        for workload in running.workloads:
            await running.rolled_out(workload)
        await running.settled()
        yield running


@asynccontextmanager
async def bucket_outside(cluster: Cluster, swift: Swift) -> AsyncIterator[Object]:
    """Let pods reach the bucket at port 443; give the secret that docs/kubernetes.md asks for."""
    address = await cluster.network.add_service()
    proxy = ServiceProxy(lambda: [("127.0.0.1", swift.ports["proxy"])])
    await proxy.start(address, 443)
    yield {
        "kind": "Secret",
        "metadata": {"name": "paddock-s3"},
        "stringData": {
            "access-key-id": ACCESS_KEY,
            "secret-access-key": SECRET_KEY,
            "region": REGION,
            "endpoint-url": f"http://{address}:443",
        },
    }
    proxy.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def entrance(cluster: Cluster) -> Entrance:
    """The Service, with a model behind it."""
    found = Entrance(cluster.services.address("paddock"))
    await is_answered(found)
    await install_demo(found.url, DEMO_MODEL)
    return found


async def is_answered(entrance: Entrance) -> None:
    """Wait until all have found each other: that a name did not exist is remembered for a while."""
    async with asyncio.timeout(CACHED), aiohttp.ClientSession(entrance.url) as session:
        while True:
            async with session.get("/api/tags") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def expected(entrance: Entrance) -> Expected:
    return await undisturbed(entrance, questions())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def passengers(entrance: Entrance) -> AsyncIterator[list[asyncio.Task[Answer]]]:
    """Two equal streams that are longer than a worker may drain."""
    streams = [asyncio.create_task(ask_for(entrance, LONG)) for _ in range(2)]
    yield streams
    for stream in streams:
        stream.cancel()


async def ask_for(entrance: Entrance, tokens: int) -> Answer:
    return await ask(entrance.url, long_question(tokens), lambda _: None)


async def test_every_process_is_replaced_and_no_stream_notices(
    cluster: Cluster, entrance: Entrance, expected: Expected
) -> None:
    before = cluster.pods
    async with traffic(entrance, expected) as load:
        cluster.restart(WORKER)  # takes longest: each is to be ready for half a minute
        for workload in (BLOB, REGISTRY, INFERENCE, GATEWAY):
            load.note(f"{workload} rolls")
            cluster.restart(workload)
            await cluster.rolled_out(workload)
        await cluster.rolled_out(WORKER)
        load.note("all have rolled")
    assert all(pod.leaving for pod in before)


async def test_a_node_is_drained_and_no_stream_notices(
    cluster: Cluster,
    entrance: Entrance,
    expected: Expected,
    passengers: list[asyncio.Task[Answer]],
) -> None:
    node = await node_at_work(cluster, entrance)
    there = [pod for pod in cluster.pods if pod.assignment.node == node and not pod.leaving]
    async with traffic(entrance, expected) as load:
        load.note(f"{node} is drained")
        draining = cluster.drain(node)
        await cluster.until(lambda: all(pod.leaving for pod in there))
        for workload in (BLOB, REGISTRY, INFERENCE, GATEWAY):
            await cluster.rolled_out(workload)
    assert not [
        pod.name
        for pod in cluster.pods
        if pod.assignment.node == node and pod not in there and not pod.leaving
    ]
    cluster.uncordon(node)
    assert not draining.done()


async def node_at_work(cluster: Cluster, entrance: Entrance) -> str:
    """Find the node whose worker computes something."""
    async with aiohttp.ClientSession(entrance.url) as session:
        while True:
            models = (await get_json(session, "/api/ps"))["models"]
            for model in models:
                if model["requests"]["running"]:
                    name = model["worker"].rsplit("-", 2)[0]
                    return next(it.assignment.node for it in cluster.pods if it.name == name)
            await asyncio.sleep(0.1)


async def test_a_wrong_setting_halts_a_roll_out_and_the_old_go_on(
    cluster: Cluster, entrance: Entrance, expected: Expected
) -> None:
    [container] = cluster.template(BLOB)["spec"]["containers"]
    [store] = [it for it in container["env"] if it["name"] == "PADDOCK_STORE"]
    good = staying(cluster, BLOB)
    async with traffic(entrance, expected):
        store["value"] = "s3://no-such-bucket"
        await cluster.until(lambda: len(staying(cluster, BLOB)) == len(good) + 1)
        [wrong] = staying(cluster, BLOB) - good
        await asyncio.sleep(HALTED)
        assert not wrong.ready
        assert all(pod.ready for pod in good)
        assert staying(cluster, BLOB) == good | {wrong}
        store["value"] = f"s3://{BUCKET}"
        await cluster.rolled_out(BLOB)
    assert staying(cluster, BLOB) == good


def staying(cluster: Cluster, workload: str) -> set[Pod]:
    return {pod for pod in cluster.pods_of(workload) if not pod.leaving}


async def test_workers_that_are_added_are_found_and_those_that_go_are_left(
    cluster: Cluster, entrance: Entrance, expected: Expected
) -> None:
    async with traffic(entrance, expected) as load:
        cluster.scale(WORKER, 3)
        await cluster.rolled_out(WORKER)
        load.note("three workers are ready")
        addresses = {f"{it.address}:{it.ports['grpc']}" for it in staying(cluster, WORKER)}
        async with asyncio.timeout(CACHED + 15):
            while not addresses <= await workers_found(cluster):
                await asyncio.sleep(0.1)
        load.note("Inference has found them")
        cluster.scale(WORKER, 2)
        await cluster.until(lambda: len(cluster.pods_of(WORKER)) == 2)
        load.note("one is gone")


async def workers_found(cluster: Cluster) -> set[str]:
    """Give the addresses of the workers that all Inference processes reach."""
    found = []
    for pod in staying(cluster, INFERENCE):
        text = await metrics(pod, "metrics")
        found.append(set(re.findall(r'^paddock_worker_up{worker="(.+?)"} 1', text, re.MULTILINE)))
    return set.intersection(*found)


async def metrics(pod: Pod, port: str) -> str:
    """Give what Prometheus would be told."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{pod.address}:{pod.ports[port]}/metrics") as answer,
    ):
        return await answer.text()


async def test_long_streams_have_gone_on_elsewhere(
    cluster: Cluster, entrance: Entrance, passengers: list[asyncio.Task[Answer]]
) -> None:
    beginning = await ask_for(entrance, 100)
    first, second = await asyncio.gather(*passengers)
    assert first == second
    assert first.tokens == LONG
    assert first.text.startswith(beginning.text)


async def test_all_that_were_asked_to_leave_did_so_in_time(cluster: Cluster) -> None:
    await cluster.until(lambda: not any(pod.leaving for pod in cluster.pods))
    assert len(cluster.gone) >= len(cluster.pods)
    assert not [pod.name for pod in cluster.gone if pod.history.overdue]
    exits = {pod.name: pod.history.exits for pod in cluster.gone if pod.was_ready}
    assert all(statuses == [0] for statuses in exits.values()), exits


async def test_processes_are_killed_and_no_stream_notices(
    cluster: Cluster, entrance: Entrance, expected: Expected
) -> None:
    async with streams(entrance, expected) as load, running_calls(entrance.url):
        for workload in (BLOB, REGISTRY, INFERENCE, WORKER):
            killed = cluster.pods_of(workload)[0]
            load.note(f"{killed.name} is killed")
            await is_started_again(cluster, killed)


async def test_streams_of_a_killed_gateway_break_and_no_others(
    cluster: Cluster, entrance: Entrance, expected: Expected
) -> None:
    async with streams(entrance, expected) as load:
        while min(at_work := [await requests(pod) for pod in cluster.pods_of(GATEWAY)]) < 2:
            await asyncio.sleep(0.1)
        killed = cluster.pods_of(GATEWAY)[0]
        load.note(f"{killed.name} is killed, with {at_work[0]} requests")
        entrance.broken_since = time.monotonic()
        killed.kill()
        await cluster.until(lambda: not killed.ready)
        await cluster.settled()
        entrance.broken_until = time.monotonic()
        await is_ready_again(cluster, killed)
    assert [it for it in load.report.broken if it.lines]
    survivors = [it for it in load.report.complete if it.began < entrance.broken_since]
    assert [it for it in survivors if it.ended and it.ended > entrance.broken_since]


async def requests(gateway: Pod) -> int:
    """Count the streams that a gateway is at."""
    text = await metrics(gateway, "http")
    [value] = re.findall(r"^paddock_http_requests_in_flight (\d+)", text, re.MULTILINE)
    return int(value) - 1  # but for the one that asks


async def is_started_again(cluster: Cluster, killed: Pod) -> None:
    """Kill a pod's process, and wait until the pod is ready again."""
    killed.kill()
    await is_ready_again(cluster, killed)


async def is_ready_again(cluster: Cluster, killed: Pod) -> None:
    """Wait until a pod's process has ended, and another one is ready in its place."""
    await cluster.until(lambda: killed.history.exits)
    await cluster.until(lambda: killed.ready)
    assert killed.history.exits[-1] != 0
