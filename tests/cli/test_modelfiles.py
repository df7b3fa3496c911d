"""What a Modelfile makes of a create request."""

from pathlib import Path

import pytest

from cli.create.modelfiles import create_fields, find_ingredients, read_modelfile
from cli.failure import CommandFailed
from common.errors import InvalidRequest
from common.modelfile.modelfile import parse_modelfile

DIGEST = f"sha256:{'a' * 64}"


def test_every_instruction_has_its_field() -> None:
    modelfile = parse_modelfile(
        "FROM demo\nPARAMETER temperature 0.5\nPARAMETER stop a\nPARAMETER stop b\n"
        "TEMPLATE {{ .Prompt }}\nSYSTEM Be brief.\nLICENSE one\nLICENSE two\n"
        "MESSAGE user Hi\nMESSAGE assistant Hello\nPARSER qwen3\nRENDERER qwen3\nREQUIRES 0.14.0"
    )
    assert create_fields(modelfile) == {
        "parameters": {"temperature": 0.5, "stop": ["a", "b"]},
        "template": "{{ .Prompt }}",
        "system": "Be brief.",
        "license": ["one", "two"],
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        "parser": "qwen3",
        "renderer": "qwen3",
        "requires": "0.14.0",
    }
    assert find_ingredients(modelfile, Path()).base == "demo"


def test_files_come_before_names(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "model.safetensors").write_text("weights")
    (tmp_path / "lora.gguf").write_text("adapter")
    found = find_ingredients(parse_modelfile("FROM demo\nADAPTER lora.gguf"), tmp_path)
    assert found.files == {"model.safetensors": tmp_path / "demo" / "model.safetensors"}
    assert found.adapters == {"lora.gguf": tmp_path / "lora.gguf"}
    assert not found.base


def test_blobs_that_are_uploaded_already() -> None:
    found = find_ingredients(parse_modelfile(f"FROM @{DIGEST}\nADAPTER {DIGEST}"), Path())
    assert list(found.file_blobs.values()) == [DIGEST]
    assert list(found.adapter_blobs.values()) == [DIGEST]
    assert (found.base, found.files, found.adapters) == ("", {}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM ./nothing", "no such file or folder: ./nothing"),
        ("FROM x\nADAPTER ./nothing", "no such file or folder: ./nothing"),
        ("FROM @sha256:0", "invalid digest format"),
        ("FROM x\nFROM y", "FROM names several models"),
        ("FROM x\nDRAFT y", "draft models are not served"),
    ],
)
def test_what_cannot_be_made(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((CommandFailed, InvalidRequest), match=message):
        find_ingredients(parse_modelfile(text), tmp_path)


def test_where_the_modelfile_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandFailed, match=r"^no Modelfile or safetensors files found$"):
        read_modelfile("")
    with pytest.raises(CommandFailed, match="specified Modelfile wasn't found: other"):
        read_modelfile("other")
    with pytest.raises(CommandFailed, match="cannot read"):
        read_modelfile(".")
    (tmp_path / "model.safetensors").write_text("weights")
    assert read_modelfile("")[0].sources == (".",)
    (tmp_path / "Modelfile").write_text("FROM named")
    assert read_modelfile("")[0].sources == ("named",)
    (tmp_path / "other").write_bytes("FROM wide".encode("utf-16"))
    modelfile, folder = read_modelfile(str(tmp_path / "other"))
    assert (modelfile.sources, folder) == (("wide",), tmp_path)
    (tmp_path / "other").write_text("FROM x\nNONSENSE y")
    with pytest.raises(InvalidRequest, match=r"\(line 2\): command must be one of"):
        read_modelfile("other")
