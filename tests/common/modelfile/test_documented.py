"""What docs/modelfile.md shows."""

import re
from pathlib import Path

import pytest

from common.modelfile.instructions import NAMES
from common.modelfile.modelfile import parse_modelfile, write_modelfile

PAGE = (Path(__file__).parents[3] / "docs" / "modelfile.md").read_text()
EXAMPLES = [
    block
    for fence, block in re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    if not fence and re.search(r"^FROM ", block, re.MULTILINE)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_its_examples_are_modelfiles(example: str) -> None:
    modelfile = parse_modelfile(example)
    assert parse_modelfile(write_modelfile(modelfile)) == modelfile


def test_it_tells_of_every_instruction() -> None:
    assert len(EXAMPLES) == 3
    table = PAGE.split("## Instructions")[1].split("## Texts")[0]
    assert set(re.findall(r"`([A-Z]+)\b", table)) == {name.upper() for name in NAMES}
