"""Starts simulated engines."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

from protos.paddock.v1 import model_pb2
from workers.engine import Limits, Plan, Rest
from workers.lora.sharing import engine_rank
from workers.plan import too_large
from workers.simulated.batch import Counts
from workers.simulated.engine import SimulatedEngine
from workers.simulated.simulation import Simulation

_WINDOW = 8192  # where neither the model nor the settings say
_DIMENSIONS = 384


class SimulatedFactory:
    """Starts engines for any model, whatever its files are; they are not looked at."""

    def __init__(
        self, simulation: Simulation, *, max_sequences: int, context_length: int | None
    ) -> None:
        self.counts = Counts()
        """Of all its engines together."""
        self._simulation = simulation
        self._max_sequences = max_sequences
        self._context_length = context_length

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        """Plan for the memory that the simulation says, or that the model's files take.

        Raises:
            OutOfMemory: it is more than the budget.
        """
        memory = self._simulation.memory or sum(file.size for file in spec.files)
        if memory > budget:
            raise too_large(memory, budget)
        own = int(spec.details.context_length) or _configured_window(folder) or _WINDOW
        window = min(own, self._context_length or own)
        return Plan(
            memory=memory,
            context_length=window,
            lora_rank=engine_rank(spec),
            asleep=Rest(memory, self._simulation.rest),
        )

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> SimulatedEngine:
        """Start an engine after the time that a load takes."""
        await asyncio.sleep(self._simulation.load_time)
        embeds = "embedding" in spec.capabilities and "completion" not in spec.capabilities
        dimensions = int(spec.details.embedding_length) or _DIMENSIONS
        return SimulatedEngine(
            spec.name,
            Limits(plan.context_length or _WINDOW, self._max_sequences, accelerator=False),
            self._simulation,
            self.counts,
            dimensions=dimensions if embeds else 0,
            sees="vision" in spec.capabilities,
        )


def _configured_window(folder: Path) -> int:
    with suppress(OSError, ValueError, AttributeError):
        config = json.loads((folder / "config.json").read_bytes())
        return int(config.get("max_position_embeddings", 0))
    return 0
