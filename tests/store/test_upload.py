"""What every backend's uploads have in common."""

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

from store.upload import Bytes, Upload


class _SlowHash:
    """One that takes its time."""

    def __init__(self) -> None:
        self.goes_on = Event()

    def update(self, _data: Bytes, /) -> None:
        self.goes_on.wait()

    def hexdigest(self) -> str:
        return 64 * "0"


class _Forgetting(Upload):
    """An upload that stores nothing."""

    def _append(self, data: Bytes) -> None: ...

    def _publish(self, digest: str) -> None: ...

    def _suspend(self) -> None: ...

    def _discard(self) -> None: ...

    def _interrupt(self) -> None: ...


def test_what_waits_to_be_hashed_is_bounded() -> None:
    """Of a store that is faster than the hash no more is kept in memory than one write."""
    slow = _SlowHash()
    upload = _Forgetting(None, None, sha256=slow)
    upload.write(b"first")
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(upload.write, b"second")
        try:
            assert not wait({second}, timeout=0.2).done
        finally:
            slow.goes_on.set()
    assert upload.commit() == (f"sha256:{64 * '0'}", len(b"firstsecond"))
