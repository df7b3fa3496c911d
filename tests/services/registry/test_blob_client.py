"""What the Registry does when connections to the Blob service break."""

import hashlib
from datetime import timedelta
from pathlib import Path

from common.rpc import open_channel
from common.server import Server
from protos.paddock.v1 import blob_pb2_grpc
from services.blob.collection import Collector
from services.blob.servicer import BlobServicer
from services.registry.blob_client import BlobClient
from store.folder import FolderStore
from tests.servers.faulty_proxy import running_proxy

CONTENT = b"as small as a template"


async def test_a_small_blob_is_stored_though_the_connection_broke(tmp_path: Path) -> None:
    server, store = Server(), FolderStore(tmp_path)
    blobs = BlobServicer(store, Collector(store, timedelta(hours=1)))
    blob_pb2_grpc.add_BlobServiceServicer_to_server(blobs, server.grpc)
    upstream = await server.start("127.0.0.1:0", "paddock.v1.BlobService")
    async with running_proxy(upstream) as proxy, open_channel(proxy.host) as channel:
        client = BlobClient(channel)
        proxy.cut_after(len(CONTENT))
        written = await client.write(CONTENT)
        assert written.digest == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
        assert await client.read(written.digest) == CONTENT
        assert proxy.cuts == 1
    await server.stop(0)
