"""Processes that talk only to those of their own authority."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from common.errors import InvalidRequest, Unavailable
from common.rpc import is_serving, open_channel, rpc_errors
from common.server import Server
from common.tls import NAME, process_tls
from protos.paddock.v1 import inference_pb2, inference_pb2_grpc

SERVICE = "paddock.v1.InferenceService"


class Empty(inference_pb2_grpc.InferenceServiceServicer):
    """Runs no models."""

    async def ListRunning(
        self, request: inference_pb2.ListRunningRequest, context: Any
    ) -> inference_pb2.ListRunningResponse:
        return inference_pb2.ListRunningResponse()


def become(folder: Path, authority: trustme.CA, name: str = NAME) -> None:
    """Let this process have a certificate of an authority, and none from before."""
    certificate = authority.issue_cert(name)
    folder.mkdir(exist_ok=True)
    certificate.private_key_pem.write_to_path(str(folder / "tls.key"))
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    (folder / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    os.environ["PADDOCK_TLS_CERTIFICATE"] = str(folder / "tls.crt")
    os.environ["PADDOCK_TLS_KEY"] = str(folder / "tls.key")
    os.environ["PADDOCK_TLS_AUTHORITY"] = str(folder / "ca.crt")
    process_tls.cache_clear()


@pytest.fixture(autouse=True)
def no_tls_before_or_after() -> Iterator[None]:
    leave_tls()
    yield
    leave_tls()


def leave_tls() -> None:
    for name in ("CERTIFICATE", "KEY", "AUTHORITY"):
        os.environ.pop(f"PADDOCK_TLS_{name}", None)
    process_tls.cache_clear()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def start(server: Server, address: str = "127.0.0.1:0", probes: str = "") -> str:
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(Empty(), server.grpc)  # type: ignore[abstract]
    address = await server.start(address, SERVICE, probes=probes)
    await server.set_serving(True)
    return address


async def ask(address: str) -> None:
    async with open_channel(address, retry=False) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        with rpc_errors():
            await stub.ListRunning(inference_pb2.ListRunningRequest(), timeout=5)


async def test_members_of_a_suite_talk(tmp_path: Path, authority: trustme.CA) -> None:
    become(tmp_path / "server", authority)
    server = Server()
    address = await start(server)
    become(tmp_path / "client", authority)
    await ask(address)
    assert await is_serving(address)
    await server.stop(0)


@pytest.mark.parametrize("stranger", ["without", "another authority", "another name"])
async def test_strangers_are_refused(tmp_path: Path, authority: trustme.CA, stranger: str) -> None:
    become(tmp_path / "server", authority, "x.example" if stranger == "another name" else NAME)
    server = Server()
    address = await start(server)
    if stranger == "without":
        leave_tls()
    elif stranger == "another authority":
        become(tmp_path / "client", trustme.CA())
    else:
        become(tmp_path / "client", authority)
    with pytest.raises(Unavailable):
        await ask(address)
    await server.stop(0)


async def test_probes_and_sockets_need_no_certificate(
    tmp_path: Path, authority: trustme.CA
) -> None:
    become(tmp_path / "server", authority)
    server, probes = Server(), f"unix:{tmp_path}/probes"
    address = await start(server, f"unix:{tmp_path}/socket", probes)
    leave_tls()
    await ask(address)
    assert await is_serving(probes)
    await server.set_serving(False)
    assert not await is_serving(probes)
    await server.stop(0)


def test_half_a_configuration_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    become(tmp_path / "server", authority)
    del os.environ["PADDOCK_TLS_KEY"]
    process_tls.cache_clear()
    with pytest.raises(InvalidRequest, match="go together"):
        process_tls()


def test_a_missing_file_is_named(tmp_path: Path, authority: trustme.CA) -> None:
    become(tmp_path / "server", authority)
    (tmp_path / "server" / "tls.crt").unlink()
    with pytest.raises(InvalidRequest, match=r"tls\.crt: No such file"):
        process_tls()
