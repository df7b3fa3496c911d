"""The list of running models, gathered from what the workers last reported."""

from collections.abc import Iterable, Iterator

from protos.paddock.v1 import inference_pb2
from services.inference.placement import LOADING, Candidate


def running_models(candidates: Iterable[Candidate]) -> list[inference_pb2.RunningModel]:
    """Give an entry for each model and worker, the longest remaining first."""
    return sorted(_entries(candidates), key=_remaining, reverse=True)


def _entries(candidates: Iterable[Candidate]) -> Iterator[inference_pb2.RunningModel]:
    for candidate in candidates:
        for model in candidate.status.models:
            entry = inference_pb2.RunningModel(
                name=model.spec.name,
                digest=model.spec.digest,
                worker=candidate.status.worker,
                details=model.spec.details,
                memory=model.memory,
                accelerator_memory=model.memory if model.accelerator else 0,
                context_length=model.context_length,
                running=model.running,
                waiting=model.waiting,
                loading=model.state == LOADING,
                phase=model.progress.phase,
                fetched=model.progress.completed,
                files_size=model.progress.total,
                load_duration=model.load_duration,
            )
            if model.HasField("expires_at"):
                entry.expires_at.CopyFrom(model.expires_at)
            yield entry


def _remaining(entry: inference_pb2.RunningModel) -> tuple[bool, int]:
    return not entry.HasField("expires_at"), entry.expires_at.ToNanoseconds()
