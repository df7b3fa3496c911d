"""Taking turns."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference.fair_queue import FairQueue


def drain(queue: FairQueue[str]) -> list[str]:
    return [queue.pop()[1] for _ in range(len(queue))]


def test_clients_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.put(item[0], item)
    assert drain(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_comes_with_one_request_is_next_after_who_has_many() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1000):
        queue.put("many", f"many {number}")
    assert queue.pop() == ("many", "many 0")
    queue.put("one", "one")
    assert queue.pop() == ("one", "one")
    assert queue.pop() == ("many", "many 1")


def test_who_has_the_fewest_under_way_is_next() -> None:
    queue: FairQueue[str] = FairQueue()
    for client in "aaab":
        queue.begin(client)
    for item in ("a1", "a2", "a3", "b1", "b2"):
        queue.put(item[0], item)
    assert [queue.pop()[1] for _ in range(3)] == ["b1", "b2", "a1"]
    for _ in range(4):
        queue.end("a")
    assert queue.pop()[1] == "a2"


def test_of_equals_it_is_who_had_a_turn_longest_ago() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.begin("a")
    queue.put("a", "a1")
    queue.put("b", "b1")
    queue.end("a")
    assert drain(queue) == ["b1", "a1"]


def test_what_was_discarded_is_not_there_any_more() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("a", "a1")
    queue.put("a", "a2")
    queue.discard("a", "a1")
    queue.discard("a", "a1")
    queue.discard("b", "b1")
    assert drain(queue) == ["a2"]
    with pytest.raises(ValueError, match="empty"):
        queue.pop()


@given(st.lists(st.sampled_from(["put", "pop", "end"]), max_size=60), st.data())
def test_places_are_shared_evenly(steps: list[str], data: st.DataObject) -> None:
    queue: FairQueue[object] = FairQueue()
    waiting: Counter[str] = Counter()
    under_way: Counter[str] = Counter()
    for step in steps:
        busy = sorted(under_way.elements())
        if step == "put":
            client = data.draw(st.sampled_from("abc"))
            queue.put(client, object())
            waiting[client] += 1
        elif step == "pop" and queue:
            client, _ = queue.pop()
            assert under_way[client] == min(under_way[it] for it in waiting.elements())
            waiting[client] -= 1
            under_way[client] += 1
        elif step == "end" and busy:
            client = data.draw(st.sampled_from(busy))
            queue.end(client)
            under_way[client] -= 1
        assert len(queue) == waiting.total()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_nothing_is_lost_and_each_client_s_order_kept(steps: list[tuple[str, bool]]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    put: Counter[str] = Counter()
    got: dict[str, list[int]] = defaultdict(list)
    for client, is_put in steps:
        if is_put:
            queue.put(client, (client, put[client]))
            put[client] += 1
        elif queue:
            _, (owner, number) = queue.pop()
            got[owner].append(number)
    while queue:
        _, (owner, number) = queue.pop()
        got[owner].append(number)
    assert dict(got) == {client: list(range(count)) for client, count in put.items()}
