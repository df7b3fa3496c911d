"""A model whose answers are as long as a request lets them be."""

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

DEMO = Path(__file__).parent.parent / "examples" / "demo_model" / "model"
_WEIGHTS = "model.safetensors"
_EMBEDDINGS = "model.embed_tokens.weight"


def write_endless_model(folder: Path) -> None:
    """Write the demo model into a folder, without what makes it end an answer.

    Not every server has a way to ask for answers of one length. The tokens that end an answer
    have the score zero here, and so are never the likeliest; all else is as it was.
    """
    shutil.copytree(DEMO, folder)
    ends = json.loads((folder / "config.json").read_bytes())["eos_token_id"]
    weights = load_file(folder / _WEIGHTS)
    weights[_EMBEDDINGS][ends] = 0  # they are the output's weights, too
    save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})
