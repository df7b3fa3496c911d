"""What a name stands for, by the Registry; for a while also when it cannot be asked."""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from common.durations import SECOND
from common.errors import ModelNotFound, Unavailable
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2, registry_pb2_grpc

logger = logging.getLogger(__name__)

_MOST = 1024  # names that are remembered
_TRUSTED = 60.0  # seconds for which an answer stands in for the Registry's next one
_PATIENCE = 2.0  # seconds that the Registry may take where there is such an answer
_LONGEST = 30.0  # seconds that it may take where there is none
_PAUSE = 1.0  # seconds for which it is not asked again where there is one


class Resolver:
    """Asks the Registry, so that a model that was replaced is never served.

    An answer holds for its lease: whoever replaces or removes a model waits that out. Only
    where no Registry answers, what it last said holds for a minute more: models that run go
    on being served while it is away, and no request waits long for it.
    """

    def __init__(
        self,
        registry: registry_pb2_grpc.RegistryServiceStub,
        clock: Callable[[], float] = time.monotonic,
        patience: float = _PATIENCE,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._patience = patience
        self._away_until = -math.inf
        self._answers: OrderedDict[str, tuple[float, registry_pb2.ResolvedModel]] = OrderedDict()

    async def resolve(self, model: str) -> registry_pb2.ResolvedModel:
        """Give what a name stands for.

        Raises:
            ModelNotFound: nothing has that name.
            Unavailable: the Registry does not answer, and has not for a minute.
        """
        asked_at = self._clock()
        known, holds_until = self._known(model)
        if known and (asked_at < holds_until or asked_at < self._away_until):
            return known
        try:
            answer = await self._ask(model, self._patience if known else _LONGEST)
        except Unavailable:
            if known is None:
                raise
            if self._clock() >= self._away_until:
                logger.warning("the registry does not answer: serving %s as it was", model)
            self._away_until = self._clock() + _PAUSE
            return known
        except ModelNotFound:
            self._answers.pop(model, None)
            raise
        self._answers[model] = asked_at, answer
        self._answers.move_to_end(model)
        if len(self._answers) > _MOST:
            self._answers.popitem(last=False)
        return answer

    def expired(self, model: str) -> registry_pb2.ResolvedModel | None:
        """Give what was last said of a name, unless that still holds or is too long ago."""
        known, holds_until = self._known(model)
        return known if self._clock() >= holds_until else None

    async def _ask(self, model: str, timeout: float) -> registry_pb2.ResolvedModel:
        with rpc_errors():
            request = registry_pb2.ResolveRequest(model=model)
            return await self._registry.Resolve(request, timeout=timeout)

    def _known(self, model: str) -> tuple[registry_pb2.ResolvedModel | None, float]:
        """Give what was last said, unless that is too long ago, and until when it holds."""
        asked_at, answer = self._answers.get(model, (-math.inf, None))
        if answer is None or self._clock() - asked_at > _TRUSTED:
            return None, -math.inf
        return answer, asked_at + answer.lease / SECOND
