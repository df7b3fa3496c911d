"""Deterministic services for the gateway's tests: real gRPC servers, no engine behind them."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from common.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidName,
    InvalidRequest,
    ModelNotFound,
    PaddockError,
    RegistryFailed,
)
from common.failures import to_failure
from common.mailbox import Event
from common.names import ModelName
from common.outbox import Outbox
from common.run_stream import RunStream
from protos.paddock.v1 import (
    blob_pb2,
    blob_pb2_grpc,
    generation_pb2,
    inference_pb2,
    inference_pb2_grpc,
    model_pb2,
    registry_pb2,
    registry_pb2_grpc,
    sequences_pb2,
)
from services.registry.references import parse_name, parse_new_name

Context = grpc.aio.ServicerContext[Any, Any]

_STEP = 0.003  # seconds; what comes faster may be joined on its way

DETAILS = model_pb2.ModelDetails(
    format="safetensors",
    family="llama",
    families=["llama"],
    parameter_size="4.1M",
    quantization_level="BF16",
    context_length=2048,
    embedding_length=64,
)
MODIFIED = Timestamp(seconds=1_700_000_000, nanos=5)


class FakeBlobs(blob_pb2_grpc.BlobServiceServicer):
    """Blobs in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.retained: list[str] = []
        self.parts: list[int] = []
        self.received = 0
        self.somebody_else_was_faster = False
        self.fail_write: PaddockError | None = None
        self.ended = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()

    async def Stat(self, request: blob_pb2.StatRequest, context: Context) -> blob_pb2.StatResponse:
        if request.digest not in self.stored:
            raise BlobNotFound("no such blob")
        return blob_pb2.StatResponse(size=len(self.stored[request.digest]))

    async def Retain(
        self, request: blob_pb2.RetainRequest, context: Context
    ) -> blob_pb2.RetainResponse:
        self.retained.extend(request.digests)
        missing = [digest for digest in request.digests if digest not in self.stored]
        return blob_pb2.RetainResponse(missing=missing)

    async def Write(
        self, request_iterator: AsyncIterator[blob_pb2.WriteRequest], context: Context
    ) -> blob_pb2.WriteResponse:
        # A canceled call shows as a stream that just ends, or as a cancellation.
        try:
            return await self._write(request_iterator)
        finally:
            self.ended.set()

    async def _write(self, parts: AsyncIterator[blob_pb2.WriteRequest]) -> blob_pb2.WriteResponse:
        header = (await anext(parts)).header
        if self.somebody_else_was_faster:
            return blob_pb2.WriteResponse(digest=header.digest, existed=True)
        content = bytearray()
        async for part in parts:
            await self.reading.wait()
            self.parts.append(len(part.data))
            self.received += len(part.data)
            content += part.data
            if self.fail_write:
                raise self.fail_write
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if digest != header.digest:
            raise DigestMismatch(f'digest mismatch, expected "{header.digest}", got "{digest}"')
        if header.HasField("size"):
            assert header.size == len(content)
        self.stored[digest] = bytes(content)
        return blob_pb2.WriteResponse(digest=digest, size=len(content))


