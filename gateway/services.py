"""The three services behind the gateway, one kept channel each."""

import asyncio

from aiohttp import web

from common.blob_messages import write_method
from common.rpc import is_serving, open_channel
from gateway.answer_streams import AnswerStreams
from protos.paddock.v1 import blob_pb2_grpc, inference_pb2_grpc, registry_pb2_grpc


class Services:
    """Typed stubs of the services, and whether they take work."""

    def __init__(self, *, blob: str, registry: str, inference: str) -> None:
        self._addresses = {"blob": blob, "registry": registry, "inference": inference}
        self._channels = {name: open_channel(address) for name, address in self._addresses.items()}
        self.blob = blob_pb2_grpc.BlobServiceStub(self._channels["blob"])
        self.write_blob = write_method(self._channels["blob"])
        self.registry = registry_pb2_grpc.RegistryServiceStub(self._channels["registry"])
        self.inference = inference_pb2_grpc.InferenceServiceStub(self._channels["inference"])
        self.answers = AnswerStreams(self.inference)

    async def not_serving(self, timeout: float) -> list[str]:
        """Name the services that do not report SERVING within `timeout` seconds."""
        serving = await asyncio.gather(
            *(is_serving(address, timeout) for address in self._addresses.values())
        )
        return [name for name, good in zip(self._addresses, serving, strict=True) if not good]

    async def close(self) -> None:
        """Close the channels; calls still running are cancelled."""
        await self.answers.close()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


SERVICES = web.AppKey("services", Services)
