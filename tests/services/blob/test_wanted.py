"""Which manifests keep their blobs."""

from datetime import UTC, datetime, timedelta

import pytest

from common.derived import derived_name
from common.digests import hex_digits
from common.errors import InvalidModel
from common.names import ModelName
from services.blob.wanted import named_among, wanted
from store.interface import Manifest
from tests.services.blob.helpers import digest_of, manifest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLY, LATE = NOON - timedelta(minutes=1), NOON + timedelta(minutes=1)
SOURCE, RESULT, CONFIG = (digest_of(each) for each in (b"source", b"result", b"config"))
MODEL = ModelName.parse("model")
DERIVED = derived_name(hex_digits(SOURCE), "converter-1")

model = Manifest(MODEL, manifest(CONFIG, SOURCE), EARLY)
derived = Manifest(DERIVED, manifest(RESULT), EARLY)


def test_a_derived_model_lives_as_long_as_its_source() -> None:
    found = wanted([derived, model], (), NOON)
    assert found.blobs.keys() == {CONFIG, SOURCE, RESULT}
    assert found.forsaken == ()


@pytest.mark.parametrize("at", [EARLY, NOON])
def test_one_whose_source_is_gone_is_forsaken(at: datetime) -> None:
    other = Manifest(MODEL, manifest(CONFIG), EARLY)
    found = wanted([other, Manifest(DERIVED, manifest(RESULT), at)], (), NOON)
    assert found.blobs.keys() == {CONFIG}
    assert found.forsaken == (DERIVED,)


def test_a_blob_is_as_old_as_the_first_manifest_that_names_it() -> None:
    others = [Manifest(MODEL, manifest(CONFIG), at) for at in (LATE, EARLY, NOON)]
    assert wanted(others, (), NOON).blobs == {CONFIG: EARLY}


def test_one_that_was_just_written_stays() -> None:
    young = Manifest(DERIVED, manifest(RESULT), LATE)
    assert wanted([young], (), NOON).blobs.keys() == {RESULT}


def test_one_whose_source_was_just_stored_again_stays() -> None:
    assert wanted([derived], {SOURCE}, NOON).blobs.keys() == {RESULT}


def test_derived_models_do_not_keep_each_other() -> None:
    second = Manifest(derived_name(hex_digits(RESULT), "packer-1"), manifest(CONFIG), EARLY)
    assert set(wanted([second, derived], (), NOON).forsaken) == {second.name, DERIVED}


def test_what_cannot_be_read_may_name_anything() -> None:
    with pytest.raises(InvalidModel, match="nothing is collected, for the manifest of model"):
        wanted([Manifest(MODEL, b"", EARLY)], (), NOON)
    broken = Manifest(DERIVED, b"", EARLY)
    with pytest.raises(InvalidModel):
        wanted([model, broken], (), NOON)
    assert wanted([broken], (), NOON).forsaken == (DERIVED,)


def test_of_some_blobs_the_oldest_manifest_that_names_them_is_told() -> None:
    manifests = [
        Manifest(ModelName.parse("old"), manifest(CONFIG, SOURCE), EARLY),
        Manifest(ModelName.parse("new"), manifest(RESULT, SOURCE), LATE),
        derived,
    ]
    asked = [SOURCE, RESULT, digest_of(b"unknown")]
    assert named_among(manifests, asked) == {SOURCE: EARLY, RESULT: EARLY}
    assert named_among(manifests[1:2], asked) == {SOURCE: LATE, RESULT: LATE}


def test_a_damaged_manifest_may_name_any_of_them() -> None:
    damaged = Manifest(ModelName.parse("damaged"), b"{", EARLY)
    with pytest.raises(InvalidModel, match="damaged:latest may name any blob"):
        named_among([model, damaged], [SOURCE])
