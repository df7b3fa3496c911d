"""The documents keep up with the code."""

import re
from pathlib import Path

import pytest

from common.settings import ServiceSettings, Settings
from gateway.settings import GatewaySettings
from services.blob.settings import BlobSettings
from services.inference.settings import InferenceSettings
from services.registry.settings import RegistrySettings
from workers.settings import WorkerSettings

ROOT = Path(__file__).parent.parent
SECTIONS: dict[str, type[Settings]] = {
    "gateway": GatewaySettings,
    "services.blob": BlobSettings,
    "services.inference": InferenceSettings,
    "services.registry": RegistrySettings,
    "workers": WorkerSettings,
}


@pytest.mark.parametrize("process", SECTIONS)
def test_every_setting_is_documented_and_no_other(process: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    section = text.split(f"### `python -m {process}`\n")[1].split("\n#")[0]
    documented = re.findall(r"^\| `PADDOCK_(\w+)` \|", section, re.MULTILINE)
    fields = SECTIONS[process].model_fields
    own = fields.keys() - ServiceSettings.model_fields.keys()
    assert {name.lower() for name in documented} == own
    for name in documented:
        description = fields[name.lower()].description
        assert description
        assert description in section


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", (ROOT / "README.md").read_text()))
    assert named
    assert named <= targets


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_folder_of_the_readmes_tree_exists() -> None:
    table = re.findall(r"^\| `([a-z_/]+)/` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert table
    assert all((ROOT / folder).is_dir() for folder in table)
