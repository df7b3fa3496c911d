from google.protobuf.timestamp_pb2 import Timestamp

from protos.paddock.v1 import model_pb2, worker_pb2
from services.inference.placement import LOADING, READY, Candidate
from services.inference.running import running_models


def model(name: str, state: "worker_pb2.WorkerModel.State.ValueType") -> worker_pb2.WorkerModel:
    return worker_pb2.WorkerModel(
        spec=model_pb2.ModelSpec(name=name), state=state, load_duration=5_000_000_000
    )


def test_a_model_that_is_loading() -> None:
    loading, ready = model("a", LOADING), model("b", READY)
    loading.progress.MergeFrom(worker_pb2.LoadProgress(phase="fetching", completed=3, total=10))
    ready.expires_at.CopyFrom(Timestamp(seconds=1))
    status = worker_pb2.WorkerStatus(worker="w", models=[ready, loading])
    first, second = running_models([Candidate("address", status)])
    assert (first.name, first.loading, first.phase) == ("a", True, "fetching")
    assert (first.fetched, first.files_size, first.load_duration) == (3, 10, 5_000_000_000)
    assert (second.name, second.loading, second.phase) == ("b", False, "")
