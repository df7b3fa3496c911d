"""Lines about blobs on their way, however slowly they are listened to."""

import asyncio

from services.registry import media_types
from services.registry.manifest import Descriptor
from services.registry.remote.client import RemoteClient
from services.registry.remote.layers import LayerTransfers
from services.registry.remote.progress import Progress
from services.registry.remote.shared_transfers import SharedTransfers
from tests.services.registry.running import Registry, digest_of

BLOB = Descriptor(media_type=media_types.SYSTEM, digest=digest_of(b"x"), size=10)


class Steps:
    """A transfer that gets on when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.done = asyncio.Event()

    async def run(self, digest: str, size: int, progress: Progress) -> None:
        progress.completed = 1
        await self.go_on.wait()
        progress.completed = size
        self.done.set()


async def test_the_last_line_is_given_to_slow_listeners(
    registry: Registry, client: RemoteClient
) -> None:
    session = await client.session(client.locate("x", insecure=False))
    steps = Steps()
    layers = LayerTransfers("pulling", registry.blobs, steps, SharedTransfers(), session, [BLOB])
    seen = []
    async for line in layers.run([BLOB.digest]):
        seen.append(line.completed)
        steps.go_on.set()
        await steps.done.wait()
        await asyncio.sleep(0.05)  # all that waits for the transfer ends as well
    assert seen == [1, 10]
