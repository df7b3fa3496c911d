"""The cheap clients, against a server that says what a test wants."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.wire import Client, Target, connect

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


_RECORDS = [chunk(b'{"response":"0"}\n'), chunk(b'{"eval_count":2}\n'), b"0\r\n\r\n"]


def body(number: int, length: int) -> dict[str, Any]:
    return {"prompt": f"{number}", "length": length}


@asynccontextmanager
async def answering(*answers: Sequence[bytes]) -> AsyncIterator[Client]:
    """A client of a server that writes these pieces, an answer for each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pieces in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = await connect(target(f"http://127.0.0.1:{port}"))
        yield client
        client.close()


def target(url: str = "http://127.0.0.1:1") -> Target:
    return Target(url, "/api/generate", body, re.compile(rb'"eval_count":(\d+)'))


async def test_answers_follow_one_another_on_one_connection() -> None:
    async with answering([_HEAD, *_RECORDS], [_HEAD, *_RECORDS]) as client:
        for number in range(2):
            answer = await client.ask(target(), number, 2)
            assert answer.tokens == answer.records == 2
            assert answer.asked < answer.first < answer.ended


async def test_pieces_may_be_cut_anywhere() -> None:
    whole = _HEAD + b"".join(_RECORDS)
    cut = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    async with answering(cut, [whole]) as client:
        for number in range(2):
            assert (await client.ask(target(), number, 2)).tokens == 2


async def test_the_head_alone_is_no_first_token() -> None:
    async with answering([_HEAD, b"", b"", *_RECORDS]) as client:
        answer = await client.ask(target(), 0, 2)
        assert answer.waited > 0.02


@pytest.mark.parametrize("name", ["response", "text"])
@pytest.mark.parametrize("first", [b"0", b" 0"])
async def test_what_cannot_be_seen_is_no_first_token(name: str, first: bytes) -> None:
    empty, space, told = (
        chunk(b'{"%b": "%b"}\n' % (name.encode(), text)) for text in (b"", b" ", first)
    )
    async with answering([_HEAD, empty, space, told, *_RECORDS[1:]]) as client:
        answer = await client.ask(target(), 0, 2)
        assert answer.waited > 0.02
        assert answer.first < answer.ended


async def test_an_answer_of_another_length_is_an_error() -> None:
    async with answering([_HEAD, *_RECORDS]) as client:
        with pytest.raises(RuntimeError, match="not 3 tokens long"):
            await client.ask(target(), 0, 3)


async def test_a_failure_is_an_error() -> None:
    reply = b'HTTP/1.1 503 Busy\r\nContent-Length: 16\r\n\r\n{"error":"full"}'
    async with answering([reply]) as client:
        with pytest.raises(RuntimeError, match="full"):
            await client.ask(target(), 0, 2)


async def test_a_connection_that_is_lost_is_an_error() -> None:
    async with answering([_HEAD, _RECORDS[0]]) as client:
        with pytest.raises(ConnectionError):
            await client.ask(target(), 0, 2)
