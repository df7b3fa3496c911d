"""Networks that delay, reset, refuse and stall between each pair of processes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.calls import running_calls
from tests.integration.cluster import LINKS, Cluster, Shape, running_cluster, until
from tests.integration.load import Load, running_load, undisturbed
from tests.integration.questions import Answer, Question, make_questions
from tests.servers.network_proxy import NetworkProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

Expected = Mapping[Question, Answer]

_CLIENTS = 10
_DELAY = 0.03  # seconds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(
    tmp_path_factory: pytest.TempPathFactory, demo_store: Path
) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("faults")
    async with running_cluster(folder, demo_store, Shape(1, 2, 2, faulty=LINKS)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def expected(crowd: Cluster) -> Expected:
    return await undisturbed(crowd.gateways[0], make_questions("demo", 14))


@pytest_asyncio.fixture(loop_scope="module")
async def cluster(crowd: Cluster) -> AsyncIterator[Cluster]:
    """All processes and good networks, whatever the test before did."""
    await crowd.repair()
    yield crowd


@asynccontextmanager
async def traffic(cluster: Cluster, expected: Expected) -> AsyncIterator[Load]:
    """Let clients stream and make other calls; fail when something was lost."""
    async with (
        running_calls(cluster.urls[0]),
        running_load(cluster.gateways, expected, _CLIENTS) as load,
    ):
        await load.under_way()
        yield load
        await load.turnover()


async def passes(network: NetworkProxy) -> None:
    """Wait until something goes through a network again."""
    before = network.carried

    async def has_carried() -> bool:
        return network.carried > before

    await until(has_carried)


async def refuses(network: NetworkProxy) -> None:
    """Refuse connections; wait until that has met one."""
    before = network.refusals
    network.refuse()

    async def has_refused() -> bool:
        return network.refusals > before

    await until(has_refused)


async def test_slow_networks_change_no_answer(cluster: Cluster, expected: Expected) -> None:
    async with traffic(cluster, expected):
        for networks in cluster.networks.values():
            for network in networks:
                network.delay = _DELAY


async def test_connections_that_break_are_made_again(cluster: Cluster, expected: Expected) -> None:
    async with traffic(cluster, expected) as load:
        for link, networks in cluster.networks.items():
            if link == "worker-blob":
                await forget_models(cluster)
            for network in networks:
                await passes(network)
                load.note(f"{link} is reset")
                network.reset()
                await passes(network)


async def test_servers_that_cannot_be_reached_are_found_again(
    cluster: Cluster, expected: Expected
) -> None:
    async with traffic(cluster, expected) as load:
        for link, networks in cluster.networks.items():
            if link == "worker-blob":
                await forget_models(cluster)
            load.note(f"{link} is refused")
            await refuses(networks[0])
            networks[0].heal()
            await passes(networks[0])


@pytest.mark.parametrize(
    "links",
    [
        ("gateway-inference",),
        ("inference-worker",),
        ("gateway-registry", "gateway-blob", "inference-registry", "registry-blob"),
        ("worker-blob",),
    ],
    ids=lambda links: links[0],
)
async def test_a_connection_that_says_nothing_is_given_up(
    cluster: Cluster, expected: Expected, links: tuple[str, ...]
) -> None:
    async with traffic(cluster, expected) as load:
        networks = [await busiest_network(cluster, link) for link in links]
        load.note(f"{links} are stalled")
        for network in networks:
            network.stall()
        if links == ("worker-blob",):
            await forget_models(cluster)
            await until_all_wait(networks)
        await asyncio.gather(*(network.given_up() for network in networks))
        load.note(f"{links} are healed")
        for network in networks:
            network.heal()


async def busiest_network(cluster: Cluster, link: str) -> NetworkProxy:
    """Choose the network, of those on a link, that more depends on than on the others."""
    at_work = cluster.workers.index(await cluster.busiest())
    return cluster.networks[link][at_work if link == "inference-worker" else 0]


async def forget_models(cluster: Cluster) -> None:
    """Start all workers anew, so that they have to fetch models."""
    await asyncio.gather(*(worker.kill() for worker in cluster.workers))
    await asyncio.gather(*(worker.restart() for worker in cluster.workers))


async def until_all_wait(networks: list[NetworkProxy]) -> None:
    """Wait until each network has a connection."""

    async def all_wait() -> bool:
        return all(network.connections for network in networks)

    await until(all_wait)
