"""A gRPC channel to a name that may not be there yet."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

_PATIENCE = 1.0
"""Seconds for which a channel may look for its name by itself."""

_GRACE = 600.0
"""Seconds that calls of a channel that was replaced have left."""

_Opener = Callable[[], grpc.aio.Channel]


class NamedChannel(grpc.aio.Channel):
    """Looks its name up again as soon as somebody calls.

    A channel of gRPC's waits longer each time that its name was not found, up to two minutes, and
    no option changes that (https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md has
    options for connections alone): who was started before its peers would not find them for that
    long after they came. This one is replaced by another meanwhile.
    """

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener
        self._opened = time.monotonic()
        self._channel = opener()
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> grpc.aio.Channel:
        """Give the channel that is to be called through now."""
        if self._channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            now = time.monotonic()
            if now - self._opened > _PATIENCE:
                opened = self._opener()
                self._retire(self._channel)
                self._opened, self._channel = now, opened
        return self._channel

    def _retire(self, channel: grpc.aio.Channel) -> None:
        closing = asyncio.create_task(channel.close(_GRACE))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close it; what still runs on a channel that was replaced ends with its peer."""
        for closing in self._closing:
            closing.cancel()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Give the state of the channel of the moment."""
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the channel of the moment is in another state."""
        await self.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the channel of the moment is connected."""
        await self.current().channel_ready()

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Make what calls a method."""
        return self._method(lambda channel: channel.unary_unary(method, *arguments, **options))

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Make what calls a method."""
        return self._method(lambda channel: channel.unary_stream(method, *arguments, **options))

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Make what calls a method."""
        return self._method(lambda channel: channel.stream_unary(method, *arguments, **options))

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Make what calls a method."""
        return self._method(lambda channel: channel.stream_stream(method, *arguments, **options))

    def _method(self, find: Callable[[grpc.aio.Channel], Callable[..., Any]]) -> Callable[..., Any]:
        """Make what calls a method through the channel of the moment."""
        channel = self._channel
        call = find(channel)

        def call_now(*arguments: Any, **options: Any) -> Any:
            nonlocal channel, call
            if (found := self.current()) is not channel:
                channel, call = found, find(found)
            return call(*arguments, **options)

        return call_now