@contextmanager
def invalid_as(message: str) -> Iterator[None]:
    try:
        yield
    except InvalidRequest:
        raise InvalidName(message) from None


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Models in memory; names are read, and refused, as by the real service."""

    def __init__(self) -> None:
        self.models = {"tiny:latest"}
        self.created: list[registry_pb2.CreateRequest] = []
        self.shown: list[registry_pb2.ShowRequest] = []
        self.description: registry_pb2.ShowResponse | None = None
        self.fail_create: PaddockError | None = None
        self.pulled: list[registry_pb2.PullRequest] = []
        self.pushed: list[registry_pb2.PushRequest] = []

    async def List(
        self, request: registry_pb2.ListRequest, context: Context
    ) -> AsyncIterator[registry_pb2.ListResponse]:
        for name in sorted(self.models):
            yield registry_pb2.ListResponse(models=[self._summary(name)])

    async def Show(
        self, request: registry_pb2.ShowRequest, context: Context
    ) -> registry_pb2.ShowResponse:
        self.shown.append(request)
        name = parse_name(request.model)
        if self.description:
            return self.description
        return registry_pb2.ShowResponse(
            summary=self._summary(self._find(name, f"model '{name}' not found")),
            modelfile="FROM tiny",
            parameters='stop                           "x"',
            template="{{ .Prompt }}",
            system=request.system or "You are tiny.",
            renderer="tiny-renderer",
            parser="tiny-parser",
            requires="0.9.1",
            projector_info_json=json.dumps({"general.architecture": "clip"}),
            licenses=["MIT", "BSD"],
            messages=[generation_pb2.Message(role="user", content="hi")],
            model_info_json=json.dumps({"general.architecture": "llama"}),
            tensors=[registry_pb2.Tensor(name="a", type="BF16", shape=[2, 3])],
        )

    async def Resolve(
        self, request: registry_pb2.ResolveRequest, context: Context
    ) -> registry_pb2.ResolvedModel:
        missing = f"model '{request.model}' not found"
        if not request.model.strip():
            raise ModelNotFound(missing)
        name = self._find(parse_name(request.model), missing)
        return registry_pb2.ResolvedModel(spec=model_pb2.ModelSpec(name=name))

    async def Create(
        self, request: registry_pb2.CreateRequest, context: Context
    ) -> AsyncIterator[registry_pb2.Progress]:
        name = parse_new_name(request.model)
        self.created.append(request)
        if not (getattr(request, "from") or request.files or request.modelfile or request.path):
            raise InvalidRequest("neither 'from' or 'files' was specified")
        yield registry_pb2.Progress(status="parsing", digest="sha256:0", total=10, completed=5)
        if self.fail_create:
            raise self.fail_create
        self.models.add(str(name))
        yield registry_pb2.Progress(status="writing manifest")
        yield registry_pb2.Progress(status="success")

    async def Pull(
        self, request: registry_pb2.PullRequest, context: Context
    ) -> AsyncIterator[registry_pb2.Progress]:
        name = parse_new_name(request.model)
        self.pulled.append(request)
        yield registry_pb2.Progress(status="pulling manifest")
        if name.model == "none":
            raise RegistryFailed("pull model manifest: file does not exist")
        for completed in (0, 10):
            yield registry_pb2.Progress(
                status="pulling abc", digest="sha256:abc", total=10, completed=completed
            )
        self.models.add(str(name))
        yield registry_pb2.Progress(status="success")

    async def Push(
        self, request: registry_pb2.PushRequest, context: Context
    ) -> AsyncIterator[registry_pb2.Progress]:
        name = parse_name(request.model)
        self.pushed.append(request)
        yield registry_pb2.Progress(status="retrieving manifest")
        if str(name) not in self.models:
            raise ModelNotFound(f"model '{request.model}' not found")
        yield registry_pb2.Progress(
            status="pushing abc", digest="sha256:abc", total=10, completed=10
        )
        yield registry_pb2.Progress(status="success")

    async def Copy(
        self, request: registry_pb2.CopyRequest, context: Context
    ) -> registry_pb2.CopyResponse:
        with invalid_as(f'source "{request.source}" is invalid'):
            source = parse_name(request.source)
        with invalid_as(f'destination "{request.destination}" is invalid'):
            destination = parse_new_name(request.destination)
        self._find(source, f'model "{request.source}" not found')
        self.models.add(str(destination))
        return registry_pb2.CopyResponse()

    async def Delete(
        self, request: registry_pb2.DeleteRequest, context: Context
    ) -> registry_pb2.DeleteResponse:
        with invalid_as(f'name "{request.model}" is invalid'):
            name = parse_name(request.model)
        self.models.remove(self._find(name, f"model '{request.model}' not found"))
        return registry_pb2.DeleteResponse()

    def _find(self, name: ModelName, missing: str) -> str:
        if str(name) not in self.models:
            raise ModelNotFound(missing)
        return str(name)

    def _summary(self, name: str) -> registry_pb2.ModelSummary:
        return registry_pb2.ModelSummary(
            name=name,
            digest="a" * 64,
            size=42,
            modified_at=MODIFIED,
            details=DETAILS,
            capabilities=["completion"],
        )


class FakeInference(inference_pb2_grpc.InferenceServiceServicer):
    """Answers every prompt with its own words, one a step, or with what `script` says."""

    def __init__(self) -> None:
        self.script: list[generation_pb2.Delta] = []
        self.generated: list[inference_pb2.GenerateRequest] = []
        self.rendered: list[inference_pb2.GenerateRequest] = []
        self.embedded: list[inference_pb2.EmbedRequest] = []
        self.loaded: list[inference_pb2.LoadRequest] = []
        self.unloaded: list[str] = []
        self.running: list[inference_pb2.RunningModel] = []
        self.fail_at: int | None = None
        self.failure: PaddockError = InvalidRequest("no")
        self.embed_failure: PaddockError | None = None
        self.endless = False
        self.step = "word"
        self.yielded = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.active = 0
        self.canceled = asyncio.Event()

    async def Run(
        self, request_iterator: AsyncIterator[inference_pb2.GenerateCommands], context: Context
    ) -> AsyncIterator[sequences_pb2.RunResponse]:
        stream = RunStream(self._run, asyncio.Event())
        async with aclosing(stream.responses(request_iterator)) as responses:
            async for response in responses:
                yield response

    async def _run(self, request: inference_pb2.GenerateRequest, outbox: Outbox) -> None:
        number = request.sequence
        try:
            async with aclosing(self.generate(request)) as events:
                async for event in events:
                    if isinstance(event, generation_pb2.Completed):
                        outbox.update(number).completed.CopyFrom(event)
                    elif _is_plain(event):
                        outbox.add_text(number, event.content, event.tokens[0])
                    else:
                        outbox.add(number, event)
                    await asyncio.sleep(_STEP)
        except PaddockError as error:
            outbox.update(number).failure.CopyFrom(to_failure(error))

    async def generate(self, request: inference_pb2.GenerateRequest) -> AsyncGenerator[Event, None]:
        self.generated.append(request)
        _require_known(request.model)
        self.active += 1
        try:
            async for event in self._answer(request):
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.canceled.set()
            raise
        finally:
            self.active -= 1

    async def _answer(self, request: inference_pb2.GenerateRequest) -> AsyncIterator[Event]:
        deltas = self.script or self._words(request.generation)
        for position, delta in enumerate(deltas):
            if self.fail_at == position:
                raise self.failure
            await self.hold.wait()
            self.yielded += 1
            yield delta
        while self.endless:
            self.yielded += 1
            yield generation_pb2.Delta(content=self.step, tokens=[1])
        yield _completed(len(deltas))

    def _words(self, generation: generation_pb2.Generation) -> list[generation_pb2.Delta]:
        if generation.HasField("chat"):
            text = generation.chat.messages[-1].content
        else:
            text = generation.completion.prompt
        return [
            generation_pb2.Delta(content=f"{word} ", tokens=[token])
            for token, word in enumerate(text.split())
        ]

    async def Render(
        self, request: inference_pb2.GenerateRequest, context: Context
    ) -> generation_pb2.RenderedPrompt:
        self._begin(request.model)
        self.rendered.append(request)
        images = len(request.generation.completion.images)
        return generation_pb2.RenderedPrompt(text="<prompt>", images=images)

    async def Embed(
        self, request: inference_pb2.EmbedRequest, context: Context
    ) -> inference_pb2.EmbedResponse:
        self.embedded.append(request)
        _require_known(request.model)
        await self.hold.wait()
        if self.embed_failure:
            raise self.embed_failure
        vectors = [inference_pb2.Embedding(values=[len(text), 0.5]) for text in request.inputs]
        usage = generation_pb2.Usage(prompt_tokens=3, total_duration=9)
        return inference_pb2.EmbedResponse(embeddings=vectors, usage=usage)

    async def Load(
        self, request: inference_pb2.LoadRequest, context: Context
    ) -> inference_pb2.LoadResponse:
        self._begin(request.model)
        self.loaded.append(request)
        return inference_pb2.LoadResponse(load_duration=1)

    async def Unload(
        self, request: inference_pb2.UnloadRequest, context: Context
    ) -> inference_pb2.UnloadResponse:
        _require_known(request.model)
        self.unloaded.append(request.model)
        return inference_pb2.UnloadResponse()

    async def ListRunning(
        self, request: inference_pb2.ListRunningRequest, context: Context
    ) -> inference_pb2.ListRunningResponse:
        return inference_pb2.ListRunningResponse(models=self.running)

    def _begin(self, model: str) -> None:
        _require_known(model)
        if self.fail_at == 0:
            raise self.failure


def _is_plain(delta: generation_pb2.Delta) -> bool:
    plain = generation_pb2.Delta(content=delta.content, tokens=delta.tokens)
    return delta == plain and len(delta.tokens) == 1


def _require_known(model: str) -> None:
    if parse_name(model).model.lower() != "tiny":
        raise ModelNotFound(f"model {model} does not exist")


def _completed(count: int) -> generation_pb2.Completed:
    return generation_pb2.Completed(
        reason=generation_pb2.FINISH_REASON_STOP,
        usage=generation_pb2.Usage(
            prompt_tokens=4,
            completion_tokens=count,
            total_duration=1000,
            prompt_duration=10,
            completion_duration=20,
        ),
        context=[1, 2, 3],
    )
