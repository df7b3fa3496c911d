"""What a worker tells routers about itself."""

import os
import socket
from collections.abc import Iterator
from uuid import uuid4

from common.durations import SECOND
from protos.paddock.v1 import worker_pb2
from workers.models import Models
from workers.residents import Resident
from workers.slot import LOADING, UNLOADING, Slot


def worker_identity() -> str:
    """Make a name for this process that no other has had."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


def describe(models: Models, worker: str, wall: float, now: float) -> worker_pb2.WorkerStatus:
    """Describe a worker at `wall`, seconds since 1970, which is `now` on the models' clock."""
    return worker_pb2.WorkerStatus(
        worker=worker,
        memory_budget=models.budget,
        memory_used=models.memory,
        draining=models.draining,
        models=_models(models, wall, now),
    )


def _models(models: Models, wall: float, now: float) -> Iterator[worker_pb2.WorkerModel]:
    for resident in models.residents:
        model = _resident(resident, models.engines.get(resident.engine), now)
        model.used_at.FromNanoseconds(int((resident.used_at - now + wall) * SECOND))
        expiry = resident.expiry(now)
        if expiry is not None:
            model.expires_at.FromNanoseconds(int((expiry - now + wall) * SECOND))
        yield model
    for slot in models.engines:
        if slot.state == UNLOADING and not models.residents.of(slot.key):
            model = _slot(slot, now)
            model.expires_at.FromNanoseconds(int(wall * SECOND))
            model.used_at.FromNanoseconds(int((slot.used_at - now + wall) * SECOND))
            yield model


def _resident(resident: Resident, slot: Slot | None, now: float) -> worker_pb2.WorkerModel:
    model = _slot(slot, now) if slot else worker_pb2.WorkerModel(state=LOADING)
    model.spec.CopyFrom(resident.spec)
    at_once = model.max_sequences
    model.running = min(resident.active, at_once)
    model.waiting = resident.active - model.running
    return model


def _slot(slot: Slot, now: float) -> worker_pb2.WorkerModel:
    model = worker_pb2.WorkerModel(
        spec=slot.spec,
        state=slot.state,
        memory=slot.memory,
        load_duration=slot.load_duration(now),
    )
    if slot.state == LOADING:
        model.progress.CopyFrom(slot.progress())
    if slot.engine:
        limits = slot.engine.limits
        model.context_length = limits.context_length
        model.max_sequences = limits.max_sequences
        model.accelerator = limits.accelerator
    return model
