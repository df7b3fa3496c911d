"""The older forms of a create request: `modelfile` and `path`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import (
    InvalidDigest,
    InvalidModel,
    InvalidRequest,
    ModelNotFound,
    PaddockError,
    Unsupported,
)
from common.rpc import rpc_errors
from protos.paddock.v1 import registry_pb2
from tests.services.registry.gguf.building import PROJECTOR, PROJECTOR_TENSORS, gguf, shards
from tests.services.registry.model_folders import llama, safetensors
from tests.services.registry.running import Registry, digest_of, running_registry

MODELFILE = '''\
FROM base
TEMPLATE "{{ .Tools }}{{ .Prompt }}
"
SYSTEM """You are "Mario"."""
PARAMETER temperature 1
PARAMETER stop <|im_end|>
PARAMETER stop "User: "
LICENSE Apache
MESSAGE user Hi
MESSAGE assistant """
It's-a me!
"""
PARSER qwen3-coder
REQUIRES 0.14.0
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
async def registry(tmp_path: Path, root: Path) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path / "store", modelfiles=root) as running:
        yield running


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


async def test_everything_that_a_modelfile_can_say(registry: Registry) -> None:
    await registry.create("base", llama(), licenses=["MIT"], parameters_json='{"top_k":3}')
    lines = await registry.create("mario", modelfile=MODELFILE)
    assert lines[-2:] == ["writing manifest", "success"]
    model = await registry.resolve("mario")
    assert model.template == "{{ .Tools }}{{ .Prompt }}\n"
    assert model.system == 'You are "Mario".'
    assert (model.parameters.temperature, model.parameters.top_k) == (1, 3)
    assert list(model.parameters.stop) == ["<|im_end|>", "User: "]
    assert [message.content for message in model.messages] == ["Hi", "\nIt's-a me!\n"]
    assert model.spec.parser == "qwen3-coder"
    assert list(model.spec.capabilities) == ["completion", "tools"]
    shown = await registry.show("mario")
    assert list(shown.licenses) == ["MIT", "Apache"]
    assert shown.requires == "0.14.0"
    assert shown.summary.details.parent_model == "base:latest"


@pytest.mark.parametrize(
    "source", ["base", "BASE:latest", "https://registry.ollama.ai/library/base"]
)
async def test_names_of_the_base(registry: Registry, source: str) -> None:
    await registry.create("base", llama())
    await registry.create("heir", modelfile=f"from {source}\nsystem x")
    assert (await registry.resolve("heir")).system == "x"


@pytest.mark.parametrize(
    ("modelfile", "error", "message"),
    [
        ("SYSTEM x", InvalidRequest, "no FROM line"),
        ("FROM base\nBAD x", InvalidRequest, r"\(line 2\): command must be one of"),
        ("FROM base\nPARAMETER top_k x", InvalidRequest, r"invalid int value \[x\]"),
        ("FROM base\nTEMPLATE {{ if", InvalidRequest, "^template error: "),
        ('FROM ""', InvalidRequest, "neither 'from' or 'files' was specified"),
        ("FROM base\nFROM other", InvalidRequest, "this Modelfile names several"),
        (f"FROM base\nFROM @sha256:{'0' * 64}", InvalidRequest, "this Modelfile names several"),
        ("FROM nobody", ModelNotFound, "model 'nobody' not found"),
        ("FROM base\nADAPTER ./lora", InvalidRequest, 'cannot read "./lora": No such file'),
        ("FROM base\nADAPTER base", InvalidRequest, 'cannot read "base": No such file'),
        (f"FROM base\nADAPTER @sha256:{'0' * 64}", InvalidModel, "is not stored"),
        ("FROM base\nDRAFT ./small", Unsupported, "draft models are not supported"),
        ("FROM @sha256:123", InvalidDigest, "invalid digest format"),
        (f"FROM @sha256:{'0' * 64}", InvalidModel, "is not stored"),
        ("FROM ../elsewhere", InvalidRequest, "is not in the folder of PADDOCK_MODELFILES"),
        ("FROM ./nothing", InvalidRequest, 'cannot read "./nothing": No such file or directory'),
    ],
)
async def test_modelfiles_that_are_refused(
    registry: Registry, modelfile: str, error: type[PaddockError], message: str
) -> None:
    await registry.create("base", llama())
    with pytest.raises(error, match=message):
        await registry.create("x", modelfile=modelfile)
    assert await registry.names() == ["base:latest"]


@pytest.mark.parametrize("prefix", ["@", ""])
async def test_a_blob_that_an_older_client_uploaded(registry: Registry, prefix: str) -> None:
    model = await registry.blobs.write(gguf())
    projector = await registry.blobs.write(gguf(PROJECTOR, PROJECTOR_TENSORS))
    other = await registry.blobs.write(b"something else")
    await registry.create("x", modelfile=f"FROM {prefix}{model.digest}\nSYSTEM y")
    assert (await registry.resolve("x")).system == "y"
    sources = f"FROM {prefix}{projector.digest}\nFROM {prefix}{model.digest}"
    await registry.create("y", modelfile=sources)
    files = (await registry.resolve("y")).spec.files
    assert [(file.path, file.digest) for file in files] == [
        ("model.gguf", model.digest),
        ("mmproj.gguf", projector.digest),
    ]
    with pytest.raises(InvalidModel, match="unknown type"):
        await registry.create("x", modelfile=f"FROM {prefix}{other.digest}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"from": "base"}, "specify either 'modelfile' or 'from', not both"),
        ({"system": "x"}, "specify either 'modelfile' or 'system', not both"),
        ({"licenses": ["x"]}, "specify either 'modelfile' or 'license', not both"),
        ({"parameters_json": "{}"}, "specify either 'modelfile' or 'parameters', not both"),
    ],
)
async def test_a_modelfile_says_it_all(
    registry: Registry, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        await registry.create_of("x", {}, modelfile="FROM base", **fields)


async def test_a_modelfile_by_its_path(registry: Registry, root: Path) -> None:
    await registry.create("base", llama())
    (root / "Modelfile").write_bytes("\ufeffFROM base\r\nSYSTEM Grüezi\r\n".encode("utf-16"))
    await registry.create("x", path=str(root / "Modelfile"))
    assert (await registry.resolve("x")).system == "Grüezi"
    (root / "other").write_text("FROM base\nSYSTEM other")
    await registry.create("x", path="other")
    assert (await registry.resolve("x")).system == "other"
    await registry.create("x", path="other", modelfile="FROM base\nSYSTEM text")
    assert (await registry.resolve("x")).system == "text"
    with pytest.raises(InvalidRequest, match="is not in the folder of PADDOCK_MODELFILES"):
        await registry.create("x", path="/etc/passwd")


@pytest.mark.parametrize("source", ["./tiny", "tiny", "/tiny", '"./tiny"'])
async def test_a_folder_beside_the_modelfile(registry: Registry, root: Path, source: str) -> None:
    files = {**llama(), "README.md": b"# Tiny", "1_extra/x.json": b"{}"}
    write_folder(root / "tiny", {**files, "pytorch_model.bin": b"pickle", ".git/x.json": b"{}"})
    source = source.replace("/tiny", f"{root}/tiny") if source.startswith("/") else source
    (root / "Modelfile").write_text(f"FROM {source}\nSYSTEM Be brief.")
    lines = await registry.create("x", path="Modelfile")
    assert lines[:2] == ["importing 1_extra/x.json", "importing 1_extra/x.json"]
    assert "leaving out pytorch_model.bin, which is not used to serve the model" in lines
    assert "keeping README.md, which is not used to serve the model" in lines
    assert lines[-1] == "success"
    assert registry.stored_blobs() >= {digest_of(content) for content in files.values()}
    assert digest_of(b"pickle") not in registry.stored_blobs()
    model = await registry.resolve("x")
    assert model.system == "Be brief."
    await registry.create("y", files, system="Be brief.")
    assert (await registry.resolve("y")).spec.digest == model.spec.digest


async def test_a_folder_named_in_a_text(registry: Registry, root: Path) -> None:
    write_folder(root / "tiny", llama())
    await registry.create("x", modelfile=f"FROM {root}/tiny")
    await registry.create("y", modelfile="FROM ./tiny")
    one, two = await registry.resolve("x"), await registry.resolve("y")
    assert one.spec.weights == two.spec.weights


async def test_progress_of_a_large_file(registry: Registry, root: Path) -> None:
    weights = safetensors({"wte": ("U8", [5_000_000])})
    write_folder(root / "tiny", llama(model__safetensors=weights))
    request = registry_pb2.CreateRequest(model="x", modelfile="FROM ./tiny")
    with rpc_errors():
        steps = [step async for step in registry.stub.Create(request)]
    about = [step for step in steps if step.status == "importing model.safetensors"]
    assert {step.total for step in about} == {len(weights)}
    assert (about[0].completed, about[-1].completed) == (0, len(weights))
    assert about[-1].digest == digest_of(weights)
    assert [step.completed for step in about] == sorted(step.completed for step in about)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({}, InvalidModel, "no files provided to convert"),
        ({"x.gguf": b"GGUF"}, InvalidModel, "x.gguf: truncated: the file ends within its header"),
        ({"x.gguf": b"x"}, InvalidModel, r"unknown type: no \.safetensors or GGUF file was given"),
        ({"x.gguf": gguf(), "y.gguf": gguf(version=2)}, InvalidModel, "a model is one GGUF file"),
        ({"x.bin": b"x"}, InvalidModel, "unknown type: only safetensors and GGUF weights are read"),
        ({"model.safetensors": b"x"}, InvalidModel, "config.json is missing"),
        (llama(model__safetensors=b"short"), InvalidModel, "not a safetensors file: too short"),
    ],
)
async def test_folders_that_make_no_model(
    registry: Registry,
    root: Path,
    files: dict[str, bytes],
    error: type[PaddockError],
    message: str,
) -> None:
    (root / "tiny").mkdir()
    write_folder(root / "tiny", files)
    with pytest.raises(error, match=message):
        await registry.create("x", modelfile="FROM ./tiny")
    assert await registry.names() == []


async def test_a_file_is_no_folder(registry: Registry, root: Path) -> None:
    write_folder(root, {"y.bin": b"pickle"})
    with pytest.raises(InvalidModel, match="is neither a GGUF file nor the folder of a model"):
        await registry.create("x", modelfile="FROM ./y.bin")


@pytest.mark.parametrize("source", ["./tiny", "./tiny/tiny.gguf", "tiny/tiny.gguf"])
async def test_a_gguf_file_or_its_folder(registry: Registry, root: Path, source: str) -> None:
    write_folder(root / "tiny", {"tiny.gguf": gguf(), "README.md": b"# Tiny"})
    (root / "Modelfile").write_text(f"FROM {source}\nSYSTEM Be brief.")
    lines = await registry.create("x", path="Modelfile")
    assert lines[:3] == ["importing tiny.gguf", "importing tiny.gguf", "parsing GGUF"]
    assert lines[-1] == "success"
    model = await registry.resolve("x")
    assert model.system == "Be brief."
    assert [(it.path, it.digest) for it in model.spec.files] == [("model.gguf", digest_of(gguf()))]
    assert digest_of(b"# Tiny") not in registry.stored_blobs()


async def test_a_gguf_file_and_its_projector(registry: Registry, root: Path) -> None:
    write_folder(root / "a", {"x.gguf": gguf()})
    write_folder(root / "b", {"x.gguf": gguf(PROJECTOR, PROJECTOR_TENSORS)})
    await registry.create("x", modelfile="FROM ./a/x.gguf\nFROM ./b/x.gguf")
    files = (await registry.resolve("x")).spec.files
    assert [file.path for file in files] == ["model.gguf", "mmproj.gguf"]


async def test_a_folder_of_shards(registry: Registry, root: Path) -> None:
    write_folder(root / "tiny", shards(2))
    await registry.create("x", modelfile="FROM ./tiny")
    assert len((await registry.resolve("x")).spec.files) == 2


async def test_the_servers_files_are_closed_unless_opened(tmp_path: Path, root: Path) -> None:
    write_folder(root / "tiny", llama())
    (root / "Modelfile").write_text("FROM ./tiny")
    async with running_registry(tmp_path / "store") as registry:
        for fields in ({"path": f"{root}/Modelfile"}, {"modelfile": f"FROM {root}/tiny"}):
            with pytest.raises(InvalidRequest, match="setting PADDOCK_MODELFILES names"):
                await registry.create_of("x", {}, **fields)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hunter2 x", r"\(line 1\): command must be one of"),
        (b"FROM x\nPARAMETER top_k hunter2", r"\(line 2\): invalid int value"),
        (b"FROM x\nPARAMETER hunter2 1", r"\(line 2\): unknown parameter"),
        (b"FROM x\nPARAMETER hunter2", r"\(line 2\): unexpected EOF"),
        (b"FROM x\nREQUIRES hunter2", r"\(line 2\): requires must be a valid semver"),
        (b"SYSTEM hunter2", "no FROM line"),
        (b"hunter2\xff", "a Modelfile must be UTF-8 or UTF-16 text"),
    ],
)
async def test_errors_do_not_quote_a_file(
    registry: Registry, root: Path, content: bytes, message: str
) -> None:
    (root / "Modelfile").write_bytes(content)
    with pytest.raises(InvalidRequest, match=f"^Modelfile: {message}") as error:
        await registry.create("x", path="Modelfile")
    assert "hunter2" not in error.value.message
    assert "0xff" not in error.value.message


async def test_one_shard_stands_for_all(registry: Registry, root: Path) -> None:
    write_folder(root / "tiny", shards(3))
    await registry.create("x", modelfile="FROM ./tiny/tiny-00002-of-00003.gguf")
    assert len((await registry.resolve("x")).spec.files) == 3
    (root / "tiny" / "tiny-00003-of-00003.gguf").unlink()
    with pytest.raises(InvalidRequest, match=r'cannot read "tiny-00003-of-00003\.gguf"'):
        await registry.create("x", modelfile="FROM ./tiny/tiny-00001-of-00003.gguf")
