"""A worker with the demo model alone: `python -m bench.worker_alone ADDRESS`."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench.token_cost import DEMO, SEQUENCES, demo_spec
from common.process import follow_parent
from common.server import Server
from protos.paddock.v1 import model_pb2, worker_pb2_grpc
from tests.workers.fakes import NoFiles
from workers.engine import Engine, Plan
from workers.models import Models
from workers.servicer import WorkerServicer
from workers.vllm_factory import VllmFactory

_MEMORY = 1 << 30
_FOREVER = -1


class DemoFactory(VllmFactory):
    """Starts engines with the demo model where it lies."""

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        """Plan for the demo model."""
        return super().plan(spec, DEMO, budget)

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> Engine:
        """Start the demo model."""
        return await super().start(spec, DEMO, plan)


async def serve(address: str) -> None:
    """Load the model, then serve for ever."""
    with TemporaryDirectory() as failures:
        factory = DemoFactory(
            Path(failures), max_sequences=SEQUENCES, context_length=None, accelerator=False
        )
        models = Models(factory, NoFiles(), budget=_MEMORY, keep_alive=_FOREVER)
        async with models.use(demo_spec(), _FOREVER):
            pass
        server = Server()
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(WorkerServicer(models), server.grpc)
        await server.start(address, "paddock.v1.WorkerService")
        await server.set_serving(True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    follow_parent()
    uvloop.run(serve(sys.argv[1]))
