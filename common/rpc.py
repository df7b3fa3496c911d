"""gRPC as all processes use it: channels, and errors that cross them.

A servicer raises `PaddockError`s, which the server turns into statuses with a
`google.rpc.ErrorInfo`. A caller wraps its calls in `rpc_errors()` and meets the same
classes again.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from common.errors import (
    BY_STATUS,
    Internal,
    Interrupted,
    InvalidRequest,
    PaddockError,
    Unavailable,
    error_for,
)
from common.named_channel import NamedChannel
from common.tls import CHANNEL_OPTIONS, Tls, process_tls

logger = logging.getLogger(__name__)

ERROR_DOMAIN = "paddock"

MAX_MESSAGE = 256 * 1024 * 1024
"""Bytes. Images travel inside messages; blobs do not (they are streamed in pieces)."""

_MAX_PENDING = 100_000

# Of an error's text, in bytes. It travels in the trailers, twice over, and those end at
# 8 KiB; what a user sent may be quoted in it.
_MAX_TEXT = 1500

# A call that was cut off by the peer's death before it answered is sent again, for about as
# long as a restart takes. An error that the peer itself answered is final (see `common.server`),
# and so is a deletion: the first one may have happened. Calls that stream requests are for their
# callers to make again: of those that are written while the peer dies, gRPC loses one now and then.
_RETRY_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.3s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICE_CONFIG: dict[str, Any] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {"name": [{}], "retryPolicy": _RETRY_POLICY},
        {
            "name": [
                {"service": "paddock.v1.RegistryService", "method": "Delete"},
                {"service": "paddock.v1.BlobService", "method": "DeleteManifest"},
                {"service": "paddock.v1.BlobService", "method": "Write"},
                {"service": "paddock.v1.InferenceService", "method": "Run"},
            ]
        },
    ],
}
BROKEN_STREAM = "Internal error from Core"
"""What gRPC itself says where a stream breaks that is being written."""

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    # Blobs flow in messages of a megabyte. gRPC's own beginnings, of 64 KiB, keep them waiting.
    ("grpc.http2.lookahead_bytes", 2 * 1024 * 1024),
    ("grpc.http2.max_frame_size", 1024 * 1024),
    ("grpc.so_reuseport", 0),
    # Of thousands of calls that come at once gRPC's core would cancel some, at random from
    # 1,000 on that are not taken yet. How much is too much is for `Busy` to say.
    ("grpc.server.max_pending_requests", _MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING),
    # A proxy for the world outside is not on the way to our own services.
    ("grpc.enable_http_proxy", 0),
    # A peer that vanished without a word is noticed within seconds. (What ends a connection
    # whose pings are not answered is the timeout of pings, not that of keepalive.)
    ("grpc.keepalive_time_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 6_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted peer is found again at once, not after minutes of backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # New processes behind a name get their share: connections are made anew now and then, and
    # the name is looked up for that. What runs on an old one is not disturbed.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
]
"""Of every channel and every server."""


def open_channel(address: str, *, retry: bool = True) -> grpc.aio.Channel:
    """Connect lazily to `host:port` or `unix:/path`.

    Several processes may stand behind it: those that a name leads to, or a list of
    `ip:port`, separated by commas. Calls take turns among those that can be reached, and with
    them a call of one request outlasts a restart of its peer unless that had begun to answer.
    Without `retry` all calls go to one process for as long as it lives, and are made once.

    Raises:
        InvalidRequest: a list names something else.
    """
    target = _target(address)
    options = [*OPTIONS, ("grpc.service_config", json.dumps(_SERVICE_CONFIG if retry else {}))]
    tls = tls_for(address)

    def open_once() -> grpc.aio.Channel:
        if tls is None:
            return grpc.aio.insecure_channel(target, options=options)
        return grpc.aio.secure_channel(
            target, tls.channel_credentials(), options=[*options, *CHANNEL_OPTIONS]
        )

    return NamedChannel(open_once) if _is_name(target) else open_once()


def tls_for(address: str) -> Tls | None:
    """Give what secures an address; a Unix socket is guarded by its folder."""
    return None if address.startswith("unix:") else process_tls()


def _is_name(target: str) -> bool:
    """Tell whether a name server is asked for a target."""
    if target.startswith(("unix:", "ipv4:", "ipv6:")):
        return False
    try:
        ip_address(target.rpartition(":")[0].strip("[]"))
    except ValueError:
        return True
    return False


def _target(address: str) -> str:
    """Give an address in gRPC's own form (https://grpc.github.io/grpc/core/md_doc_naming.html)."""
    parts = [part.strip() for part in address.split(",") if part.strip()]
    if len(parts) == 1:
        return parts[0]
    try:
        versions = {ip_address(part.rpartition(":")[0].strip("[]")).version for part in parts}
    except ValueError:
        raise InvalidRequest(
            f"{address!r}: in a list of addresses, each has to be ip:port"
        ) from None
    if len(versions) != 1:
        raise InvalidRequest(f"{address!r}: a list of addresses takes IPv4 or IPv6, not both")
    return f"ipv{versions.pop()}:{','.join(parts)}"


async def is_serving(address: str, timeout: float = 1.0) -> bool:
    """Ask a server's standard health service whether it takes work."""
    async with open_channel(address, retry=False) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@contextmanager
def rpc_errors() -> Iterator[None]:
    """Raise the `PaddockError` that a failed call carries."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error


def from_rpc_error(error: grpc.aio.AioRpcError) -> PaddockError:
    """Read the typed error out of a call's status."""
    if typed := _typed(error):
        return typed
    kind = _kind_of(error)
    if issubclass(kind, Unavailable):
        # gRPC's own text names our addresses, which are nobody's business.
        logger.warning("a service cannot be reached: %s", error.details())
        return kind("a service is not available; try again in a moment")
    return kind(error.details() or error.code().name)


def is_cut_off(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether a call ended because its peer was lost, which did not say why."""
    return _typed(error) is None and _kind_of(error) is Interrupted


def _typed(error: grpc.aio.AioRpcError) -> PaddockError | None:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return _from_details(Status.FromString(value), error.details() or "")
    return None


def _kind_of(error: grpc.aio.AioRpcError) -> type[PaddockError]:
    if error.details() == BROKEN_STREAM:
        return Interrupted
    return BY_STATUS.get(error.code().name, Internal)


def _from_details(status: Status, message: str) -> PaddockError | None:
    info, retry = ErrorInfo(), RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    if info.domain != ERROR_DOMAIN:
        return None
    error = error_for(info.reason, message)
    if retry.HasField("retry_delay"):
        error.retry_after = retry.retry_delay.ToMicroseconds() / 1e6
    return error


def to_status(error: PaddockError) -> Any:
    """Give the gRPC status, with details, that carries an error."""
    code: int = grpc.StatusCode[error.grpc_status].value[0]
    status = Status(code=code, message=_clip(error.message))
    status.details.add().Pack(ErrorInfo(reason=error.reason(), domain=ERROR_DOMAIN))
    if error.retry_after is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMicroseconds(int(error.retry_after * 1e6))
        status.details.add().Pack(retry)
    return rpc_status.to_status(status)


def _clip(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= _MAX_TEXT:
        return encoded.decode()
    return encoded[:_MAX_TEXT].decode(errors="ignore") + "…"
