"""gRPC servers as all processes have them: health, reflection, typed errors, counted calls."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry, Counter

from common.errors import Internal, PaddockError, Unavailable
from common.rpc import OPTIONS, from_rpc_error, tls_for, to_status

_Context = grpc.aio.ServicerContext[Any, Any]

logger = logging.getLogger(__name__)

LIVE = "live"
"""What the health service calls a process that can answer, whether or not it takes work."""

_FINAL = ("grpc-retry-pushback-ms", "-1")


class Server:
    """A gRPC server with standard health and reflection.

    It reports NOT_SERVING until `set_serving(True)`, and again while it drains. The name `live`
    is SERVING for as long as the process can answer at all.
    """

    def __init__(self) -> None:
        self.metrics = CollectorRegistry()
        """What Prometheus is told of this process: its calls, and what is registered besides."""
        interceptor = _Interceptor(self.metrics)
        self.grpc = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
        self._probes = grpc.aio.server(options=OPTIONS)
        self._health = health.aio.HealthServicer()
        self._services = [""]
        for server in (self.grpc, self._probes):
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)

    async def start(self, address: str, *services: str, probes: str = "") -> str:
        """Listen on an address for the named services; give the address as bound.

        At the address `probes`, if there is one, the health service answers alone and without
        TLS, as whoever supervises processes asks for it.

        Raises:
            Unavailable: an address cannot be listened on.
        """
        if probes:
            await self._start_probes(probes)
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self.grpc)
        self._services.extend(services)
        await self.set_serving(False)
        with _listening_at(address):
            if tls := tls_for(address):
                port = self.grpc.add_secure_port(address, tls.server_credentials())
            else:
                port = self.grpc.add_insecure_port(address)
        await self.grpc.start()
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    async def _start_probes(self, address: str) -> None:
        await self._health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        await self.set_serving(False)
        with _listening_at(address):
            self._probes.add_insecure_port(address)
        await self._probes.start()

    async def set_serving(self, serving: bool) -> None:
        """Tell health checks whether this process takes work."""
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for service in self._services:
            await self._health.set(service, status)

    async def serve_until(self, stop: asyncio.Event, grace: float) -> None:
        """Take work until asked to stop, then drain for at most `grace` seconds."""
        await self.set_serving(True)
        await stop.wait()
        await self.stop(grace)

    async def stop(self, grace: float) -> None:
        """Take no new calls, let the running ones finish for `grace` seconds, then end."""
        await self.set_serving(False)
        await self.grpc.stop(grace)
        await self._probes.stop(0)


@contextmanager
def _listening_at(address: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise Unavailable(f"cannot listen on {address}: {error}") from error


Count = Callable[[str], None]
"""Counts a call by how it ended: "OK", or its error's reason."""


class _Interceptor(grpc.aio.ServerInterceptor):
    """Turns errors raised by servicers into statuses, and counts calls."""

    def __init__(self, metrics: CollectorRegistry) -> None:
        self._calls = Counter(
            "paddock_calls", "Calls by how they ended", ("method", "result"), registry=metrics
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method

        def count(result: str) -> None:
            self._calls.labels(method, result).inc()

        for kind, guard in _GUARDS.items():
            if behaviour := getattr(handler, kind):
                make = getattr(grpc, f"{kind}_rpc_method_handler")
                return make(
                    guard(behaviour, count),
                    handler.request_deserializer,
                    handler.response_serializer,
                )
        return handler


def _guard_unary(behaviour: Any, count: Count) -> Any:
    async def call(request: Any, context: _Context) -> Any:
        try:
            answer = await behaviour(request, context)
        except Exception as error:
            await _abort(context, error, count)
        else:
            count("OK")
            return answer

    return call


def _guard_stream(behaviour: Any, count: Count) -> Any:
    async def call(request: Any, context: _Context) -> AsyncIterator[Any]:
        try:
            answer = behaviour(request, context)
            if inspect.isawaitable(answer):  # it writes to the context itself
                await answer
                return
            async with aclosing(answer) as responses:
                async for response in responses:
                    yield response
            count("OK")
        except Exception as error:
            await _abort(context, error, count)

    return call


_GUARDS = {
    "unary_unary": _guard_unary,
    "stream_unary": _guard_unary,
    "unary_stream": _guard_stream,
    "stream_stream": _guard_stream,
}


async def _abort(context: _Context, error: Exception, count: Count) -> None:
    if isinstance(error, grpc.aio.AioRpcError):
        error = from_rpc_error(error)
    if isinstance(error, grpc.aio.AbortError | grpc.aio.BaseError):
        raise error
    if not isinstance(error, PaddockError):
        logger.error("a call failed", exc_info=error)
        error = Internal(f"internal error: {error}")
    count(error.reason())
    status = to_status(error)
    await context.abort(status.code, status.details, (*status.trailing_metadata, _FINAL))
