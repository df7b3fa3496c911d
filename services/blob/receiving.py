"""Takes a blob off the wire: the parts of a Write call, and their way to the disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from common.digests import parse_digest
from common.errors import InvalidRequest
from protos.paddock.v1 import blob_pb2
from store.interface import Store
from store.upload import Upload

MAX_PART_SIZE = 4 * 1024 * 1024
"""Bytes that one part of a Write call may carry."""

# Received while earlier bytes are being written. Twice this, plus a part, is all that an
# upload holds in memory.
_BUFFER_SIZE = 4 * 1024 * 1024


Part: TypeAlias = blob_pb2.WriteRequest | memoryview
"""A request of a Write call, or the data of one that carries nothing else."""


async def read_header(parts: AsyncIterator[Part]) -> blob_pb2.WriteHeader:
    """Take the header, which comes first."""
    first = await anext(parts, None)
    if not isinstance(first, blob_pb2.WriteRequest) or first.WhichOneof("part") != "header":
        raise InvalidRequest("a write begins with its header")
    if not first.header.digest and not first.header.HasField("size"):
        # A caller that breaks off looks like one that has finished.
        raise InvalidRequest("a write states its digest, its size or both")
    _check_kept(first.header)
    return first.header


def _check_kept(header: blob_pb2.WriteHeader) -> None:
    if header.keep and not (header.digest and header.HasField("size")):
        raise InvalidRequest("a write that is kept states its digest and its size")
    if header.offset and not header.keep:
        raise InvalidRequest("only a write that is kept goes on at an offset")


async def read_data(parts: AsyncIterator[Part]) -> AsyncIterator[bytes | memoryview]:
    """Take the parts after the header, which all carry data."""
    async for part in parts:
        if isinstance(part, memoryview):
            data: bytes | memoryview = part
        elif part.WhichOneof("part") == "data":
            data = part.data  # each access copies it
        else:
            raise InvalidRequest("a write has one header, then nothing but data")
        if len(data) > MAX_PART_SIZE:
            raise InvalidRequest(f"a part of a write has at most {MAX_PART_SIZE} bytes")
        yield data


@asynccontextmanager
async def begin_upload(store: Store, header: blob_pb2.WriteHeader) -> AsyncIterator[Upload]:
    """Give an upload that is aborted unless it was committed, also on cancellation."""
    begin = partial(
        store.begin_upload,
        parse_digest(header.digest) if header.digest else None,
        header.size if header.HasField("size") else None,
        keep=header.keep,
        offset=header.offset,
    )
    beginning = asyncio.create_task(asyncio.to_thread(begin))
    try:
        yield await asyncio.shield(beginning)
    finally:
        upload = await beginning
        await asyncio.to_thread(upload.abort)


async def write_all(data: AsyncIterator[bytes | memoryview], upload: Upload) -> None:
    """Write to an upload while the next bytes are being received.

    What comes while a write is running waits for the next one.
    """
    writing = _start_writing(upload, [])
    waiting: list[bytes | memoryview] = []
    size = 0
    try:
        async for piece in data:
            waiting.append(piece)
            size += len(piece)
            if writing.done() or size >= _BUFFER_SIZE:
                await asyncio.shield(writing)
                writing = _start_writing(upload, waiting)
                waiting, size = [], 0
        await asyncio.shield(writing)
        await asyncio.to_thread(_write, upload, waiting)
    except BaseException:
        await asyncio.to_thread(upload.abort)  # it lets a running write end early
        raise
    finally:
        await asyncio.gather(writing, return_exceptions=True)


def _start_writing(upload: Upload, pieces: list[bytes | memoryview]) -> asyncio.Task[None]:
    return asyncio.create_task(asyncio.to_thread(_write, upload, pieces))


def _write(upload: Upload, pieces: list[bytes | memoryview]) -> None:
    for piece in pieces:
        upload.write(piece)
