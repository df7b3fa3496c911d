from workers.simulated.prefix_cache import BLOCK, PrefixCache

FIRST = list(range(4 * BLOCK))


def test_only_whole_blocks_from_the_beginning_are_found() -> None:
    cache = PrefixCache(1000)
    assert cache.find(FIRST) == 0
    cache.add(FIRST[: 3 * BLOCK - 1])
    assert cache.find(FIRST) == 2 * BLOCK
    assert cache.find([0, *FIRST]) == 0
    assert cache.find(FIRST[:BLOCK] + [0] * BLOCK) == BLOCK


def test_what_was_not_used_for_longest_is_forgotten_from_its_end() -> None:
    cache = PrefixCache(6 * BLOCK)
    second = [token + 1000 for token in FIRST]
    cache.add(FIRST)
    cache.add(second)
    assert cache.find(second) == 4 * BLOCK
    assert cache.find(FIRST) == 2 * BLOCK


def test_what_was_found_stays_longer() -> None:
    cache = PrefixCache(8 * BLOCK)
    second, third = ([token + more for token in FIRST] for more in (1000, 2000))
    cache.add(FIRST)
    cache.add(second)
    cache.find(FIRST)
    cache.add(third)
    assert cache.find(FIRST) == 4 * BLOCK
    assert cache.find(second) == 0
