"""Quantising a model on its way to becoming another, as creation uses it."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace

from protos.paddock.v1 import registry_pb2
from services.registry.base_model import Base
from services.registry.blob_client import BlobClient, WrittenBlob
from services.registry.contents import Contents
from services.registry.manifest import Layer
from services.registry.quantize.child import run_child
from services.registry.quantize.file_type import FileType
from services.registry.quantize.job import Job
from services.registry.quantize.plan import Plan, make_plan
from services.registry.retention import retaining

_CONCURRENT = 2  # each takes all processors

_NO_DIGEST = "0" * 19  # what Ollama gives for what has no digest yet


class Quantizer:
    """Quantises models, a few at a time."""

    def __init__(self, blobs: BlobClient, contents: Contents) -> None:
        self._blobs = blobs
        self._contents = contents
        self._slots = asyncio.Semaphore(_CONCURRENT)

    async def plan(self, base: Base, wanted: FileType | None) -> "Quantization":
        """Look at a model and prepare the work; with no type wanted there is none.

        Raises:
            InvalidRequest: its weights are no floating-point numbers.
            InvalidModel: it has no layers that can be quantised, or keeps them in an odd way.
            Unsupported: its weights are in neither safetensors nor GGUF files.
        """
        if wanted is None:
            return Quantization(self._blobs, self._slots, Plan(base))
        plan = await make_plan(self._contents, base, wanted, self._blobs.address)
        status = f"quantizing {base.config.file_type} model to {wanted}"
        return Quantization(self._blobs, self._slots, plan, status)


class Quantization:
    """One model's weights on their way to another type."""

    def __init__(
        self,
        blobs: BlobClient,
        slots: asyncio.Semaphore,
        plan: Plan,
        status: str = "",
    ) -> None:
        self.base = plan.base
        """The model: its description from the beginning, its layers from the end on."""

        self.made: set[str] = set()
        """Digests of the layers that were made."""

        self._blobs = blobs
        self._slots = slots
        self._plan = plan
        self._status = status

    async def run(self) -> AsyncGenerator[registry_pb2.Progress, None]:
        """Do the work and report it; closing this ends it.

        Raises:
            InvalidModel: a file is damaged.
        """
        if not (job := self._plan.job):
            return
        total = sum(file.size for file in job.files)
        progress = registry_pb2.Progress(status=self._status, digest=_NO_DIGEST, total=total)
        yield progress
        made: dict[str, WrittenBlob] = {}
        sources = {layer.digest for layer in self.base.layers}
        async with (
            retaining(self._blobs, lambda: sources | {blob.digest for blob in made.values()}),
            self._slots,
            aclosing(_convert(job, made)) as steps,
        ):
            async for completed in steps:
                progress.completed = min(completed, total)
                yield progress
        progress.completed = total
        yield progress
        for path, content in self._plan.documents.items():
            made[self._digest_of(path)] = await self._blobs.write(content)
        self.base = replace(self.base, layers=tuple(_remade(self.base.layers, made)))
        self.made = {blob.digest for blob in made.values()}
        for blob in made.values():
            verb = "using existing" if blob.existed else "creating new"
            yield registry_pb2.Progress(status=f"{verb} layer {blob.digest}")

    def _digest_of(self, path: str) -> str:
        return next(layer.digest for layer in self.base.layers if layer.name == path)


async def _convert(job: Job, made: dict[str, WrittenBlob]) -> AsyncGenerator[int, None]:
    """Have the files made, by the sources' digests; give how many bytes are done with."""
    async with aclosing(run_child(job)) as events:
        async for event in events:
            if file := event.file:
                made[file.source] = WrittenBlob(file.digest, file.size, file.existed)
            if event.completed:
                yield event.completed


def _remade(layers: Iterable[Layer], made: Mapping[str, WrittenBlob]) -> Iterator[Layer]:
    for layer in layers:
        blob = made.get(layer.digest)
        change = {"digest": blob.digest, "size": blob.size} if blob else {}
        yield layer.model_copy(update=change)
