"""How a load is counted, and how goals are judged."""

import pytest
from psutil import Process

from bench.budget import solve
from bench.closed_loop import Figures, Load, Measured, run_load, summarize
from bench.comparison import BARE, PADDOCK, VLLM, markdown, verdicts
from bench.load import Answered
from bench.processes import CLIENTS, Tree, Usage


def answered(asked: float, ended: float, tokens: int = 64, first: float = 0.0) -> Answered:
    return Answered(asked, first or asked + 0.1, ended, tokens, "", records=tokens)


def figures(rate: float, first: float = 0.01) -> Figures:
    return Figures(1, rate, first, first, 64, {"gateway": 1e-5, CLIENTS: 1e-4})


def test_an_answer_that_is_half_in_counts_half() -> None:
    measured = Measured(10, 20, [answered(8, 12), answered(12, 14), answered(18, 22)])
    found = summarize(measured, Usage({"gateway": 0.128, CLIENTS: 1.0}))
    assert found.answers == pytest.approx(2)
    assert found.rate == pytest.approx(12.8)
    assert found.cost == pytest.approx(0.001)


def test_first_tokens_count_that_were_asked_for_meanwhile() -> None:
    early = answered(8, 12, first=11)
    measured = Measured(10, 20, [early, answered(12, 14, first=12.5), answered(13, 15, first=13.5)])
    found = summarize(measured, Usage({}))
    assert found.first_p50 == pytest.approx(0.5)


def test_the_cost_of_a_token_and_of_a_request_follow_from_two_lengths() -> None:
    costs = solve({"gateway": 110.0}, {"gateway": 740.0}, (1, 64))
    assert costs["gateway"].token == pytest.approx(10)
    assert costs["gateway"].request == pytest.approx(100)


def test_paddock_is_compared_round_by_round() -> None:
    results = {
        64: {
            VLLM: [figures(100), figures(200)],
            BARE: [figures(200, 0.010), figures(400, 0.010)],
            PADDOCK: [figures(150, 0.011), figures(240, 0.031)],
        }
    }
    found = {(it.goal.peer, it.goal.figure): it for it in verdicts(results)}
    against_vllm = found[VLLM, "rate"]
    assert against_vllm.median == pytest.approx(1.35)
    assert against_vllm.spread == pytest.approx((1.2, 1.5))
    assert against_vllm.met
    added = found[BARE, "first_p50"]
    assert added.median == pytest.approx(11)
    assert not added.met


def test_a_missed_goal_stands_in_the_table() -> None:
    results = {256: {VLLM: [figures(100)], PADDOCK: [figures(80)]}}
    [row] = [
        line for line in markdown(results, "compiled").splitlines() if "of vLLM's server" in line
    ]
    assert row == "| tokens/s, of vLLM's server | 256 | >= 1.25 | 0.80 (0.80 to 0.80) | no |"


async def test_every_stream_has_had_an_answer_before_the_measuring_begins() -> None:
    import asyncio
    import time

    async def ask(client: int, length: int) -> Answered:
        asked = time.monotonic()
        await asyncio.sleep(0.01 * (client + 1))
        return Answered(asked, asked, time.monotonic(), length, "")

    measured, _ = await run_load(ask, Load(streams=3, tokens=5, seconds=0.05), Tree(Process()))
    warm = [each for each in measured.answers if each.ended <= measured.began]
    assert len(warm) >= 3
    assert measured.ended - measured.began >= 0.05
