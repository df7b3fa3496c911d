"""Images as `make images` left them: each process starts, is healthy, answers, and leaves.

`make images-check` runs it, as root and with buildah; `make test` does not. REGISTRY, TAG and
ENGINE say which images. Workers in images for GPUs only simulate their engines.
"""

import asyncio
import dataclasses
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import ollama
import psutil
import pytest

from cli.demo import install_demo
from cli.main import DEMO_MODEL
from scripts.build_images import version
from tests.integration.suite import eventually
from tests.k8s.manifests import Container
from tests.k8s.rendering import Combination, render
from tests.k8s_images.container import Contained, Image, mounted, running
from tests.k8s_images.installation import PROCESSES, Installation

ENGINE = os.environ.get("ENGINE") or "cpu"
TITLES = dict.fromkeys(PROCESSES, "paddock") | {"worker": f"paddock-worker-{ENGINE}"}
SIMULATED = {"PADDOCK_ENGINE": "simulated"}


@pytest.fixture(scope="session")
def images() -> Iterator[Mapping[str, Image]]:
    registry = os.environ.get("REGISTRY") or "localhost"
    tag = os.environ.get("TAG") or version()
    with ExitStack() as stack:
        by_title = {
            title: stack.enter_context(mounted(f"{registry}/{title}:{tag}"))
            for title in sorted(set(TITLES.values()))
        }
        yield {name: by_title[title] for name, title in TITLES.items()}


@pytest.fixture(scope="session")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Container]:
    overlay = Combination("local" if ENGINE == "cpu" else "gpu")
    manifests = render(overlay, tmp_path_factory.mktemp("overlay"))
    return {container.spec["name"]: container for container in manifests.containers}


@pytest.fixture
def installation(
    images: Mapping[str, Image], containers: Mapping[str, Container], tmp_path: Path
) -> Installation:
    return Installation(images, containers, tmp_path)


def dead_children(process: Contained) -> list[psutil.Process]:
    """Give those that have ended and that nobody has asked about."""
    children = process.first.children(recursive=True)
    return [child for child in children if child.status() == psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("name", TITLES)
def test_an_image_says_what_it_is(images: Mapping[str, Image], name: str) -> None:
    labels = images[name].labels
    assert labels["org.opencontainers.image.title"] == TITLES[name]
    assert labels["org.opencontainers.image.version"] == version()


@pytest.mark.parametrize("name", PROCESSES)
async def test_a_process_starts_alone_and_leaves_when_asked(
    installation: Installation, name: str
) -> None:
    with installation.started(name, SIMULATED) as process:
        await installation.until_live(name, process)
        assert process.first.uids().real == process.first.gids().real == 65532
        assert process.terminate(20) == 0, process.log.read_text()


async def test_a_process_that_has_hardly_begun_leaves_when_asked(
    installation: Installation,
) -> None:
    with installation.started("worker", {}) as process:
        await asyncio.sleep(0.3)  # it imports for longer
        process.terminate(10)


async def test_a_new_installation_answers(installation: Installation) -> None:
    engine = SIMULATED if ENGINE == "gpu" else {}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(installation.started(name, engine)) for name in PROCESSES
        }
        await installation.until_found("/readyz", processes["gateway"])
        await install_demo(installation.url, DEMO_MODEL)
        client = ollama.AsyncClient(installation.url)
        answer = await client.generate("demo", "Once upon a time", options={"num_predict": 8})
        assert answer.response
        await client.generate("demo", keep_alive=0)
        eventually(lambda: not ollama.Client(installation.url).ps().models, 30)
        for process in processes.values():
            assert dead_children(process) == []
        for name in reversed(PROCESSES):
            assert processes[name].terminate(20) == 0, processes[name].log.read_text()


async def test_the_command_line_is_in_the_image(
    images: Mapping[str, Image], tmp_path: Path
) -> None:
    image = dataclasses.replace(images["gateway"], entrypoint=("paddock",))
    with running(image, ["--version"], {}, {}, tmp_path / "log") as process:
        process.outside.wait(30)
        assert version() in process.log.read_text()
