"""A TCP proxy on loopback that breaks connections when it is told to."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 64 * 1024


class CuttingProxy(socketserver.ThreadingTCPServer):
    """Forwards connections to a port on loopback."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = target
        self.answer_limit: int | None = None
        """Bytes of an answer after which its connection is cut; None: never."""

        self.cuts = 0
        """How many connections have been cut."""

        self._open: set[socket.socket] = set()
        self._is_down = False

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def go_down(self) -> None:
        """Cut all connections, and every new one at once."""
        self._is_down = True
        for connection in list(self._open):
            _cut(connection)

    def come_back(self) -> None:
        """Forward again."""
        self._is_down = False

    def forward(self, client: socket.socket) -> None:
        """Forward one connection until either side ends it, or it is cut."""
        if self._is_down:
            return
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            self._open |= {client, server}
            asking = threading.Thread(target=_pump, args=(client, server), daemon=True)
            asking.start()
            self._answer(server, client)
            for side in (client, server):
                _cut(side)
            asking.join()
            self._open -= {client, server}

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := server.recv(_CHUNK):
                client.sendall(data)
                passed += len(data)
                if self.answer_limit is not None and passed > self.answer_limit:
                    self.cuts += 1
                    return


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        proxy = self.server
        assert isinstance(proxy, CuttingProxy)
        with suppress(OSError):
            proxy.forward(self.request)


@contextmanager
def cutting_proxy(target: int) -> Iterator[CuttingProxy]:
    """Run a proxy in front of a port."""
    with CuttingProxy(target) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.go_down()
            proxy.shutdown()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
