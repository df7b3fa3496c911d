"""Which models are held by a worker: their expiry, and who must go to make room.

Pure and synchronous: time comes in as an argument (seconds of a monotonic clock), decisions
go out. A resident is one manifest; residents of equal weights may share one engine.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from common.durations import SECOND
from common.errors import NoRoom
from protos.paddock.v1 import model_pb2
from workers.lora.sharing import EngineKey, wanted_engine


@dataclass(eq=False)
class Resident:
    """One manifest that is loaded, or about to be."""

    spec: model_pb2.ModelSpec
    keep_alive: int
    """Nanoseconds; negative: for ever."""
    engine: EngineKey
    """That it uses, or waits for."""
    pinned: bool = False
    """A request asked for ever: it is evicted after all that are not."""
    active: int = 0
    """Requests that use it now."""
    deadline: float | None = None
    """When it expires; None while it is in use, and for ever."""
    used_at: float = 0.0

    def expiry(self, now: float) -> float | None:
        """Tell when it expires if nobody asks for it any more; None: never."""
        return _deadline(self.keep_alive, now) if self.active else self.deadline


class Residents:
    """All residents of a worker, by manifest digest."""

    def __init__(self, default_keep_alive: int) -> None:
        self._default = default_keep_alive
        self._by_digest: dict[str, Resident] = {}

    def __iter__(self) -> Iterator[Resident]:
        return iter(list(self._by_digest.values()))

    def get(self, digest: str) -> Resident | None:
        """Find a resident."""
        return self._by_digest.get(digest)

    def of(self, engine: EngineKey) -> list[Resident]:
        """List the residents that share an engine."""
        return [found for found in self._by_digest.values() if found.engine == engine]

    def acquire(self, spec: model_pb2.ModelSpec, keep_alive: int | None, now: float) -> Resident:
        """Begin to use a manifest; its clock stands still until it is released.

        Raises:
            InvalidModel: no engine can serve it.
        """
        new = Resident(spec, self._default, wanted_engine(spec))
        resident = self._by_digest.setdefault(spec.digest, new)
        resident.spec = spec  # a manifest may have several names: the last one shows
        resident.keep_alive = self._default if keep_alive is None else keep_alive
        resident.pinned = keep_alive is not None and keep_alive < 0
        resident.active += 1
        resident.deadline = None
        resident.used_at = now
        return resident

    def release(self, resident: Resident, now: float) -> None:
        """End one use; after the last one the clock starts anew."""
        resident.active -= 1
        resident.used_at = now
        if not resident.active:
            resident.deadline = _deadline(resident.keep_alive, now)

    def expire(self, digest: str, now: float) -> None:
        """Let a resident go as soon as nobody uses it."""
        resident = self._by_digest[digest]
        resident.keep_alive = 0
        resident.pinned = False
        if not resident.active:
            resident.deadline = now

    def next_deadline(self) -> float | None:
        """Give the time when the next resident expires."""
        deadlines = [found.deadline for found in self._by_digest.values()]
        return min((at for at in deadlines if at is not None), default=None)

    def remove_expired(self, now: float) -> set[EngineKey]:
        """Remove what has expired; give the engines concerned."""
        expired = [
            found
            for found in self._by_digest.values()
            if found.deadline is not None and found.deadline <= now
        ]
        for resident in expired:
            del self._by_digest[resident.spec.digest]
        return {resident.engine for resident in expired}

    def remove(self, resident: Resident) -> None:
        """Remove one resident, unless another took its place."""
        if self._by_digest.get(resident.spec.digest) is resident:
            del self._by_digest[resident.spec.digest]

    def remove_idle(self, engine: EngineKey) -> None:
        """Remove the residents of an engine that goes, but for those that wait for a new one."""
        for resident in self.of(engine):
            if not resident.active:
                del self._by_digest[resident.spec.digest]


@dataclass(frozen=True)
class Holding:
    """The memory one engine takes, and whether it may be taken away."""

    engine: EngineKey
    memory: int
    evictable: bool
    """Ready and unused."""
    used_at: float
    pinned: bool = False
    """A request asked to keep it for ever."""


@dataclass(frozen=True)
class Room:
    """What the engines of a worker may take together."""

    memory: int
    """Bytes."""
    engines: int = 0
    """How many there may be; 0: any number."""
    asleep: int = 0
    """Bytes of the machine's memory for those that sleep, which are not counted otherwise."""


def choose_victims(holdings: Iterable[Holding], need: int, room: Room) -> list[EngineKey]:
    """Choose the engines to evict so that one more, of `need` bytes, fits.

    They are idle; pinned ones go after all others, and the least recently used go first.

    Raises:
        NoRoom: not even evicting all that may be evicted makes room.
    """
    held = list(holdings)
    excess = sum(holding.memory for holding in held) + need - room.memory
    too_many = len(held) + 1 - room.engines if room.engines else 0
    victims: list[EngineKey] = []
    idle = [holding for holding in held if holding.evictable]
    for holding in sorted(idle, key=lambda it: (it.pinned, it.used_at)):
        if excess <= 0 and too_many <= 0:
            break
        victims.append(holding.engine)
        excess -= holding.memory
        too_many -= 1
    if too_many > 0:
        raise NoRoom(f"all {room.engines} models that may be loaded at once are in use")
    if excess > 0:
        raise NoRoom(
            f"model requires more memory ({_gigabytes(need)}) than is available "
            f"({_gigabytes(max(need - excess, 0))})"
        )
    return victims


def _deadline(keep_alive: int, now: float) -> float | None:
    return None if keep_alive < 0 else now + keep_alive / SECOND


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
