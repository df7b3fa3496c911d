"""An Ollama models folder is a folder store."""

from pathlib import Path

from store.folder import FolderStore
from store.opening import open_store
from tests.store import ollama_folder


def test_it_is_read_and_written_in_place(tmp_path: Path) -> None:
    ollama_folder.build(tmp_path)
    ollama_folder.assert_is_a_store(FolderStore(tmp_path))
    ollama_folder.assert_litter_is_untouched(tmp_path)


def test_it_may_be_a_link_and_so_may_be_what_lies_in_it(tmp_path: Path) -> None:
    """People move `blobs` to a larger disk."""
    ollama_folder.build(tmp_path / "models")
    (tmp_path / "models/blobs").rename(tmp_path / "large")
    (tmp_path / "models/blobs").symlink_to(tmp_path / "large")
    (tmp_path / "link").symlink_to(tmp_path / "models")
    ollama_folder.assert_is_a_store(open_store(f"file://{tmp_path}/link"))
    ollama_folder.assert_litter_is_untouched(tmp_path / "models")
