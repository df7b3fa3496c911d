"""Which series an expression reads, and which the code exports."""

import pytest

from tests.k8s.metric_names import exported_metrics, series_in


@pytest.mark.parametrize(
    ("expression", "series"),
    [
        ("up", {"up"}),
        ('sum by (model) (rate(a_total{b="c_d"}[5m])) > 0.05', {"a_total"}),
        ("max(a) == 1 unless on (namespace) min by (x) (b)", {"a", "b"}),
        ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[1h])))", {"a_bucket"}),
        ("a - time() < 14 * 86400 or b:c", {"a", "b:c"}),
    ],
)
def test_series_in_an_expression(expression: str, series: set[str]) -> None:
    assert series_in(expression) == series


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("paddock_queue_requests", ("paddock_queue_requests",)),
        ("paddock_calls", ("paddock_calls_total",)),
        (
            "paddock_worker_load_seconds",
            (
                "paddock_worker_load_seconds_bucket",
                "paddock_worker_load_seconds_count",
                "paddock_worker_load_seconds_sum",
            ),
        ),
        ("paddock_worker_loaded_models", ("paddock_worker_loaded_models",)),
    ],
)
def test_series_of_a_metric(name: str, series: tuple[str, ...]) -> None:
    assert exported_metrics()[name] == series
