"""Quantised models through every process and the real engine."""

from contextlib import suppress

import psutil
import pytest

from tests.integration.suite import Suite, eventually

QUESTION = "Why is the sky blue?"


@pytest.mark.parametrize(
    ("wanted", "level", "size"), [("q8_0", "W8A8", 0.75), ("q4_K_M", "W4A16", 0.65)]
)
def test_a_quantized_model_serves(suite: Suite, wanted: str, level: str, size: float) -> None:
    client = suite.client
    expected = answer(suite, "demo")
    steps = list(client.create("small", from_="demo", quantize=wanted, stream=True))
    assert steps[0].status == f"quantizing BF16 model to {wanted.upper()}"
    assert steps[0].total
    assert steps[-1].status == "success"
    details = client.show("small").details
    assert details
    assert (details.quantization_level, details.parent_model) == (level, "demo:latest")
    sizes = {model.model: int(model.size or 0) for model in client.list().models}
    assert sizes["small:latest"] < size * sizes["demo:latest"]
    try:
        # The demo model knows its answers by heart; four bits make it stumble here and there.
        first_words = 4 if wanted == "q4_K_M" else len(expected.split())
        assert answer(suite, "small").split()[:first_words] == expected.split()[:first_words]
    finally:
        client.generate("small", keep_alive=0)
        client.delete("small")


def test_a_client_that_leaves_ends_the_work(suite: Suite) -> None:
    before = suite.blobs()
    steps = suite.client.create("left", from_="demo", quantize="q4_K_M", stream=True)
    next(iter(steps))
    steps.close()  # type: ignore[attr-defined]
    eventually(lambda: not quantizers(suite))
    assert "left:latest" not in {model.model for model in suite.client.list().models}
    eventually(lambda: not suite.leftovers())
    assert suite.blobs() >= before


def test_what_cannot_be_quantized(suite: Suite) -> None:
    body = {"model": "x", "from": "demo", "quantization": "q2_K", "stream": True}
    status, error = suite.request("POST", "/api/create", body)
    assert status == 400
    assert error["error"].startswith("unsupported quantization type Q2_K - supported types are ")


def answer(suite: Suite, model: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    options = {"temperature": 0, "num_predict": 64}
    return suite.client.chat(model, messages, options=options).message.content or ""


def quantizers(suite: Suite) -> list[int]:
    found = []
    for process in suite.descendants():
        with suppress(psutil.Error):  # it has just ended
            if "services.registry.quantize" in process.cmdline():
                found.append(process.pid)
    return found
