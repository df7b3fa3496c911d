"""The manifests of a bucket in memory, kept up to date by what processes tell each other."""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

from common.errors import PaddockError
from common.names import ModelName
from store.interface import Manifest
from store.s3_journal import Journal

logger = logging.getLogger(__name__)

_FRESH = 30.0  # seconds after which all manifests are listed again, while answers go on
_STALE = 600.0  # seconds after which they are listed before there is an answer

ReadSome = Callable[[Collection[str]], Iterator[tuple[str, Manifest | None]]]
"""Reads the manifests at some paths; None where there is none."""


class KnownManifests:
    """What was last listed, with the changes that were told since.

    What is told is read again, and takes the place of what was listed before. A listing that
    goes on meanwhile may have missed it, so it is read once more after that.
    """

    def __init__(
        self,
        journal: Journal,
        read_all: Callable[[], None],
        read: ReadSome,
        clock: Callable[[], float],
    ) -> None:
        """Begin with nothing.

        Args:
            journal: tells what others change.
            read_all: lists all manifests, within `listing`.
            read: reads some.
            clock: gives seconds.
        """
        self._clock = clock
        self._journal = journal
        self._read_all = read_all
        self._read = read
        self._manifests: dict[str, Manifest] = {}
        self._alike: defaultdict[str, set[str]] = defaultdict(set)
        self._listed_at: float | None = None
        self._lost_at = -math.inf
        self._changed: set[str] = set()
        self._changed_while_listed: list[set[str]] = []
        self._lock = Lock()
        self._refreshing = Lock()
        self._refreshed_at = -math.inf
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="manifests")
        self._behind: Future[None] | None = None

    def all(self) -> list[Manifest]:
        """Give all manifests."""
        self._refresh()
        with self._lock:
            return list(self._manifests.values())

    def alike(self, name: ModelName) -> list[ModelName]:
        """Give the names that differ from a name in case alone, sorted."""
        self._refresh()
        with self._lock:
            paths = sorted(self._alike.get(name.path.lower(), ()))
            return [self._manifests[path].name for path in paths]

    def note(self, path: str) -> None:
        """Take note of a change that this process has made."""
        with self._lock:
            self._changed.add(path)

    @contextmanager
    def listing(self) -> Iterator[dict[str, Manifest]]:
        """Take over what is put into the dictionary, by path, unless an error ends it."""
        listed: dict[str, Manifest] = {}
        changed: set[str] = set()
        with self._lock:
            began_at = self._clock()
            self._changed_while_listed.append(changed)
        try:
            yield listed
            with self._lock:
                if began_at >= max(self._lost_at, self._listed_at or -math.inf):
                    self._replace(listed)
                    self._changed |= changed
                    self._listed_at = began_at
        finally:
            with self._lock:
                self._changed_while_listed = [
                    each for each in self._changed_while_listed if each is not changed
                ]

    def _replace(self, listed: dict[str, Manifest]) -> None:
        self._manifests = listed
        self._alike = defaultdict(set)
        for path in listed:
            self._alike[path.lower()].add(path)

    def _refresh(self) -> None:
        """Learn what has changed until now, once for all who ask meanwhile."""
        asked_at = self._clock()
        with self._refreshing:
            if self._refreshed_at <= asked_at:
                begins_at = self._clock()
                self._learn()
                self._refreshed_at = begins_at

    def _learn(self) -> None:
        news = self._journal.news()
        if news is None:
            with self._lock:
                self._listed_at, self._lost_at = None, self._clock()
        age = None if self._listed_at is None else self._clock() - self._listed_at
        if age is None or age > _STALE:
            self._read_all()
        else:
            self._list_behind(age)
            with self._lock:
                self._changed |= news or set()
        self._read_changed()

    def _read_changed(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        try:
            for path, manifest in self._read(changed):
                self._put(path, manifest)
        except BaseException:
            with self._lock:
                self._changed |= changed
            raise

    def _put(self, path: str, manifest: Manifest | None) -> None:
        with self._lock:
            for listed in self._changed_while_listed:
                listed.add(path)
            if manifest:
                self._manifests[path] = manifest
                self._alike[path.lower()].add(path)
            elif self._manifests.pop(path, None):
                self._alike[path.lower()].discard(path)

    def _list_behind(self, age: float) -> None:
        """List again, for what others than our processes may have done."""
        if age > _FRESH and (self._behind is None or self._behind.done()):
            self._behind = self._thread.submit(self._try_read_all)

    def _try_read_all(self) -> None:
        try:
            self._read_all()
        except PaddockError as error:
            logger.warning("the manifests could not be listed again: %s", error.message)
