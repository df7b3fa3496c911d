"""`python -m services.registry`: the Registry service as a process."""

import asyncio

from common.metrics import metrics_served
from common.process import run_process
from common.rpc import open_channel
from common.server import Server
from common.settings import read_settings, seconds
from protos.paddock.v1 import registry_pb2, registry_pb2_grpc
from services.registry.blob_client import BlobClient
from services.registry.remote.client import RemoteClient
from services.registry.servicer import RegistryServicer
from services.registry.settings import RegistrySettings


async def serve(settings: RegistrySettings, stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let running calls finish."""
    async with open_channel(settings.blob) as channel, RemoteClient(settings.remote) as remote:
        server = Server()
        servicer = RegistryServicer(
            BlobClient(channel, settings.blob),
            remote,
            settings.modelfiles,
            seconds(settings.name_lease),
        )
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server.grpc)
        service = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name
        await server.start(settings.listen, service, probes=settings.probes)
        preparing = asyncio.create_task(servicer.prepare())
        async with metrics_served(settings.metrics, server.metrics):
            await server.serve_until(stop, seconds(settings.drain_timeout))
        preparing.cancel()


def main() -> None:
    """Start the process."""
    settings = read_settings(RegistrySettings, "python -m services.registry")
    run_process("registry", settings.log_level, lambda stop: serve(settings, stop))


if __name__ == "__main__":
    main()
