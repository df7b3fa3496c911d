"""What every store backend must do with manifests."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from common.errors import ModelNotFound
from common.names import ModelName
from store.interface import Store
from tests.store.helpers import NAME, OpenStore, StoreCases


class ManifestCases(StoreCases):
    """The contract of manifests, as tests."""

    @pytest.mark.parametrize("content", [b'{"layers": []}\n', b"", b"\xff\x00 not JSON"])
    def test_a_manifest_keeps_its_bytes(self, store: Store, content: bytes) -> None:
        written = store.write_manifest(NAME, content)
        assert written.content == content
        assert store.read_manifest(NAME) == written
        assert list(store.list_manifests()) == [written]

    def test_the_last_writer_wins(self, store: Store) -> None:
        store.write_manifest(NAME, b"a much longer first version")
        store.write_manifest(NAME, b"second")
        assert store.read_manifest(NAME).content == b"second"

    @pytest.mark.parametrize(
        "text",
        [
            "localhost:5000/team/model:v1.0-q4_K_M",
            "hf.co/user/model.name-GGUF:Q8_0",
            "_/_/_:_",
            f"host/{'n' * 80}/{'m' * 80}:{'t' * 80}",
        ],
    )
    def test_names_of_all_kinds(self, store: Store, text: str) -> None:
        name = ModelName.parse(text)
        store.write_manifest(name, b"{}")
        assert [manifest.name for manifest in store.list_manifests()] == [name]
        store.delete_manifest(name)
        assert list(store.list_manifests()) == []

    def test_neighbours_do_not_disturb_each_other(self, store: Store) -> None:
        names = [ModelName.parse(text) for text in ("a:1", "a:2", "b:1", "x/a:1", "h/x/a:1")]
        for name in names:
            store.write_manifest(name, str(name).encode())
        store.delete_manifest(names[0])
        assert {manifest.name for manifest in store.list_manifests()} == set(names[1:])
        assert store.read_manifest(names[1]).content == b"a:2"

    def test_a_deleted_manifest_is_gone(self, store: Store) -> None:
        store.write_manifest(NAME, b"{}")
        store.delete_manifest(NAME)
        with pytest.raises(ModelNotFound, match=r"model 'llama3\.2:latest' not found"):
            store.read_manifest(NAME)
        with pytest.raises(ModelNotFound):
            store.delete_manifest(NAME)
        store.write_manifest(NAME, b"again")
        assert store.read_manifest(NAME).content == b"again"

    def test_what_another_process_did_is_known_at_once(self, open_again: OpenStore) -> None:
        names = [ModelName.parse(text) for text in ("Model:1", "model:1", "team/Model:1")]
        one, other = open_again(), open_again()
        assert list(other.known_manifests()) == []
        written = [one.write_manifest(name, b"%d" % number) for number, name in enumerate(names)]
        known = sorted(other.known_manifests(), key=lambda manifest: manifest.content)
        assert known == written
        asked = ModelName.parse("MODEL:1")
        assert other.names_like(asked) == [names[0], names[1]]
        one.delete_manifest(names[0])
        assert other.names_like(asked) == [names[1]]
        assert {manifest.name for manifest in other.known_manifests()} == set(names[1:])
        assert other.names_like(ModelName.parse("nobody")) == []

    def test_a_read_never_sees_half_a_manifest(self, open_again: OpenStore) -> None:
        versions = [bytes([number]) * 50_000 for number in range(1, self.rounds)]
        store = open_again()
        store.write_manifest(NAME, versions[0])
        with ThreadPoolExecutor(1) as thread:
            writing = thread.submit(
                lambda: [open_again().write_manifest(NAME, version) for version in versions]
            )
            while not writing.done():
                assert store.read_manifest(NAME).content in versions
            writing.result()

    def test_writing_while_others_delete(self, open_again: OpenStore) -> None:
        """A delete that removes emptied folders fails no writer."""

        def churn(name: ModelName) -> None:
            store = open_again()
            for _ in range(self.rounds):
                store.write_manifest(name, b"{}")
                store.delete_manifest(name)
            store.write_manifest(name, b"final")

        names = [ModelName.parse(text) for text in ("m:a", "m:b", "n:a", "x/m:a")]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(churn, names))
        contents = {manifest.name: manifest.content for manifest in open_again().list_manifests()}
        assert contents == dict.fromkeys(names, b"final")
