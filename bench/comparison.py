"""What a comparison found: medians, ratios, and whether the goals are met."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.closed_loop import Figures
from bench.execution import Execution

VLLM, BARE, PADDOCK = "vLLM's server", "bare engine", "Paddock"

Results = Mapping[int, Mapping[str, Sequence[Figures]]]
"""By the number of streams and by the contestant: the figures of each round."""


@dataclass(frozen=True)
class Goal:
    """What Paddock is to reach."""

    text: str
    streams: int
    peer: str
    figure: str
    least: float | None = None
    """Of Paddock's share of the peer's figure."""
    most: float | None = None
    """Of what it adds to the peer's figure."""


_EXECUTIONS: Mapping[Execution, str] = {
    "compiled": "All of them have compiled the model.",
    "eager": "None of them has compiled the model.",
}

GOALS = (
    Goal("tokens/s, of vLLM's server", 64, VLLM, "rate", least=1.25),
    Goal("tokens/s, of vLLM's server", 256, VLLM, "rate", least=1.25),
    Goal("tokens/s, of the bare engine", 1, BARE, "rate", least=0.97),
    Goal("tokens/s, of the bare engine", 16, BARE, "rate", least=0.90),
    Goal("tokens/s, of the bare engine", 64, BARE, "rate", least=0.90),
    Goal("tokens/s, of the bare engine", 256, BARE, "rate", least=0.90),
    Goal("first token p50, ms added to the bare engine's", 64, BARE, "first_p50", most=2),
    Goal("first token p99, ms added to the bare engine's", 64, BARE, "first_p99", most=10),
)


@dataclass(frozen=True)
class Verdict:
    """How far a goal was reached: the median over the rounds, with the least and the greatest."""

    goal: Goal
    median: float
    spread: tuple[float, float]

    @property
    def met(self) -> bool:
        """Whether the median reaches it."""
        if self.goal.least is not None:
            return self.median >= self.goal.least
        return self.goal.most is not None and self.median <= self.goal.most


def verdicts(results: Results) -> list[Verdict]:
    """Judge the goals for which there are figures; rounds are compared one by one."""
    return [
        judge(goal, results[goal.streams])
        for goal in GOALS
        if goal.streams in results and {goal.peer, PADDOCK} <= results[goal.streams].keys()
    ]


def judge(goal: Goal, figures: Mapping[str, Sequence[Figures]]) -> Verdict:
    """Compare Paddock with the peer in each round."""
    values = []
    for own, peer in zip(figures[PADDOCK], figures[goal.peer], strict=True):
        mine, theirs = getattr(own, goal.figure), getattr(peer, goal.figure)
        values.append(mine / theirs if goal.least is not None else (mine - theirs) * 1000)
    return Verdict(goal, statistics.median(values), (min(values), max(values)))


def markdown(results: Results, execution: Execution) -> str:
    """Make the tables, as they stand in the documentation."""
    lines = [
        _EXECUTIONS[execution],
        "",
        "| streams | server | tokens/s | first token p50 | p99 | CPU time a token |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    for streams, contestants in results.items():
        for name, rounds in contestants.items():
            cells = (
                f"{streams}",
                name,
                _with_spread([each.rate for each in rounds], ",.0f"),
                _with_spread([each.first_p50 * 1000 for each in rounds], ".1f", " ms"),
                _with_spread([each.first_p99 * 1000 for each in rounds], ".1f", " ms"),
                _with_spread([each.cost * 1e6 for each in rounds], ".0f", " us"),
            )
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| goal | streams | wanted | reached | met |", "|---|--:|--:|--:|---|"]
    for verdict in verdicts(results):
        goal = verdict.goal
        wanted = f">= {goal.least:.2f}" if goal.least is not None else f"<= {goal.most:g} ms"
        form, unit = (".2f", "") if goal.least is not None else (".1f", " ms")
        low, high = verdict.spread
        reached = f"{verdict.median:{form}}{unit} ({low:{form}} to {high:{form}})"
        met = "yes" if verdict.met else "no"
        lines.append(f"| {goal.text} | {goal.streams} | {wanted} | {reached} | {met} |")
    return "\n".join(lines)


def _with_spread(values: Sequence[float], form: str, unit: str = "") -> str:
    text = f"{statistics.median(values):{form}}{unit}"
    if len(values) == 1:
        return text
    return f"{text} ({min(values):{form}} to {max(values):{form}})"
