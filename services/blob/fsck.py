"""`python -m services.blob.fsck`: checks a store, beside a service or without one."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from common.errors import PaddockError
from common.process import configure_logging, follow_parent
from common.settings import read_settings
from services.blob.checking import Problem, Progress, StoreCheck
from services.blob.settings import FsckSettings
from store.interface import Store
from store.opening import open_store

_INTERVAL = 0.5  # seconds
_MB = 1_000_000
_CLEAR_LINE = "\r\x1b[K"


def check(store: Store, repair: bool) -> bool:
    """Check a store, print what is wrong and how much there was; give whether all is well."""
    running = StoreCheck(store)
    found = 0
    with _shown(running.progress):
        for problem in running.problems():
            found += 1
            print(f"{_CLEAR_LINE if sys.stderr.isatty() else ''}{problem.text}", flush=True)
            if repair and problem.wrong_blob:
                print(_delete(store, problem), flush=True)
    done = running.progress
    print(f"checked {done.manifests} manifests and {done.blobs} blobs with {done.size} bytes")
    print(_verdict(found, done))
    return not found


def _verdict(found: int, done: Progress) -> str:
    if found:
        return f"{found} {'problem' if found == 1 else 'problems'}"
    if not done.manifests and not done.blobs:
        return "nothing is stored there: the store is empty, or lies elsewhere"
    return "all is well"


def _delete(store: Store, problem: Problem) -> str:
    blob = problem.wrong_blob
    if blob and store.delete_blob(blob.digest, unless_newer_than=blob.modified_at):
        return "    deleted; pull or create again what needs it"
    return "    not deleted, for somebody wanted it meanwhile; check again"


@contextmanager
def _shown(progress: Progress) -> Iterator[None]:
    """Show how far a check has come while it runs, on a terminal."""
    done = Event()
    thread = Thread(target=_show, args=(progress, done))
    if sys.stderr.isatty():
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.is_alive():
            thread.join()


def _show(progress: Progress, done: Event) -> None:
    begun = time.monotonic()
    while not done.wait(_INTERVAL):
        rate = progress.size / (time.monotonic() - begun)
        sys.stderr.write(
            f"{_CLEAR_LINE}{progress.manifests} manifests, "
            f"{progress.blobs} of {progress.all_blobs} blobs, "
            f"{progress.size // _MB} of {progress.all_size // _MB} MB, {rate / _MB:.0f} MB/s"
        )
        sys.stderr.flush()
    sys.stderr.write(_CLEAR_LINE)


def main() -> None:
    """Check, and leave with status 1 if something is wrong."""
    settings = read_settings(FsckSettings, "python -m services.blob.fsck")
    configure_logging("fsck", settings.log_level)
    follow_parent()
    try:
        well = check(open_store(settings.store), settings.repair)
    except PaddockError as error:
        sys.exit(f"fsck: {error.message}")
    except KeyboardInterrupt:
        sys.exit(130)
    if not well:
        sys.exit(1)


if __name__ == "__main__":
    main()
