"""GGUF files as layers of a manifest, and as files for an engine."""

from collections.abc import Iterable, Mapping, Sequence

from common.errors import InvalidModel
from services.registry import media_types
from services.registry.contents import Contents
from services.registry.errors import in_file
from services.registry.gguf.file import GgufFile
from services.registry.gguf.model import check_model, join_files, read_model
from services.registry.manifest import Layer, Manifest


async def arrange_layers(
    contents: Contents, files: Mapping[str, str], sizes: Mapping[str, int]
) -> tuple[Layer, ...]:
    """Make layers of the files of a model: its shards in their order, then its projector.

    Args:
        contents: where blobs are read.
        files: path to digest.
        sizes: digest to bytes.

    Raises:
        InvalidModel: they do not make a model; the message names the culprit.
    """
    models: dict[str, GgufFile] = {}
    projectors: list[str] = []
    for path, digest in _each_once(files).items():
        with in_file(path):
            file = await contents.gguf(digest)
            if file.is_adapter:
                raise InvalidModel("a LoRA adapter is no model; give it in 'adapters'")
        if file.is_projector:
            projectors.append(path)
        else:
            models[path] = file
    if not models:
        raise InvalidModel(f"{', '.join(projectors)}: a projector is no model on its own")
    if len(projectors) > 1:
        raise InvalidModel(f"a model has one projector; given were {', '.join(projectors)}")
    paths = join_files(models)
    with in_file(paths[0]):
        check_model(await read_model(contents, [files[path] for path in paths]))
    kinds = [(path, media_types.GGUF) for path in paths]
    kinds += [(path, media_types.PROJECTOR) for path in projectors]
    return tuple(
        Layer(media_type=kind, digest=files[path], size=sizes[files[path]]) for path, kind in kinds
    )


def model_digests(layers: Iterable[Layer]) -> list[str]:
    """List the files of a model itself, in the order of its shards."""
    return [layer.digest for layer in layers if layer.media_type == media_types.GGUF]


def served_files(manifest: Manifest) -> list[Layer]:
    """List a GGUF model's layers as files, under the names that engines look for."""
    return [
        *_named(manifest.of_type(media_types.GGUF), "model"),
        *_named(manifest.of_type(media_types.PROJECTOR), "mmproj"),
    ]


def _named(layers: Sequence[Layer], stem: str) -> list[Layer]:
    total = len(layers)
    names = (
        [f"{stem}.gguf"]
        if total == 1
        else [f"{stem}-{number:05}-of-{total:05}.gguf" for number in range(1, total + 1)]
    )
    return [
        layer.model_copy(update={"name": name}) for layer, name in zip(layers, names, strict=True)
    ]


def _each_once(files: Mapping[str, str]) -> dict[str, str]:
    """Drop further paths of a file that is given under several."""
    paths = {digest: path for path, digest in sorted(files.items(), reverse=True)}
    return {path: digest for digest, path in sorted(paths.items(), key=lambda item: item[1])}
