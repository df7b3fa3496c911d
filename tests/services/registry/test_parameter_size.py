import pytest

from services.registry.parameter_size import format_parameter_size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1K"),
        (21_500, "22K"),
        (1_000_000, "1M"),
        (494_032_768, "494.03M"),
        (999_999_999, "1000.00M"),
        (8_000_000_000, "8B"),
        (8_030_261_248, "8.0B"),
        (70_553_706_496, "70.6B"),
    ],
)
def test_sizes_are_written_as_ollama_does(count: int, text: str) -> None:
    assert format_parameter_size(count) == text
