"""An HTTP server on loopback that answers S3 requests as a test wants other makes to."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What is answered; `Date` and the length are added."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ScriptedS3:
    """A running server, and what it has been asked."""

    answer: Callable[[Request], Answer]
    endpoint: str = ""
    requests: list[Request] = field(default_factory=list)


@contextmanager
def scripted_s3(answer: Callable[[Request], Answer]) -> Iterator[ScriptedS3]:
    """Answer every request by calling a function."""
    script = ScriptedS3(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            query = parse_qs(url.query, keep_blank_values=True)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, url.path, {key: query[key][0] for key in query})
            script.requests.append(request)
            told = script.answer(request)
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in told.headers:
                self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(told.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.endpoint = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield script
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
