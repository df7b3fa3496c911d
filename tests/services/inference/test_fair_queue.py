"""Taking turns."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference.fair_queue import FairQueue


def drain(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_clients_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.put(item[0], item)
    assert drain(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_comes_with_one_request_is_next_after_who_has_many() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1000):
        queue.put("many", f"many {number}")
    assert queue.pop() == "many 0"
    queue.put("one", "one")
    assert queue.pop() == "many 1"
    assert queue.pop() == "one"


def test_what_was_discarded_is_not_there_any_more() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.put("a", "a1")
    queue.put("a", "a2")
    queue.discard("a", "a1")
    queue.discard("a", "a1")
    queue.discard("b", "b1")
    assert drain(queue) == ["a2"]
    with pytest.raises(KeyError):
        queue.pop()


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
            owner, number = queue.pop()
            got[owner].append(number)
    while queue:
        owner, number = queue.pop()
        got[owner].append(number)
    assert dict(got) == {client: list(range(count)) for client, count in put.items()}
