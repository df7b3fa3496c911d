"""How the steps of long operations are encoded: create, pull, push."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from gateway.ollama.encoding import without_empty
from protos.paddock.v1 import registry_pb2


async def progress_objects(
    steps: AsyncGenerator[registry_pb2.Progress, None],
) -> AsyncGenerator[dict[str, Any], None]:
    """Give each step as an object of Ollama's API."""
    async with aclosing(steps):
        async for step in steps:
            numbers = {"digest": step.digest, "total": step.total, "completed": step.completed}
            yield {"status": step.status, **without_empty(numbers)}
