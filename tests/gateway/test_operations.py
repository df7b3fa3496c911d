"""What operators look at: `/api/ps`, `/metrics`, `/healthz`, `/readyz`."""

import re
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.metrics import METRICS, Metrics, count_requests
from protos.paddock.v1 import inference_pb2
from tests.gateway.conftest import World
from tests.gateway.fakes import DETAILS

READY = inference_pb2.RunningModel(
    name="tiny:latest",
    digest="b" * 64,
    worker="w1",
    details=DETAILS,
    memory=100,
    accelerator_memory=60,
    expires_at=Timestamp(seconds=1_700_000_000),
    context_length=2048,
    running=2,
    waiting=1,
    load_duration=2_500_000_000,
)
LOADING = inference_pb2.RunningModel(
    name="big:latest",
    worker="w2",
    loading=True,
    phase="fetching",
    fetched=3,
    files_size=10,
    load_duration=1_000_000_000,
)


async def text(world: World, path: str, status: int = 200) -> str:
    async with world.http.get(path) as response:
        assert response.status == status
        return await response.text()


async def ps(world: World) -> list[dict[str, Any]]:
    async with world.http.get("/api/ps") as response:
        answer: dict[str, list[dict[str, Any]]] = await response.json()
    return answer["models"]


async def test_ps_of_nothing_is_an_empty_list(world: World) -> None:
    assert await ps(world) == []


async def test_ps_tells_size_expiry_and_requests(world: World) -> None:
    world.backend.inference.running = [READY, LOADING]
    ready, loading = await ps(world)
    details = ready.pop("details")
    assert details["quantization_level"] == "BF16"
    assert ready == {
        "name": "tiny:latest",
        "model": "tiny:latest",
        "digest": "b" * 64,
        "size": 100,
        "size_vram": 60,
        "expires_at": "2023-11-14T22:13:20.000000000Z",
        "context_length": 2048,
        "worker": "w1",
        "loading": False,
        "requests": {"running": 2, "waiting": 1},
    }
    assert loading["loading"] is True
    assert loading["status"] == {"phase": "fetching", "completed": 3, "total": 10}
    assert loading["size"] == 10
    assert loading["expires_at"].startswith("2318-")


async def test_metrics_count_requests_by_route_and_status(world: World) -> None:
    await text(world, "/api/version")
    await text(world, "/nope/1", 404)
    await world.post("/api/chat", {"model": "nope", "messages": [{"role": "user"}]})
    counted = await text(world, "/metrics")
    for method, route, status in (
        ("GET", "/api/version", 200),
        ("GET", "unknown", 404),
        ("POST", "/api/chat", 404),
    ):
        labels = f'{{method="{method}",route="{route}",status="{status}"}}'
        assert f"paddock_http_requests_total{labels} 1.0" in counted
    assert "paddock_http_requests_in_flight 1.0" in counted
    assert "process_resident_memory_bytes" in counted


@pytest.mark.parametrize(
    ("raised", "status"), [(web.HTTPFound("/"), 302), (RuntimeError("a defect"), 500)]
)
async def test_what_is_raised_is_counted_by_its_status(raised: Exception, status: int) -> None:
    async def fail(request: web.Request) -> web.Response:
        raise raised

    app = web.Application(middlewares=[count_requests])
    app[METRICS] = Metrics()
    app.add_routes([web.get("/fail", fail)])
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/fail", allow_redirects=False)
        assert response.status == status
    labels = {"method": "GET", "route": "/fail", "status": str(status)}
    assert app[METRICS].registry.get_sample_value("paddock_http_requests_total", labels) == 1


async def test_metrics_show_the_models_that_run(world: World) -> None:
    world.backend.inference.running = [READY, LOADING]
    shown = await text(world, "/metrics")
    labels = '{model="tiny:latest",worker="w1"}'
    assert f"paddock_running_sequences{labels} 2.0" in shown
    assert f"paddock_waiting_sequences{labels} 1.0" in shown
    assert f"paddock_model_load_seconds{labels} 2.5" in shown
    assert "paddock_loaded_models 1.0" in shown
    loading = '{model="big:latest",worker="w2"}'
    assert f"paddock_model_load_seconds{loading} 1.0" in shown
    assert f"paddock_loading_fetched_bytes{loading} 3.0" in shown
    assert f"paddock_loading_files_bytes{loading} 10.0" in shown
    assert "paddock_loading_models 1.0" in shown
    assert "paddock_inference_reachable 1.0" in shown
    world.backend.inference.running = []
    assert "tiny" not in re.sub(r"# .*", "", await text(world, "/metrics"))


async def test_metrics_without_the_inference_service(world: World) -> None:
    await world.backend.server.stop(0)
    assert "paddock_inference_reachable 0.0" in await text(world, "/metrics")


async def test_ready_when_all_services_take_work(world: World) -> None:
    assert await text(world, "/readyz") == "ok"
    await world.backend.server.set_serving(False)
    assert "blob, registry, inference" in await text(world, "/readyz", 503)
    await world.backend.server.stop(0)
    await text(world, "/readyz", 503)
    assert await text(world, "/readyz/gateway") == "ok"
    assert await text(world, "/healthz") == "ok"
