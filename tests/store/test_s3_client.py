"""Where URLs lead, by the configuration that every AWS tool reads."""

from pathlib import Path

import pytest

from store.s3_client import connect


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """AWS's configuration file; the environment has credentials and a region."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


def url() -> str:
    parameters = {"Bucket": "models", "Key": "blobs/x"}
    return connect(1).client.generate_presigned_url("get_object", Params=parameters)


def test_amazon_names_the_bucket_in_the_host(config: Path) -> None:
    assert url().startswith("https://models.s3.eu-central-1.amazonaws.com/blobs/x?")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_others_name_it_in_the_path(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://minio.example:9000")
    assert url().startswith("http://minio.example:9000/models/blobs/x?")


def test_the_operator_decides(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.example:9000")
    assert url().startswith("http://models.minio.example:9000/blobs/x?")


def test_urls_are_signed_so_that_every_region_takes_them(config: Path) -> None:
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url()


def test_the_region_is_read_as_aws_s_other_tools_read_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert url().startswith("https://models.s3.us-west-2.amazonaws.com/blobs/x?")
