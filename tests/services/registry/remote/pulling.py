"""What the tests of pulls share: blobs that are large enough for ranges, and lines."""

import random
from functools import cache
from typing import TypeAlias

from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2
from services.registry.remote.window import RANGE_SIZE
from tests.services.registry.running import Registry

RANGES = 5


@cache
def large_blob(seed: int = 1) -> bytes:
    """Bytes that take several ranges, the last of them not a whole one."""
    return random.Random(seed).randbytes(RANGES * RANGE_SIZE - 12345)


Lines: TypeAlias = list[registry_pb2.Progress]


async def pull(
    registry: Registry, model: str, *, insecure: bool = False, into: Lines | None = None
) -> Lines:
    """Pull a model; give all lines, which may be looked at on their way `into` a list."""
    lines = [] if into is None else into
    request = registry_pb2.PullRequest(model=model, insecure=insecure)
    with rpc_errors():
        async for line in registry.stub.Pull(request):
            lines.append(line)
    return lines


def statuses(lines: Lines) -> list[str]:
    """The lines without repetitions and numbers."""
    texts = [line.status for line in lines]
    return [text for at, text in enumerate(texts) if at == 0 or texts[at - 1] != text]
