"""How endpoints find out, and word, that a model does not exist."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from common.errors import ModelNotFound
from common.rpc import rpc_errors
from common.settings import seconds
from gateway.services import SERVICES
from gateway.settings import SETTINGS
from protos.paddock.v1 import registry_pb2


@contextmanager
def not_found_as(message: str) -> Iterator[None]:
    """Report a model that does not exist in the words of one endpoint."""
    try:
        yield
    except ModelNotFound:
        raise ModelNotFound(message) from None


async def require_model(request: web.Request, model: str) -> None:
    """Hold a model to exist: that it does not is reported before what is wrong with the rest.

    Raises:
        ModelNotFound: it does not.
        InvalidRequest: it is no name of a model.
    """
    wanted = registry_pb2.ResolveRequest(model=model.strip())
    timeout = seconds(request.app[SETTINGS].call_timeout)
    with rpc_errors():
        await request.app[SERVICES].registry.Resolve(wanted, timeout=timeout)
