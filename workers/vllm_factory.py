"""Starts vLLM engines: the fork server, the imports off the event loop, the plans."""

import asyncio
import importlib
import json
import multiprocessing
import os
import tempfile
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import InvalidModel
from protos.paddock.v1 import model_pb2
from workers.engine import Engine, Plan
from workers.plan import plan_engine
from workers.vllm_environment import prepare_environment


class VllmFactory:
    """Starts an engine in seconds, because nothing is imported by then.

    Engines are forked from a server that has vLLM imported. vLLM's front half is imported in
    this process, on a thread: the event loop answers meanwhile, and the first load waits.
    Use it on the main thread, and close it at the end.
    """

    def __init__(
        self, *, max_sequences: int, context_length: int | None, accelerator: bool
    ) -> None:
        self._max_sequences = max_sequences
        self._context_length = context_length
        self._accelerator = accelerator
        self._failures = tempfile.TemporaryDirectory(prefix="paddock-engines-")
        self._module: asyncio.Task[ModuleType] | None = None

    def prepare(self) -> asyncio.Task[ModuleType]:
        """Begin to import what engines need, unless that was begun before."""
        if self._module is None:
            prepare_environment(self._failures.name, accelerator=self._accelerator)
            multiprocessing.set_forkserver_preload(["workers.fork_server"])
            forkserver.ensure_running()
            self._module = asyncio.create_task(
                asyncio.to_thread(importlib.import_module, "workers.vllm_engine")
            )
        return self._module

    def plan(self, spec: model_pb2.ModelSpec, folder: Path, budget: int) -> Plan:
        """Plan from the model's `config.json` and the sizes of its weight files."""
        weights = sum(
            file.size for file in spec.files if file.path.endswith((".safetensors", ".bin", ".pt"))
        )
        return plan_engine(
            _read_config(folder),
            weights,
            budget,
            cores=len(os.sched_getaffinity(0)),
            accelerator=self._accelerator,
            pooling=is_pooling(spec),
            longest=self._context_length,
        )

    async def start(self, spec: model_pb2.ModelSpec, folder: Path, plan: Plan) -> Engine:
        """Start an engine, once vLLM is imported."""
        module = await asyncio.shield(self.prepare())
        # A fork server that was killed is started again here, on the main thread: its life is
        # tied to the thread that starts it.
        forkserver.ensure_running()
        engine: Engine = await module.VllmEngine.start(
            spec.name,
            folder,
            plan,
            pooling=is_pooling(spec),
            max_sequences=self._max_sequences,
            accelerator=self._accelerator,
        )
        return engine

    async def aclose(self) -> None:
        """Give back what engines shared; engines were closed before."""
        if self._module:
            await asyncio.gather(self._module, return_exceptions=True)
        self._failures.cleanup()


def is_pooling(spec: model_pb2.ModelSpec) -> bool:
    """Tell whether a model embeds and does not generate."""
    return "embedding" in spec.capabilities and "completion" not in spec.capabilities


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidModel(f"the model has no readable config.json: {error}") from error
    if not isinstance(config, dict):
        raise InvalidModel("the model's config.json is not an object")
    return config
