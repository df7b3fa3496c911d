"""An answer that begins before it is certain what its model's name stands for.

To ask the Registry takes a good part of the time to a first token, and nearly always it says
what it last said. So the answer begins with that, and nothing of it is passed on before the
Registry has confirmed it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from protos.paddock.v1 import generation_pb2, registry_pb2
from services.inference.sequence import Taker

Answer = Callable[
    [registry_pb2.ResolvedModel, Taker], Coroutine[Any, Any, generation_pb2.Completed]
]
"""Answers with a model."""


async def answer_ahead(
    guess: registry_pb2.ResolvedModel,
    resolve: Coroutine[Any, Any, registry_pb2.ResolvedModel],
    answer: Answer,
    taker: Taker,
) -> generation_pb2.Completed:
    """Answer with a guess while the model is resolved, and anew where it is another one.

    Raises:
        PaddockError: the name stands for nothing any more, or the answer failed.
    """
    held = _HeldBack(taker)
    resolving = asyncio.create_task(resolve)
    answering = asyncio.create_task(answer(guess, held))
    try:
        model = await resolving
        if model == guess:
            held.release()
            return await answering
    finally:
        for task in (resolving, answering):
            task.cancel()
        await asyncio.gather(resolving, answering, return_exceptions=True)
    return await answer(model, taker)


class _HeldBack:
    """Keeps what comes until it is released."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._kept: list[generation_pb2.Delta] | None = []

    def take_text(self, content: str, token: int) -> None:
        if self._kept is None:
            self._taker.take_text(content, token)
        else:
            self._kept.append(generation_pb2.Delta(content=content, tokens=[token]))

    def take(self, delta: generation_pb2.Delta) -> None:
        if self._kept is None:
            self._taker.take(delta)
        else:
            self._kept.append(delta)

    def release(self) -> None:
        """Pass on what was kept, and from now on everything at once."""
        kept, self._kept = self._kept or [], None
        for delta in kept:
            self._taker.take(delta)
