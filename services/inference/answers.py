"""Answers as Run streams carry them: each with its number, and how it ended."""

import logging
from collections import Counter

from common.errors import Internal, PaddockError
from common.failures import to_failure
from common.outbox import Outbox
from protos.paddock.v1 import generation_pb2, inference_pb2
from services.inference.calls import Calls
from services.inference.router import Router

logger = logging.getLogger(__name__)


class Answers:
    """Answers requests until this process leaves."""

    def __init__(self, router: Router, calls: Calls) -> None:
        self._router = router
        self._calls = calls
        self.ended: Counter[str] = Counter()
        """Those that have ended, by how: "OK", or the error's name."""

    async def run(self, request: inference_pb2.GenerateRequest, outbox: Outbox) -> None:
        """Answer a request; whatever goes wrong becomes the sequence's failure."""
        number, result = request.sequence, "Canceled"
        try:
            async with self._calls.running():
                completed = await self._router.generate(request, _Numbered(number, outbox))
            outbox.update(number).completed.CopyFrom(completed)
            result = "OK"
        except PaddockError as error:
            outbox.update(number).failure.CopyFrom(to_failure(error))
            result = error.reason()
        except Exception as error:
            logger.exception("an answer failed")
            failed = Internal(f"internal error: {error}")
            outbox.update(number).failure.CopyFrom(to_failure(failed))
            result = failed.reason()
        finally:
            self.ended[result] += 1


class _Numbered:
    """The place of one answer in an outbox."""

    def __init__(self, number: int, outbox: Outbox) -> None:
        self._number = number
        self._outbox = outbox

    def take_text(self, content: str, token: int) -> None:
        self._outbox.add_text(self._number, content, token)

    def take(self, delta: generation_pb2.Delta) -> None:
        self._outbox.add(self._number, delta)
