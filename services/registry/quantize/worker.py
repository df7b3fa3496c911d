"""The work of the process that quantises: one file after the other, from store to store."""

import sys
import time
from collections.abc import Callable

from common.errors import PaddockError
from common.rpc import open_channel
from protos.paddock.v1 import blob_pb2
from services.registry.blob_client import BlobClient
from services.registry.errors import in_file
from services.registry.quantize.job import Event, Failure, Job, MadeFile, SourceFile
from services.registry.quantize.output import Output
from services.registry.quantize.safetensors_file import convert_safetensors
from services.registry.quantize.scheme import Scheme
from services.registry.quantize.source import Source, open_source

_REPORT_INTERVAL = 0.1  # seconds
_PART = 1024 * 1024


async def work(job: Job) -> bool:
    """Do a job and report it on standard output; False when it failed."""
    try:
        async with open_channel(job.blob_service) as channel:
            blobs = BlobClient(channel)
            reporter = _Reporter()
            for file in job.files:
                with in_file(file.path):
                    report(Event(file=await _convert(blobs, job, file, reporter.add)))
    except PaddockError as error:
        report(Event(failure=Failure(reason=error.reason(), message=error.message)))
        return False
    return True


def report(event: Event) -> None:
    """Write a line for the registry."""
    sys.stdout.write(event.model_dump_json(exclude_defaults=True) + "\n")
    sys.stdout.flush()


class _Reporter:
    """Tells now and then how far the work is."""

    def __init__(self) -> None:
        self._completed = 0
        self._reported_at = time.monotonic()

    def add(self, size: int) -> None:
        self._completed += size
        if time.monotonic() - self._reported_at >= _REPORT_INTERVAL:
            self._reported_at = time.monotonic()
            report(Event(completed=self._completed))


async def _convert(
    blobs: BlobClient, job: Job, file: SourceFile, progress: Callable[[int], None]
) -> MadeFile:
    async with open_source(blobs, file.digest) as source:
        output = await _begin(source, job, progress)
        async with blobs.begin_write(output.size) as upload:
            async for piece in output.pieces:
                for start in range(0, len(piece), _PART):
                    part = piece[start : start + _PART]
                    await upload.send(blob_pb2.WriteRequest(data=part))
            blob = await upload.finish()
    return MadeFile(source=file.digest, digest=blob.digest, size=blob.size, existed=blob.existed)


async def _begin(source: Source, job: Job, progress: Callable[[int], None]) -> Output:
    if job.types is not None:
        # Imported late for the time that it takes; see `services.registry.gguf.tensors`.
        from services.registry.quantize.gguf_file import convert_gguf

        return await convert_gguf(source, job.file_type, job.types, progress)
    scheme = Scheme(job.group_size)
    return await convert_safetensors(source, job.file_type, job.layers, scheme, progress)
