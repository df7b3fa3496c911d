"""Workers as a router sees them, for tables of policies."""

from google.protobuf.timestamp_pb2 import Timestamp

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.placement import READY, Candidate, Wanted


def model(
    weights: str, state: int = READY, *, adapter: bool = False, **fields: object
) -> worker_pb2.WorkerModel:
    spec = model_pb2.ModelSpec(weights=weights)
    if adapter:
        spec.adapter.rank = 8
    return worker_pb2.WorkerModel(spec=spec, state=state, **fields)  # type: ignore[arg-type]


def worker(
    address: str,
    *models: worker_pb2.WorkerModel,
    used: int = 0,
    budget: int = 100,
    in_flight: dict[str, int] | None = None,
    draining: bool = False,
) -> Candidate:
    status = worker_pb2.WorkerStatus(
        memory_budget=budget, memory_used=used, models=models, draining=draining
    )
    needs = {Wanted(weights): count for weights, count in (in_flight or {}).items()}
    return Candidate(address, status, needs)


def unused(
    weights: str, since: int, memory: int, *, pinned: bool = False
) -> worker_pb2.WorkerModel:
    """Make an idle model that was last used at a time."""
    made = model(weights, memory=memory, used_at=Timestamp(seconds=since))
    if not pinned:
        made.expires_at.CopyFrom(Timestamp(seconds=9999))
    return made
