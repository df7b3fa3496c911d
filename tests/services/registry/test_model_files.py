import pytest

from common.errors import InvalidDigest, InvalidModel, InvalidRequest, PaddockError
from services.registry import media_types
from services.registry.model_files import check_files, choose_files, file_kind

A = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("paths", "normalised"),
    [
        (["config.json", "1_Pooling/config.json"], ["1_Pooling/config.json", "config.json"]),
        (["./config.json"], ["config.json"]),
        (["model/config.json", "model/a/b.json"], ["a/b.json", "config.json"]),
        (["a/b/config.json", "a/b/c.json"], ["c.json", "config.json"]),
        (["a//config.json", "b/c.json"], ["a/config.json", "b/c.json"]),
    ],
)
def test_paths(paths: list[str], normalised: list[str]) -> None:
    assert sorted(check_files(dict.fromkeys(paths, A))) == normalised


@pytest.mark.parametrize(
    "path",
    ["", ".", "/etc/passwd", "../x", "a/../../x", "a/..", "a\\b", "C:/x", "c:x", "..\\x"],
)
def test_paths_that_lead_elsewhere(path: str) -> None:
    with pytest.raises(InvalidRequest, match="file path must be relative"):
        check_files({"config.json": A, path: A})


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"a": A, "./a": A}, InvalidModel, '"a" is given twice'),
        ({"a": A, "a/b": A}, InvalidModel, '"a" is both a file and a folder'),
        ({"a\nb": A}, InvalidRequest, "invalid file path"),
        ({"x" * 256: A}, InvalidRequest, "invalid file path"),
        ({"x/" * 600 + "x": A}, InvalidRequest, "invalid file path"),
        ({"x\udcff.json": A}, InvalidRequest, "invalid file path"),
        ({"a": "sha256:12"}, InvalidDigest, 'file "a": invalid digest format'),
        ({str(number): A for number in range(5000)}, InvalidModel, "4096 files"),
    ],
)
def test_files_that_do_not_go_together(
    files: dict[str, str], error: type[PaddockError], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_files(files)


def test_digests_are_normalised() -> None:
    assert check_files({"a": f"sha256-{'A' * 64}"}) == {"a": A}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("model.safetensors", media_types.WEIGHT_FILE),
        ("2_Dense/model.safetensors", media_types.WEIGHT_FILE),
        ("config.json", media_types.JSON_FILE),
        ("1_Pooling/config.json", media_types.JSON_FILE),
        ("tokenizer.model", media_types.AUXILIARY_FILE),
        ("merges.txt", media_types.AUXILIARY_FILE),
        ("chat_template.jinja", media_types.AUXILIARY_FILE),
        ("qwen.tiktoken", media_types.AUXILIARY_FILE),
        ("README.md", media_types.DOCUMENT_FILE),
        ("LICENSE", media_types.DOCUMENT_FILE),
        ("LICENSE.txt", media_types.DOCUMENT_FILE),
        ("modeling_x.py", media_types.CODE_FILE),
    ],
)
def test_kinds_of_files(path: str, kind: str) -> None:
    assert file_kind(path) == kind


@pytest.mark.parametrize(
    "path",
    [
        "pytorch_model.bin",
        "training_args.bin",
        "optimizer.PT",
        "scheduler.pt",
        "rng_state.pth",
        "onnx/model.onnx",
        "tf_model.h5",
        "flax_model.msgpack",
        "rust_model.ot",
        "model-Q4_K_M.gguf",
        "openvino/openvino_model.xml",
        ".cache/huggingface/download/config.json.metadata",
        ".cache/huggingface/download/model.safetensors.lock",
        ".cache/x.json",
        ".gitattributes",
        ".DS_Store",
        "USAGE",
        "scores.csv",
        "pyproject.toml",
        "logo.png",
    ],
)
def test_files_that_are_left_out(path: str) -> None:
    assert choose_files([path, "model.safetensors"]) == {
        "model.safetensors": media_types.WEIGHT_FILE
    }


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["config.json"], "unknown type: no .safetensors or GGUF file was given"),
        (
            ["config.json", "pytorch_model.bin"],
            "unknown type: only safetensors and GGUF weights are read; found pytorch_model.bin",
        ),
        (
            ["5.pt", "4.pth", "3.ckpt", "2.h5", "1.bin"],
            "unknown type: only safetensors and GGUF weights are read; "
            "found 1.bin, 2.h5, 3.ckpt and 2 more",
        ),
        (
            [".cache/x.safetensors"],
            "unknown type: no .safetensors or GGUF file was given",
        ),
    ],
)
def test_folders_without_weights_that_can_be_read(paths: list[str], message: str) -> None:
    with pytest.raises(InvalidModel) as raised:
        choose_files(paths)
    assert raised.value.message == message
