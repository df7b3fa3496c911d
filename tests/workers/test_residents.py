from typing import Any

import pytest

from common.durations import SECOND
from common.errors import NoRoom
from protos.paddock.v1 import model_pb2
from workers.lora.sharing import EngineKey
from workers.residents import Holding, Residents, Room, choose_victims


def spec(digest: str, weights: str = "w") -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(name=digest, digest=digest, weights=weights)


def test_the_clock_starts_when_the_last_use_ends() -> None:
    residents = Residents(5 * SECOND)
    first = residents.acquire(spec("a"), None, now=0)
    residents.acquire(spec("a"), None, now=1)
    residents.release(first, now=2)
    assert residents.next_deadline() is None
    residents.release(first, now=3)
    assert residents.next_deadline() == 8


@pytest.mark.parametrize(
    ("default", "asked", "deadline"),
    [
        (300 * SECOND, None, 310),
        (300 * SECOND, 0, 10),
        (300 * SECOND, SECOND // 2, 10.5),
        (300 * SECOND, -1, None),
        (-1, None, None),
        (-1, SECOND, 11),
    ],
)
def test_deadline(default: int, asked: int | None, deadline: float | None) -> None:
    residents = Residents(default)
    residents.release(residents.acquire(spec("a"), asked, now=0), now=10)
    assert residents.next_deadline() == deadline


def test_each_request_sets_the_clock_anew() -> None:
    residents = Residents(SECOND)
    residents.release(residents.acquire(spec("a"), 100 * SECOND, now=0), now=0)
    residents.release(residents.acquire(spec("a"), None, now=1), now=1)
    assert residents.next_deadline() == 2


def test_manifests_of_equal_weights_expire_separately() -> None:
    residents = Residents(SECOND)
    residents.release(residents.acquire(spec("a"), None, now=0), now=0)
    residents.release(residents.acquire(spec("b"), 10 * SECOND, now=0), now=0)
    assert residents.remove_expired(now=5) == {EngineKey("w")}
    assert [found.spec.digest for found in residents.of(EngineKey("w"))] == ["b"]


def test_what_is_unloaded_in_use_goes_after_its_last_request() -> None:
    residents = Residents(SECOND)
    used = residents.acquire(spec("a"), -1, now=0)
    residents.expire("a", now=1)
    assert not residents.remove_expired(now=100)
    residents.release(used, now=101)
    assert residents.remove_expired(now=101) == {EngineKey("w")}


def test_only_a_request_pins() -> None:
    residents = Residents(-1)
    assert not residents.acquire(spec("a"), None, now=0).pinned
    assert residents.acquire(spec("a"), -1, now=0).pinned
    assert not residents.acquire(spec("a"), SECOND, now=0).pinned


def held(weights: str, memory: int, used_at: float = 0, **more: Any) -> Holding:
    return Holding(
        EngineKey(weights), memory, more.get("evictable", True), used_at, more.get("pinned", False)
    )


@pytest.mark.parametrize(
    ("holdings", "need", "victims"),
    [
        ([], 100, []),
        ([held("a", 50)], 50, []),
        ([held("a", 60, 2), held("b", 30, 1)], 20, ["b"]),
        ([held("a", 60, 2), held("b", 30, 1)], 60, ["b", "a"]),
        ([held("a", 60, 1, evictable=False), held("b", 30, 2)], 40, ["b"]),
        ([held("a", 60, 1, pinned=True), held("b", 40, 2)], 40, ["b"]),
        ([held("a", 60, 1, pinned=True), held("b", 40, 2)], 60, ["b", "a"]),
        ([held("a", 60, 2, pinned=True), held("b", 40, 1, pinned=True)], 10, ["b"]),
    ],
)
def test_the_least_recently_used_go_and_pinned_ones_last(
    holdings: list[Holding], need: int, victims: list[str]
) -> None:
    chosen = choose_victims(holdings, need, Room(memory=100))
    assert [engine.weights for engine in chosen] == victims


def test_what_is_in_use_stays() -> None:
    with pytest.raises(NoRoom):
        choose_victims([held("a", 60, evictable=False)], 50, Room(memory=100))


@pytest.mark.parametrize(("engines", "victims"), [(0, []), (3, []), (2, ["b"]), (1, ["b", "a"])])
def test_only_so_many_engines(engines: int, victims: list[str]) -> None:
    holdings = [held("a", 10, 2), held("b", 10, 1)]
    chosen = choose_victims(holdings, 10, Room(memory=100, engines=engines))
    assert [engine.weights for engine in chosen] == victims


def test_no_more_engines_than_may_be_while_all_are_in_use() -> None:
    used = held("a", 10, evictable=False)
    with pytest.raises(NoRoom, match="all 2 models that may be loaded at once are in use"):
        choose_victims([used, used], 10, Room(memory=100, engines=2))
