"""What is told of a load, step by step."""

from protos.paddock.v1 import model_pb2
from workers.load_watcher import LoadWatcher
from workers.slot import READY, Slot


def told(slot: Slot) -> tuple[str, int, int]:
    progress = slot.progress()
    return progress.phase, progress.completed, progress.total


def test_steps() -> None:
    spec = model_pb2.ModelSpec(files=[model_pb2.ModelFile(path="model.gguf", size=100)])
    slot, changes = Slot(spec), []
    watcher = LoadWatcher(slot, lambda: changes.append(told(slot)))
    assert told(slot) == ("fetching", 0, 100)
    watcher.fetching(40)
    watcher.fetched(30)
    watcher.fetched(-10)
    watcher.converting(5, 300)
    slot.starting, slot.fetched, slot.total = True, slot.size, None
    assert told(slot) == ("starting", 100, 100)
    slot.state = READY
    assert told(slot) == ("ready", 100, 100)
    assert changes == [
        ("fetching", 0, 40),
        ("fetching", 30, 40),
        ("fetching", 20, 40),
        ("converting", 5, 300),
    ]
