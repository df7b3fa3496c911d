"""Which files of this machine make a model or an adapter."""

from pathlib import Path

import pytest

from cli.create.local_files import (
    adapter_files,
    find_path,
    is_plainly_a_path,
    model_files,
    name_files,
)
from cli.failure import CommandFailed


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def chosen(folder: Path) -> list[str]:
    return sorted(name_files(model_files(folder)))


def test_a_folder_of_weights_goes_without_what_nobody_reads(tmp_path: Path) -> None:
    wanted = [
        "1_Pooling/config.json",
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.model",
    ]
    others = [
        "pytorch_model.bin",
        "model.gguf",
        "picture.png",
        ".git/config.json",
        ".hidden.json",
        "consolidated.safetensors",
        "checkpoints/1/config.json",
    ]
    assert chosen(fill(tmp_path, *wanted, *others)) == wanted


def test_mistrals_own_form_alone(tmp_path: Path) -> None:
    names = ["consolidated.safetensors", "params.json"]
    assert chosen(fill(tmp_path, *names)) == names


def test_a_folder_of_gguf_files(tmp_path: Path) -> None:
    fill(tmp_path, "mmproj.gguf", "model.gguf", "README.md")
    assert chosen(tmp_path) == ["mmproj.gguf", "model.gguf"]


def test_a_shard_brings_the_others(tmp_path: Path) -> None:
    shards = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    fill(tmp_path, *shards, "m-00001-of-00003.gguf", "other.gguf")
    assert chosen(tmp_path / shards[0]) == shards


def test_links_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "blobs", "0", "1")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "config.json").symlink_to(tmp_path / "blobs" / "0")
    (tmp_path / "snapshot" / "model.safetensors").symlink_to(tmp_path / "blobs" / "1")
    assert chosen(tmp_path / "snapshot") == ["config.json", "model.safetensors"]


def test_no_model(tmp_path: Path) -> None:
    fill(tmp_path, "pytorch_model.bin", "config.json")
    with pytest.raises(CommandFailed, match="no Modelfile or safetensors files found in"):
        model_files(tmp_path)


def test_adapters(tmp_path: Path) -> None:
    peft = ["adapter_config.json", "adapter_model.safetensors"]
    folder = fill(tmp_path / "peft", *peft, "optimizer.pt", "README.md")
    assert sorted(name_files(adapter_files(folder))) == peft
    fill(tmp_path / "gguf", "lora.gguf", "README.md")
    assert list(name_files(adapter_files(tmp_path / "gguf"))) == ["lora.gguf"]
    assert adapter_files(tmp_path / "gguf" / "lora.gguf") == [tmp_path / "gguf" / "lora.gguf"]
    with pytest.raises(CommandFailed, match="no adapter found in"):
        adapter_files(fill(tmp_path / "none", "README.md"))


def test_names_are_relative_to_the_folder_that_all_share(tmp_path: Path) -> None:
    fill(tmp_path, "a/model.gguf", "b/model.gguf")
    files = [tmp_path / "a" / "model.gguf", tmp_path / "b" / "model.gguf"]
    assert list(name_files(files)) == ["a/model.gguf", "b/model.gguf"]
    roundabout = [tmp_path / "b" / ".." / "a" / "model.gguf", files[1]]
    assert list(name_files(roundabout)) == ["a/model.gguf", "b/model.gguf"]


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path, "x.gguf", "sub/y.gguf")
    assert find_path("~/x.gguf", Path("elsewhere")) == tmp_path / "x.gguf"
    assert find_path("y.gguf", tmp_path / "sub") == tmp_path / "sub" / "y.gguf"
    assert find_path(str(tmp_path / "x.gguf"), Path("elsewhere")) == tmp_path / "x.gguf"
    assert find_path("llama3.2", tmp_path) is None
    assert find_path("x" * 5000, tmp_path) is None
    with pytest.raises(CommandFailed, match="home"):
        find_path("~nobody-of-that-name/x", tmp_path)


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("./x", True),
        ("../x", True),
        ("/x", True),
        ("~/x", True),
        (".", True),
        ("x.gguf", True),
        ("llama3.2:1b", False),
        ("hf.co/user/model", False),
    ],
)
def test_what_is_meant_as_a_path(text: str, is_path: bool) -> None:
    assert is_plainly_a_path(text) is is_path
