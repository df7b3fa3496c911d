"""Several processes of each kind: they agree, and those that die or leave cost nobody a stream."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.cluster import SIMULATED, Cluster, Shape, running_cluster
from tests.integration.load import Load, running_load, undisturbed
from tests.integration.node import Node
from tests.integration.questions import Answer, Question, make_questions

pytestmark = pytest.mark.asyncio(loop_scope="module")

Expected = Mapping[Question, Answer]

_CLIENTS = 14
_SHAPE = Shape(
    gateways=2,
    routers=2,
    workers=3,
    # Long enough for the balancer to see that a gateway is not ready any more.
    gateway_flags=("--drain-delay", "2s"),
    # Shorter than answers take: they have to go on elsewhere.
    router_flags=("--drain-timeout", "500ms"),
    worker_flags=(*SIMULATED, "--drain-timeout", "500ms"),
)

_CHAOS_SECONDS = float(os.environ.get("PADDOCK_CHAOS_SECONDS", "20"))
_CHAOS_SEED = int(os.environ.get("PADDOCK_CHAOS_SEED", "1"))
_LONGEST_PAUSE = 4.0  # seconds between two kills of one kind


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(
    tmp_path_factory: pytest.TempPathFactory, demo_store: Path
) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("crowd")
    async with running_cluster(folder, demo_store, _SHAPE) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def expected(crowd: Cluster) -> Expected:
    """What the answers are while nothing is wrong."""
    return await undisturbed(crowd.gateways[0], make_questions("demo", 21))


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(crowd: Cluster) -> AsyncIterator[Cluster]:
    """All processes, running whatever the test before did."""
    await crowd.repair()
    yield crowd


async def test_every_gateway_and_router_gives_the_same_answers(
    cluster: Cluster, expected: Expected
) -> None:
    for gateway in cluster.gateways:
        for _ in cluster.routers:  # they take turns
            assert await undisturbed(gateway, list(expected)) == expected


async def test_a_model_that_one_router_loaded_is_used_by_the_other(cluster: Cluster) -> None:
    before = (await cluster.get("/api/ps", 0))["models"]
    for gateway, _ in enumerate(cluster.gateways):
        for _ in cluster.routers:
            await cluster.post("/api/generate", {"model": "demo", "keep_alive": "1h"}, gateway)
    lists = [
        (await cluster.get("/api/ps", gateway))["models"]
        for gateway, _ in enumerate(cluster.gateways)
        for _ in cluster.routers
    ]
    assert len(lists[0]) == max(len(before), 1)
    assert [{model["worker"] for model in models} for models in lists] == [
        {model["worker"] for model in lists[0]}
    ] * len(lists)


async def test_no_stream_notices_that_its_worker_was_killed(
    cluster: Cluster, expected: Expected
) -> None:
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await (await cluster.busiest()).kill()
        await load.turnover()


async def test_all_workers_may_die_where_one_comes_back(
    cluster: Cluster, expected: Expected
) -> None:
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await asyncio.gather(*(worker.kill() for worker in cluster.workers))
        await cluster.workers[0].restart()
        await load.turnover()


async def test_answers_go_on_through_another_router(cluster: Cluster, expected: Expected) -> None:
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await cluster.routers[0].kill()
        await load.turnover()


async def test_all_routers_may_die_where_one_comes_back(
    cluster: Cluster, expected: Expected
) -> None:
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await asyncio.gather(*(router.kill() for router in cluster.routers))
        await cluster.routers[1].restart()
        await load.turnover()


@pytest.mark.parametrize("kind", ["registry", "blob"])
async def test_streams_do_without_a_service_until_it_is_back(
    cluster: Cluster, expected: Expected, kind: str
) -> None:
    service = cluster.registry if kind == "registry" else cluster.blob
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await service.kill()
        await service.restart()
        await load.turnover()
    assert (await cluster.get("/api/tags"))["models"]


async def test_a_killed_gateway_breaks_the_streams_of_its_own_clients_alone(
    cluster: Cluster, expected: Expected
) -> None:
    killed = cluster.gateways[0]
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await killed.kill()
        await load.turnover()
        await killed.restart()
        await load.turnover()
    assert load.report.broken
    assert all(stream.gateway is killed for stream in load.report.broken)


async def test_a_rolling_restart_loses_nothing(cluster: Cluster, expected: Expected) -> None:
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        for node in cluster.nodes:
            await load.under_way()
            load.note(f"{node.name} is asked to leave")
            await node.terminate()
            load.note(f"{node.name} has left")
            await node.restart()
        await load.turnover()
    assert not load.report.broken


@pytest.mark.timeout(120 + _CHAOS_SECONDS)
async def test_every_stream_is_accounted_for_while_processes_are_killed_at_random(
    cluster: Cluster, expected: Expected
) -> None:
    async with running_load(cluster.gateways, expected, _CLIENTS) as load:
        await load.under_way()
        await _kill_at_random(cluster, load)
        await load.turnover()
    assert (await cluster.get("/api/tags"))["models"]


async def _kill_at_random(cluster: Cluster, load: Load) -> None:
    """Kill one process of each kind again and again, each kind in its own time."""
    kinds = [
        [cluster.blob],
        [cluster.registry],
        cluster.workers,
        cluster.routers,
        cluster.gateways,
    ]
    end = time.monotonic() + _CHAOS_SECONDS
    async with asyncio.TaskGroup() as group:
        for number, nodes in enumerate(kinds):
            chances = random.Random(_CHAOS_SEED * 100 + number)
            group.create_task(_kill_one_of(nodes, chances, end, load))


async def _kill_one_of(nodes: list[Node], chances: random.Random, end: float, load: Load) -> None:
    while time.monotonic() < end and not load.report.losses:
        await asyncio.sleep(chances.uniform(0, _LONGEST_PAUSE))
        node = chances.choice(nodes)
        load.note(f"{node.name} is killed")
        await node.kill()
        await asyncio.sleep(chances.uniform(0, _LONGEST_PAUSE / 8))
        await node.restart()
        load.note(f"{node.name} is back")
