"""What the commands say when the server is not what they hope for."""

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.cli.plain_server import JSON, answer, server
from tests.cli.program import paddock, terminal
from tests.integration.suite import free_port

HTML = "<html>hello</html>"


def fails(*arguments: str, url: str, key: str = "") -> str:
    done = paddock(*arguments, url=url, OLLAMA_API_KEY=key)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("Error: ").rstrip("\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("pull", "x"),
        ("rm", "x"),
        ("stop", "x"),
        ("cp", "x", "y"),
        ("create", "x", "-f-"),
    ],
)
def test_no_server_on_this_machine(arguments: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = paddock(*arguments, url=url, text="FROM x")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: could not connect to a Paddock server at {url}, run 'paddock serve' to start it\n"
    )


def test_no_server_elsewhere() -> None:
    message = fails("list", url="http://models.invalid:1")
    assert message.startswith("could not connect to a Paddock server at http://models.invalid:1")
    assert "PADDOCK_HOST" in message
    assert "[Errno " in message
    assert "paddock serve" not in message


def test_a_wrong_address() -> None:
    assert "invalid address" in fails("list", url="ftp://x")


@pytest.mark.parametrize(
    ("arguments", "status", "body"),
    [
        (("list",), 200, HTML),
        (("list",), 404, HTML),
        (("list",), 200, "[]"),
        (("list",), 200, '{"models": 1}'),
        (("ps",), 200, '{"models": [{"name": "x"}]}'),
        (("pull", "x"), 200, HTML),
        (("pull", "x"), 404, HTML),
        (("show", "x"), 500, HTML),
        (("show", "x"), 200, "null"),
    ],
)
def test_another_kind_of_server(arguments: tuple[str, ...], status: int, body: str) -> None:
    with server(answer(status, body, "text/html" if body == HTML else JSON)) as url:
        assert fails(*arguments, url=url).startswith(
            f"{url} does not answer as an Ollama server does"
        )


@pytest.mark.parametrize("body", ["denied", '{"error": "denied"}'])
def test_a_key_is_wanted(body: str) -> None:
    with server(answer(401, body)) as url:
        message = fails("list", url=url)
        assert message.startswith(f"{url} wants an API key")
        assert "PADDOCK_API_KEY" in message
        message = fails("list", url=url, key="wrong")
        assert message.startswith(f"{url} does not accept the API key")


def test_a_key_is_sent() -> None:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        good = handler.headers["Authorization"] == "Bearer secret"
        answer(200 if good else 401, '{"models": []}')(handler)

    with server(reply) as url:
        assert paddock("list", url=url, PADDOCK_API_KEY="secret").returncode == 0


def test_a_path_before_the_api() -> None:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        good = handler.path == "/team/ollama/api/tags"
        answer(200 if good else 404, '{"models": []}')(handler)

    with server(reply) as url:
        assert paddock("list", url=f"{url}/team/ollama/").returncode == 0


def test_the_connection_breaks_in_the_middle() -> None:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"status":"pulling manifest"}\n')

    with server(reply) as url:
        done = paddock("pull", "x", url=url)
    assert done.returncode == 1
    progress, message = done.stderr.splitlines()
    assert progress == "pulling manifest"
    assert message.startswith(f"Error: the connection to {url} was lost")


def test_the_answer_ends_before_it_succeeded() -> None:
    with server(answer(200, '{"status":"pulling manifest"}\n')) as url:
        done = paddock("pull", "x", "--quiet", url=url)
    assert done.returncode == 1
    assert done.stderr == (f"Error: the connection to {url} was lost: the answer ended too early\n")


@pytest.mark.parametrize("flags", [(), ("--quiet",)])
def test_ctrl_c(flags: tuple[str, ...]) -> None:
    over, asked = threading.Event(), threading.Event()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b'{"status":"pulling manifest"}\n')
        asked.set()
        over.wait()

    with server(reply) as url, terminal("pull", "x", *flags, url=url) as running:
        try:
            running.wait_until(asked.is_set)
            running.type("\x03")
            assert running.wait() == 130
        finally:
            over.set()
    assert "Traceback" not in running.text
    assert ("pulling manifest" in running.text) == (not flags)


def test_a_registrys_refusal_is_not_taken_for_the_servers() -> None:
    with server(answer(401, '{"error": "that registry wants a password"}')) as url:
        assert fails("pull", "x", url=url) == "that registry wants a password"


def test_pushing_to_somebody_elses_namespace() -> None:
    body = '{"status":"retrieving manifest"}\n{"error":"access denied"}\n'
    with server(answer(200, body)) as url:
        message = fails("push", "x", "--quiet", url=url)
    assert message.startswith("you are not authorized to push to this namespace")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine() -> None:
    with server(answer(200, '{"models": []}')) as url:
        proxy = f"http://127.0.0.1:{free_port()}"
        assert paddock("list", url=url, HTTP_PROXY=proxy, http_proxy=proxy).returncode == 0


@pytest.mark.parametrize("arguments", [("show",), ("list", "--nonsense"), ("nonsense",)])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = paddock(*arguments)
    assert done.returncode == 2
    assert "Usage: paddock" in done.stderr


def test_there_are_no_accounts() -> None:
    for command in ("signin", "logout"):
        done = paddock(command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "accounts are ollama.com's" in done.stderr


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM ./model.gguf")
    for arguments, message in (
        (("create", "x"), "no such file or folder: ./model.gguf"),
        (("create", "x", "-f", "other"), "specified Modelfile wasn't found: other"),
        (("create", "x y", "-f", "Modelfile"), "invalid model name: x y"),
    ):
        done = paddock(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, f"Error: {message}\n")


def test_the_versions() -> None:
    done = paddock("--version", url=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0
    assert done.stdout.startswith("Warning: could not connect to a running Paddock instance\n")
    with server(answer(200, '{"version": "0.33.0"}')) as url:
        done = paddock("-v", url=url)
    assert done.stdout.startswith("ollama version is 0.33.0\nWarning: client version is ")
