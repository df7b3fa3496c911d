"""A TCP proxy that lets answers through as slowly as it is told to."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 16 * 1024


class SlowProxy:
    """Passes connections on to the server at `url`, each on two threads."""

    def __init__(self, url: str) -> None:
        self.rate = 0.0
        """Bytes a second of all answers together; 0: as many as can be."""
        self._upstream = urlsplit(url).netloc.rsplit(":", 1)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pacing = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._upstream[0], int(self._upstream[1])))
                for source, target, paced in ((client, server, False), (server, client, True)):
                    threading.Thread(
                        target=self._copy, args=(source, target, paced), daemon=True
                    ).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _copy(self, source: socket.socket, target: socket.socket, paced: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if paced and self.rate:
                    with self._pacing:
                        time.sleep(len(piece) / self.rate)
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_slow_proxy(url: str) -> Iterator[SlowProxy]:
    """Run a proxy before a server."""
    proxy = SlowProxy(url)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
