"""What a name stands for, by the Registry; for a while also when it cannot be asked."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from common.errors import Unavailable
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2, registry_pb2_grpc

logger = logging.getLogger(__name__)

_MOST = 1024  # names that are remembered
_TRUSTED = 60.0  # seconds for which an answer stands in for the Registry's next one


class Resolver:
    """Asks the Registry for each request, so that a model that was replaced is never served.

    Only where no Registry answers, what it last said holds for a minute more: models that run
    go on being served while it is away.
    """

    def __init__(
        self,
        registry: registry_pb2_grpc.RegistryServiceStub,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._answers: OrderedDict[str, tuple[float, registry_pb2.ResolvedModel]] = OrderedDict()

    async def resolve(self, model: str) -> registry_pb2.ResolvedModel:
        """Give what a name stands for.

        Raises:
            ModelNotFound: nothing has that name.
            Unavailable: the Registry does not answer, and has not for a minute.
        """
        try:
            with rpc_errors():
                answer = await self._registry.Resolve(registry_pb2.ResolveRequest(model=model))
        except Unavailable as error:
            return self._remembered(model, error)
        self._answers[model] = self._clock(), answer
        self._answers.move_to_end(model)
        if len(self._answers) > _MOST:
            self._answers.popitem(last=False)
        return answer

    def _remembered(self, model: str, error: Unavailable) -> registry_pb2.ResolvedModel:
        if model not in self._answers:
            raise error
        answered_at, answer = self._answers[model]
        if self._clock() - answered_at > _TRUSTED:
            raise error
        logger.warning("the registry does not answer: serving %s as it was", model)
        return answer
