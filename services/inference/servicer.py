"""InferenceService over a router and its fleet."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from common.run_stream import RunStream
from protos.paddock.v1 import generation_pb2, inference_pb2, inference_pb2_grpc, sequences_pb2
from services.inference.answers import Answers
from services.inference.calls import Calls
from services.inference.fleet import Fleet
from services.inference.router import Router
from services.inference.running import running_models


class InferenceServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Answers the RPCs of `inference.proto`."""

    def __init__(self, router: Router, fleet: Fleet, answers: Answers, calls: Calls) -> None:
        self._router = router
        self._fleet = fleet
        self._answers = answers
        self._calls = calls

    async def Run(
        self, request_iterator: AsyncIterator[inference_pb2.GenerateCommands], context: Any
    ) -> AsyncIterator[sequences_pb2.RunResponse]:
        stream = RunStream(self._answers.run, self._calls.left)
        async with aclosing(stream.responses(request_iterator)) as responses:
            async for response in responses:
                yield response

    async def Render(
        self, request: inference_pb2.GenerateRequest, context: Any
    ) -> generation_pb2.RenderedPrompt:
        async with self._calls.running():
            return await self._router.render(request)

    async def Embed(
        self, request: inference_pb2.EmbedRequest, context: Any
    ) -> inference_pb2.EmbedResponse:
        async with self._calls.running():
            return await self._router.embed(request)

    async def Load(
        self, request: inference_pb2.LoadRequest, context: Any
    ) -> inference_pb2.LoadResponse:
        async with self._calls.running():
            return inference_pb2.LoadResponse(load_duration=await self._router.load(request))

    async def Unload(
        self, request: inference_pb2.UnloadRequest, context: Any
    ) -> inference_pb2.UnloadResponse:
        await self._router.unload(request)
        return inference_pb2.UnloadResponse()

    async def ListRunning(
        self, request: inference_pb2.ListRunningRequest, context: Any
    ) -> inference_pb2.ListRunningResponse:
        return inference_pb2.ListRunningResponse(models=running_models(self._fleet.candidates()))
