"""The three services behind the gateway, one kept channel each."""

import asyncio
from typing import Any

import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2_grpc, inference_pb2_grpc, registry_pb2_grpc


class Services:
    """Typed stubs of the services, and whether they take work."""

    def __init__(self, *, blob: str, registry: str, inference: str) -> None:
        self._channels = {
            "blob": open_channel(blob),
            "registry": open_channel(registry),
            "inference": open_channel(inference),
        }
        self.blob = blob_pb2_grpc.BlobServiceStub(self._channels["blob"])
        self.registry = registry_pb2_grpc.RegistryServiceStub(self._channels["registry"])
        self.inference = inference_pb2_grpc.InferenceServiceStub(self._channels["inference"])

    async def not_serving(self, timeout: float) -> list[str]:
        """Name the services that do not report SERVING within `timeout` seconds."""
        serving = await asyncio.gather(
            *(_is_serving(channel, timeout) for channel in self._channels.values())
        )
        return [name for name, good in zip(self._channels, serving, strict=True) if not good]

    async def close(self) -> None:
        """Close the channels; calls still running are cancelled."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


async def _is_serving(channel: grpc.aio.Channel, timeout: float) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


SERVICES = web.AppKey("services", Services)
