"""The help texts in the documents are those that the program prints."""

import re

import pytest

from tests.cli.program import ROOT, paddock

SHOWN = re.findall(
    r"^```\n\$ paddock ([a-z-]* ?--help)\n(.*?)^```$",
    (ROOT / "docs" / "cli.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


@pytest.mark.parametrize(("arguments", "text"), SHOWN, ids=[arguments for arguments, _ in SHOWN])
def test_help_as_documented(arguments: str, text: str) -> None:
    assert paddock(*arguments.split()).stdout == text


def test_every_command_is_documented() -> None:
    commands = paddock("--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    names = {line.split()[0] for line in commands.splitlines() if re.match(r"  \w", line)}
    documented = {arguments.split()[0] for arguments, _ in SHOWN}
    assert names - documented <= {"serve"}
    assert {"create", "list"} <= documented


def test_aliases() -> None:
    for alias, command in (("ls", "list"), ("start", "serve")):
        shown = paddock(alias, "-h").stdout
        assert shown.split("\n\n")[1] == paddock(command, "--help").stdout.split("\n\n")[1]
