"""Models whose files lie in a folder."""

from pathlib import Path

from protos.paddock.v1 import model_pb2


def spec_of(folder: Path, *capabilities: str) -> model_pb2.ModelSpec:
    """Describe the model in a folder as the Registry service would."""
    files = [
        model_pb2.ModelFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    return model_pb2.ModelSpec(name="tested:latest", files=files, capabilities=capabilities)
