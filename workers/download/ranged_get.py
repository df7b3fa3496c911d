"""Ranged GETs that write what comes into a file. Everything here blocks: it runs on threads."""

import os
import time

import urllib3

from workers.download.partial_file import PartialFile, Range
from workers.download.settings import DownloadLimits

_PIECE = 1 << 20
_PARTIAL_CONTENT = 206


class Interrupted(Exception):
    """A range did not come to its end; what came of it is written."""


class Refused(Interrupted):
    """The server answered with something else than the range."""


class RangeClient:
    """Reads ranges over connections that are used again."""

    def __init__(self, limits: DownloadLimits) -> None:
        self._limits = limits
        self._pool = urllib3.PoolManager(
            maxsize=limits.parallel,
            retries=urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=3),
            timeout=urllib3.Timeout(connect=limits.connect_seconds, read=limits.stall_seconds),
            ca_certs=os.environ.get("AWS_CA_BUNDLE"),  # as the store's client reads it
        )

    def read(self, url: str, part: Range, file: PartialFile) -> None:
        """Bring what is missing of a range.

        Raises:
            Refused: the answer is not that range.
            Interrupted: it broke off or stalled.
            OSError: the file cannot be written.
        """
        try:
            response = self._ask(url, part)
            try:
                _check(response, part, file.size)
                _copy(response, part, file, self._limits)
            finally:
                _let_go(response, whole=part.position == part.end)
        except urllib3.exceptions.HTTPError as error:
            raise Interrupted(type(error).__name__) from None

    def _ask(self, url: str, part: Range) -> urllib3.BaseHTTPResponse:
        headers = {
            "Range": f"bytes={part.position}-{part.end - 1}",
            "Accept-Encoding": "identity",
        }
        return self._pool.request(
            "GET", url, headers=headers, preload_content=False, decode_content=False
        )


def _check(response: urllib3.BaseHTTPResponse, part: Range, size: int) -> None:
    if response.status != _PARTIAL_CONTENT:
        raise Refused(f"status {response.status}")
    given = response.headers.get("Content-Range", "")
    wanted = f"bytes {part.position}-{part.end - 1}"
    if given not in (f"{wanted}/{size}", f"{wanted}/*"):
        raise Refused(f"the range {given!r} where {wanted!r} of {size} was wanted")


def _copy(
    response: urllib3.BaseHTTPResponse, part: Range, file: PartialFile, limits: DownloadLimits
) -> None:
    waited, begin = 0.0, part.position
    while part.position < part.end:
        asked = time.monotonic()
        piece = response.read1(min(_PIECE, part.end - part.position))
        waited += time.monotonic() - asked
        if not piece:
            raise Interrupted("ended early")
        file.write(part, piece)
        if waited >= limits.stall_seconds:
            if part.position - begin < limits.slowest * waited and part.position < part.end:
                raise Interrupted("too slow")
            waited, begin = 0.0, part.position


def _let_go(response: urllib3.BaseHTTPResponse, *, whole: bool) -> None:
    if not whole:
        response.close()  # what is left of it must not be taken for the next answer
    response.release_conn()
