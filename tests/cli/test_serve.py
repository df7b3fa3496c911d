"""What `paddock serve` refuses before it starts anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app


@pytest.mark.parametrize(
    ("number", "text"), [("0", "equal to 1"), ("-1", "equal to 1"), ("two", "integer")]
)
@pytest.mark.parametrize("where", ["flag", "variable"])
def test_a_number_of_workers_that_is_none(
    tmp_path: Path, number: str, text: str, where: str
) -> None:
    arguments = ["serve", "--home", str(tmp_path)]
    environment = {}
    if where == "flag":
        arguments += ["--workers", number]
    else:
        environment["PADDOCK_WORKERS"] = number
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 2
    assert "--workers" in result.output
    assert text in result.output
    assert not list(tmp_path.iterdir())
