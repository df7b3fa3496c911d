"""`python -m services.blob.fsck` and `python -m services.blob.collect` as processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from store.folder import FolderStore
from tests.services.blob.helpers import age, digest_of
from tests.store import ollama_folder


def run(command: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    arguments = [sys.executable, "-m", f"services.blob.{command}", *flags]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_fsck_says_what_is_wrong(root: Path) -> None:
    ollama_folder.build(root)
    done = run("fsck", "--store", str(root))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nall is well\n")
    digest = digest_of(ollama_folder.CONFIG)
    (root / "blobs" / digest.replace(":", "-")).write_bytes(b"wrong")
    done = run("fsck", "--store", str(root))
    assert done.returncode == 1
    assert f"blob {digest} of {ollama_folder.LLAMA}" in done.stdout
    assert done.stdout.endswith("\n3 problems\n")
    assert "deleted;" in run("fsck", "--store", str(root), "--repair").stdout


def test_collect_says_what_went(root: Path) -> None:
    store = FolderStore(root)
    for content in (b"old", b"young"):
        with store.begin_upload() as upload:
            upload.write(content)
            upload.commit()
    age(root, digest_of(b"old"), hours=2)
    store.begin_upload(digest_of(b"x"), 1, keep=True).abort()
    done = run("collect", "--store", str(root), "--verbose")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{digest_of(b'old')} 3\nremoved 1 blobs with 3 bytes\n"
    done = run("collect", "--store", str(root), "--collect-grace", "0s")
    assert done.stdout == "removed 1 blobs with 5 bytes\nremoved 1 unfinished uploads\n"


def test_collect_fails_where_it_cannot_tell(root: Path) -> None:
    store = FolderStore(root)
    store.write_manifest(ollama_folder.LLAMA, b"")
    done = run("collect", "--store", str(root))
    assert done.returncode == 1
    assert "nothing is collected, for the manifest of llama3.2:1b" in done.stderr


@pytest.mark.parametrize("command", ["fsck", "collect"])
def test_a_store_that_is_none(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run(command, "--store", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "Not a directory" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
