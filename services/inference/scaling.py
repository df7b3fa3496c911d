"""How many replicas a model has, and which: pure policies over workers' reports.

Every router decides alike: rendezvous hashing puts the workers in an order of their own for
each model, so that routers that see the same load start the same replica next, and let the
same one go. Nothing is unloaded: a replica that gets no requests expires by its keep_alive.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from services.inference.placement import (
    READY,
    Candidate,
    Held,
    Replica,
    Wanted,
    memory_needed,
    victims,
)
from services.inference.rendezvous import key_of, score

# The load fits into fewer replicas when it is below this part of what makes a model hot. The
# gap keeps a replica from being started and given up in turn.
_COOL = 0.5
# Seconds that an idle model must have been unused before it gives way to another's replica.
_REST = 10.0

Waiting = Callable[[Wanted], int]
"""Tells how many of this router's requests wait for an engine with the same weights."""


class Scaling(NamedTuple):
    """When a model gets replicas."""

    load: float = 0.5
    """Share of its replicas' slots in use beyond which it is hot."""
    most: int = 0
    """Replicas of a model at most; 0: any number."""


DEFAULT_SCALING = Scaling()


def in_order(replicas: Iterable[Replica], weights: str) -> list[Replica]:
    """Order a model's replicas: the first gets requests at all times, the last goes first."""
    key = key_of(weights)
    return sorted(
        replicas,
        key=lambda replica: (not replica.engine.pinned, -score(key, replica.candidate.worker)),
    )


def needed(replicas: Sequence[Replica], weights: str, scaling: Scaling) -> Sequence[Replica]:
    """Name the replicas that get new requests: the first that the load easily fits into."""
    load = sum([replica.engine.load + replica.sent for replica in replicas])
    slots = [replica.engine.slots for replica in replicas]
    part = scaling.load * _COOL
    if load > part * (sum(slots) - min(slots)):
        return replicas
    room = 0.0
    ordered = in_order(replicas, weights)
    for number, replica in enumerate(ordered, start=1):
        room += part * replica.engine.slots
        if load <= room:
            return ordered[:number]
    return ordered


def hot_models(candidates: Iterable[Candidate], waiting: Waiting, scaling: Scaling) -> list[Held]:
    """Give an engine of each model that needs one more replica, the hottest model first.

    While one of a model's engines loads, it needs no other.
    """
    usable = [candidate for candidate in candidates if not candidate.draining]
    engines: dict[str, list[tuple[Candidate, Held]]] = {}
    for candidate in usable:
        for held in candidate.held:
            engines.setdefault(held.wanted.weights, []).append((candidate, held))
    hot: list[tuple[float, Held]] = []
    for weights in sorted(engines.keys() - _coming(usable)):
        heat = _heat(engines[weights], waiting, scaling)
        if heat is not None:
            busiest = max((held for _, held in engines[weights]), key=lambda held: held.load)
            hot.append((heat, busiest))
    return [held for _, held in sorted(hot, key=lambda entry: -entry[0])]


def next_replica(
    candidates: Sequence[Candidate], engine: Held, now: float, excluded: Collection[str] = ()
) -> Candidate | None:
    """Choose an idle worker for one more replica, by address; None: there is none with room.

    `now` is in seconds since 1970. One where nothing must go comes first.
    """
    need = memory_needed(candidates, engine.wanted)
    key = key_of(engine.wanted.weights)
    found: list[tuple[bool, int, Candidate]] = []
    for candidate in candidates:
        if candidate.address in excluded or not _is_idle(candidate, engine.wanted):
            continue
        leaving = victims(candidate, need, pinned=False)
        if leaving is not None and all(held.used_at < now - _REST for held in leaving):
            found.append((bool(leaving), -score(key, candidate.worker), candidate))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def _heat(
    engines: Sequence[tuple[Candidate, Held]], waiting: Waiting, scaling: Scaling
) -> float | None:
    """Give a model's load as a share of its slots; None where it needs no other replica."""
    if any(held.state != READY for _, held in engines):
        return None
    if scaling.most and len(engines) >= scaling.most:
        return None
    wanted = engines[0][1].wanted
    slots = sum(held.slots for _, held in engines)
    load = sum({it.address: it.load(wanted.weights) for it, _ in engines}.values())
    queued = waiting(wanted)
    if not queued and load <= scaling.load * slots:
        return None
    return (load + queued) / max(slots, 1)


def _coming(candidates: Iterable[Candidate]) -> set[str]:
    """Name the models that this router has asked for on workers that do not show them yet."""
    coming: set[str] = set()
    for candidate in candidates:
        if candidate.in_flight:
            held = {held.wanted.weights for held in candidate.held}
            coming.update(it.weights for it in candidate.in_flight if it.weights not in held)
    return coming


def _is_idle(candidate: Candidate, wanted: Wanted) -> bool:
    return (
        not candidate.draining
        and not candidate.in_flight
        and all(held.idle and held.wanted.weights != wanted.weights for held in candidate.held)
    )
