import os
from pathlib import Path

import pytest

from common.errors import InvalidModel, InvalidRequest, TooLarge
from services.registry import server_files
from services.registry.server_files import ServerFiles, open_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "models" / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("FROM secret")
    (root / "models" / "Modelfile").write_text("FROM x")
    (root / "models" / "sub" / "b.json").write_text("{}")
    (root / "models" / "a.json").write_text("{}")
    return root


def test_a_modelfile_by_its_path(root: Path) -> None:
    files = ServerFiles(root)
    expected = ("FROM x", root / "models")
    assert files.read_modelfile(str(root / "models" / "Modelfile")) == expected
    assert files.read_modelfile("models/Modelfile") == expected
    assert files.read_modelfile("models/sub/../Modelfile") == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../outside/secret", "is not in the folder of PADDOCK_MODELFILES"),
        ("/etc/passwd", "is not in the folder of PADDOCK_MODELFILES"),
        ("/no/such/file", "is not in the folder of PADDOCK_MODELFILES"),
        ("link", "is not in the folder of PADDOCK_MODELFILES"),
        ("folder-link/secret", "is not in the folder of PADDOCK_MODELFILES"),
        ("nothing", 'cannot read "nothing": No such file or directory'),
        ("a\0b", "cannot read"),
        ("x" * 300, "cannot read .*: File name too long"),
        ("loop", "cannot read"),
        ("models", "is not a file"),
        ("pipe", "is not a file"),
    ],
)
def test_paths_that_lead_nowhere_or_elsewhere(root: Path, path: str, message: str) -> None:
    (root / "link").symlink_to(root.parent / "outside" / "secret")
    (root / "folder-link").symlink_to(root.parent / "outside")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    with pytest.raises(InvalidRequest, match=message):
        ServerFiles(root).read_modelfile(path)


def test_without_a_folder_everything_is_refused(root: Path) -> None:
    with pytest.raises(InvalidRequest, match="PADDOCK_MODELFILES names, and it is not set"):
        ServerFiles(None).read_modelfile(str(root / "models" / "Modelfile"))


def test_a_modelfile_that_is_too_long(root: Path) -> None:
    (root / "long").write_bytes(b" " * (4 * 1024 * 1024 + 1))
    with pytest.raises(TooLarge, match="a Modelfile has at most 4194304 bytes"):
        ServerFiles(root).read_modelfile("long")


def test_the_files_of_a_folder(root: Path) -> None:
    models = root / "models"
    (models / ".cache").mkdir()
    (models / ".cache" / "c.json").write_text("{}")
    (models / "linked.json").symlink_to(models / "a.json")
    (models / "dangling.json").symlink_to(models / "nothing")
    (models / "around").symlink_to(models)
    assert ServerFiles(root).list_folder(models) == {
        "Modelfile": models / "Modelfile",
        "a.json": models / "a.json",
        "linked.json": models / "a.json",
        "sub/b.json": models / "sub" / "b.json",
    }


def test_a_folder_with_a_way_out_is_refused(root: Path) -> None:
    (root / "models" / "evil.json").symlink_to(root.parent / "outside" / "secret")
    with pytest.raises(InvalidRequest, match="is not in the folder of PADDOCK_MODELFILES"):
        ServerFiles(root).list_folder(root / "models")


def test_a_folder_with_too_much_in_it(root: Path) -> None:
    for number in range(server_files.MAX_ENTRIES):
        os.mkfifo(root / "models" / str(number))
    with pytest.raises(InvalidModel, match="holds too much for the folder of one model"):
        ServerFiles(root).list_folder(root / "models")


def test_links_of_a_snapshot_lead_to_its_own_blobs_alone(root: Path) -> None:
    blobs = root / "models--x" / "blobs"
    snapshot = root / "models--x" / "snapshots" / "1"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / "abc").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    assert ServerFiles(root).list_folder(snapshot) == {"config.json": blobs / "abc"}
    (snapshot / "other.json").symlink_to(root / "models" / "a.json")
    with pytest.raises(InvalidRequest, match="is a link that leaves the folder of the model"):
        ServerFiles(root).list_folder(snapshot)


def test_a_link_out_of_the_model_is_refused(root: Path) -> None:
    (root / "secret").write_text("{}")
    (root / "models" / "config.json").symlink_to(root / "secret")
    with pytest.raises(InvalidRequest, match="is a link that leaves the folder of the model"):
        ServerFiles(root).list_folder(root / "models")


def test_a_folder_that_goes_while_it_is_looked_for(root: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot read .*: No such file or directory"):
        ServerFiles(root).list_folder(root / "gone")


def test_a_folder_that_has_become_a_link_is_not_followed(root: Path) -> None:
    found = ServerFiles(root).find("models/a.json")
    (root.parent / "outside" / "a.json").write_text("secret")
    (root / "models").rename(root / "old")
    (root / "models").symlink_to(root.parent / "outside")
    with pytest.raises(InvalidRequest, match="it has been moved or replaced"):
        open_file(found)


def test_a_link_is_not_opened_in_place_of_a_file(root: Path) -> None:
    (root / "link").symlink_to(root / "models" / "a.json")
    with pytest.raises(InvalidRequest, match="cannot read"):
        open_file(root / "link")
