"""The bytes of a blob in the messages of BlobService's Write, copied as rarely as possible.

protobuf copies a field of bytes when a message is made, encoded, decoded and read. Here a
message that holds nothing but data is put together once, from the pieces as they came, and taken
apart without a copy. On the wire it is the same message: the field's tag, its length as a varint,
and the bytes (https://protobuf.dev/programming-guides/encoding/).
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeAlias

import grpc

from protos.paddock.v1 import blob_pb2

WritePart: TypeAlias = blob_pb2.WriteRequest | bytes
"""A request of a Write call; bytes are one that is encoded already."""

SERVICE, METHOD = "paddock.v1.BlobService", "Write"

_LENGTH_DELIMITED = 2
_DATA = blob_pb2.WriteRequest.DATA_FIELD_NUMBER << 3 | _LENGTH_DELIMITED
_LONGEST_VARINT = 5  # bytes; a message has less than 4 GiB


def encode_data(*pieces: bytes) -> bytes:
    """Encode a request that carries pieces as one part."""
    rest = sum(map(len, pieces))
    head = bytearray([_DATA])
    while rest > 0x7F:
        head.append(rest & 0x7F | 0x80)
        rest >>= 7
    head.append(rest)
    return b"".join((head, *pieces))


async def encode_all(pieces: AsyncIterator[bytes], least: int) -> AsyncGenerator[bytes, None]:
    """Encode requests, so that each carries `least` bytes of small pieces and not many more.

    A part is shorter only at the end, and longer by at most one piece.
    """
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= least:
            yield encode_data(*waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield encode_data(*waiting)


def decode(message: bytes) -> blob_pb2.WriteRequest | memoryview:
    """Give the data of a request that carries nothing else, any other request as it is."""
    data = _only_data(message)
    return blob_pb2.WriteRequest.FromString(message) if data is None else data


def _only_data(message: bytes) -> memoryview | None:
    if not message or message[0] != _DATA:
        return None
    length = 0
    for place, byte in enumerate(message[1 : 1 + _LONGEST_VARINT]):
        length |= (byte & 0x7F) << 7 * place
        if byte <= 0x7F:
            data = memoryview(message)[place + 2 :]
            return data if len(data) == length else None
    return None


def write_method(
    channel: grpc.aio.Channel,
) -> "grpc.aio.StreamUnaryMultiCallable[WritePart, blob_pb2.WriteResponse]":
    """Give what a stub has as `Write`, for requests that may be encoded already."""
    return channel.stream_unary(f"/{SERVICE}/{METHOD}", _encoded, blob_pb2.WriteResponse.FromString)


def _encoded(part: WritePart) -> bytes:
    return part if isinstance(part, bytes) else part.SerializeToString()
