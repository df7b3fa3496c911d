"""Servers of other makes, and what is particular about them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from common.errors import PaddockError, StoreFailed, StoreFull, Unavailable
from store.s3 import S3Store
from store.s3_parts import MIB
from tests.servers.scripted_s3 import Answer, Request, ScriptedS3, scripted_s3
from tests.store.helpers import NAME, digest_of

SECOND = "Tue, 06 Jan 2026 12:00:00 GMT"
OpenScripted = Callable[[Callable[[Request], Answer]], tuple[S3Store, ScriptedS3]]


@pytest.fixture
def open_scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenScripted]:
    """Give a function that opens a store on a server that answers as it is told to."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "key")
    with ExitStack() as servers:

        def open_scripted(answer: Callable[[Request], Answer]) -> tuple[S3Store, ScriptedS3]:
            server = servers.enter_context(scripted_s3(answer))
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            return S3Store("models", "team+one/"), server

        yield open_scripted


def listing(*keys: str, **fields: str) -> Answer:
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2026-01-06T12:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    told = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return Answer(body=f"<ListBucketResult>{told}{entries}</ListBucketResult>".encode())


def failure(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>at http://10.0.0.1/models</Message></Error>"
    return Answer(status, body.encode())


DIGEST = digest_of(b"x")
KEY = f"team+one/blobs/{DIGEST.replace(':', '-')}"


def test_a_listing_that_breaks_off_is_an_error(open_scripted: OpenScripted) -> None:
    """As by servers that know the first version of listings alone."""
    key = f"team+one/manifests/{NAME.path}"
    page = listing(key, IsTruncated="true", NextMarker=key)
    store, _ = open_scripted(lambda request: page if "list-type" in request.query else Answer(404))
    with pytest.raises(StoreFailed, match="does not continue"):
        list(store.list_manifests())


def test_a_listing_of_other_keys_is_an_error(open_scripted: OpenScripted) -> None:
    """As by servers that say that keys are quoted, and do not quote a plus."""
    store, _ = open_scripted(lambda _: listing(KEY, EncodingType="url"))
    with pytest.raises(StoreFailed, match="other keys"):
        list(store.list_blobs())


def test_keys_with_a_plus_are_found(open_scripted: OpenScripted) -> None:
    def answer(request: Request) -> Answer:
        assert request.query["prefix"].startswith("team+one/")
        if not KEY.startswith(request.query["prefix"]):
            return listing()
        quoted = KEY.replace("+", "%2B")
        if "continuation-token" in request.query:
            return listing(quoted, EncodingType="url", IsTruncated="false")
        return listing(EncodingType="url", IsTruncated="true", NextContinuationToken="next")

    store, _ = open_scripted(answer)
    assert [blob.digest for blob in store.list_blobs()] == [DIGEST]


def test_headers_may_have_capitals(open_scripted: OpenScripted) -> None:
    noted = datetime(2026, 1, 6, 12, 0, 0, 250_000, UTC)
    headers = {
        "Last-Modified": SECOND,
        "ETag": '"e"',
        "X-Amz-Meta-Paddock-Time": f"{noted.timestamp():.6f}",
    }
    store, _ = open_scripted(lambda _: Answer(body=b"{}", headers=headers))
    assert store.read_manifest(NAME).modified_at == noted


def test_etags_may_be_bare_in_listings(open_scripted: OpenScripted) -> None:
    def answer(request: Request) -> Answer:
        if "list-type" in request.query:
            return Answer(
                body=listing(f"team+one/manifests/{NAME.path}").body.replace(b"&quot;", b"")
            )
        return Answer(body=b"{}", headers={"Last-Modified": SECOND, "ETag": '"e"'})

    store, server = open_scripted(answer)
    for _ in range(3):
        assert [manifest.name for manifest in store.list_manifests()] == [NAME]
    assert sum(NAME.path in request.path for request in server.requests) == 1


def test_without_etags_what_is_listed_is_read_each_time(open_scripted: OpenScripted) -> None:
    def answer(request: Request) -> Answer:
        if "list-type" in request.query:
            page = listing(f"team+one/manifests/{NAME.path}")
            return Answer(body=page.body.replace(b"<ETag>&quot;e&quot;</ETag>", b""))
        return Answer(body=b"{}", headers={"Last-Modified": SECOND})

    store, server = open_scripted(answer)
    for _ in range(3):
        assert [manifest.name for manifest in store.list_manifests()] == [NAME]
    assert sum(NAME.path in request.path for request in server.requests) == 3


SEVERAL_PARTS = bytes(17 * MIB)
SEVERAL_PARTS_DIGEST = digest_of(SEVERAL_PARTS)
PART_SENT = Answer(headers={"ETag": '"e"'})
STORED = Answer(headers={"Content-Length": str(len(SEVERAL_PARTS)), "Last-Modified": SECOND})


def started() -> Answer:
    told = "InitiateMultipartUploadResult"
    return Answer(body=f"<{told}><UploadId>u</UploadId></{told}>".encode())


def is_of_a_blob(request: Request) -> bool:
    return "/blobs/sha256-" in request.path


@pytest.mark.parametrize("answer_to_the_end", [failure(200, "InternalError"), Answer(500)])
@pytest.mark.parametrize("stored", [True, False])
def test_a_failure_to_join_parts_that_may_be_none(
    open_scripted: OpenScripted, answer_to_the_end: Answer, stored: bool
) -> None:
    """As where an answer was lost, and the next one is that there is nothing to join."""

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            return started() if "uploads" in request.query else answer_to_the_end
        if request.method == "HEAD":
            return STORED if stored and is_of_a_blob(request) else Answer(404)
        return PART_SENT

    store, _ = open_scripted(answer)
    with store.begin_upload(SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS)) as upload:
        upload.write(SEVERAL_PARTS)
        with nullcontext() if stored else pytest.raises(Unavailable):
            assert upload.commit() == (SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS))


@pytest.mark.parametrize(
    "answer_to_a_copy",
    [
        failure(501, "NotImplemented"),
        failure(405, "MethodNotAllowed"),
        Answer(501),
        Answer(405, b"<html>Not allowed<br></html>"),
        PART_SENT,
    ],
)
def test_where_parts_cannot_be_copied_the_object_is(
    open_scripted: OpenScripted, answer_to_a_copy: Answer
) -> None:
    """Some servers say that they cannot, and some take the request for one to store nothing."""
    copied: list[str] = []

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            done = Answer(body=b"<CompleteMultipartUploadResult/>")
            return started() if "uploads" in request.query else done
        if request.method == "HEAD":
            return STORED if copied and is_of_a_blob(request) else Answer(404)
        if request.method == "PUT" and is_of_a_blob(request):
            if "partNumber" in request.query:
                return answer_to_a_copy
            copied.append(request.path)
            return Answer(body=b"<CopyObjectResult/>")
        return PART_SENT

    store, server = open_scripted(answer)
    with store.begin_upload() as upload:
        upload.write(SEVERAL_PARTS)
        assert upload.commit() == (SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS))
    assert len(copied) == 1
    deleted = {request.path for request in server.requests if request.method == "DELETE"}
    assert {is_of_a_blob(Request("", path, {})) for path in deleted} == {True, False}


def test_where_a_copied_part_is_none_the_object_is_copied(open_scripted: OpenScripted) -> None:
    """Some servers take the request for one to copy a whole object."""
    copied: list[str] = []

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            if "uploads" in request.query:
                return started()
            joined = Answer(body=b"<CompleteMultipartUploadResult/>")
            return failure(400, "InvalidPart") if is_of_a_blob(request) else joined
        if request.method == "HEAD":
            return STORED if copied and is_of_a_blob(request) else Answer(404)
        if request.method == "PUT" and is_of_a_blob(request):
            if "partNumber" not in request.query:
                copied.append(request.path)
            tag = b"<ETag>&quot;e&quot;</ETag>"
            return Answer(body=b"<CopyObjectResult>%b</CopyObjectResult>" % tag)
        return PART_SENT

    store, _ = open_scripted(answer)
    with store.begin_upload() as upload:
        upload.write(SEVERAL_PARTS)
        assert upload.commit() == (SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS))
    assert len(copied) == 1


def test_parts_that_were_joined_by_a_lost_answer(open_scripted: OpenScripted) -> None:
    """Each time the connection breaks before the answer; a moment later the blob is there."""
    looks: list[str] = []

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            if "uploads" in request.query:
                return started()
            raise ConnectionResetError
        if request.method == "HEAD":
            looks.append(request.path)
            return STORED if len(looks) > 2 else Answer(404)
        return PART_SENT

    store, _ = open_scripted(answer)
    with store.begin_upload(SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS)) as upload:
        upload.write(SEVERAL_PARTS)
        assert upload.commit() == (SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS))


def test_parts_that_are_still_being_joined_when_asked_again(open_scripted: OpenScripted) -> None:
    """The upload is gone by then, and the blob comes a moment later."""
    asked: list[str] = []
    looks: list[str] = []

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            if "uploads" in request.query:
                return started()
            asked.append(request.path)
            if len(asked) == 1:
                raise ConnectionResetError
            return failure(404, "NoSuchUpload")
        if request.method == "HEAD":
            looks.append(request.path)
            return STORED if len(looks) > 2 else Answer(404)
        return PART_SENT

    store, _ = open_scripted(answer)
    with store.begin_upload(SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS)) as upload:
        upload.write(SEVERAL_PARTS)
        assert upload.commit() == (SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS))


@pytest.mark.parametrize(
    ("age", "removed"), [(timedelta(hours=2), (0, 1)), (timedelta(days=2), (1, 0))]
)
def test_what_may_be_being_copied_stays(
    open_scripted: OpenScripted, age: timedelta, removed: tuple[int, int]
) -> None:
    """An object of parts may have the time when its upload began."""
    unnamed = f"team+one/uploads/upload-{32 * '0'}"
    began = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()

    def answer(request: Request) -> Answer:
        deleted = any(each.method == "DELETE" for each in server.requests)
        if "list-type" in request.query and unnamed.startswith(request.query["prefix"]):
            page = listing() if deleted else listing(unnamed)
            return Answer(body=page.body.replace(b"2026-01-06T12:00:00.000Z", began))
        if "uploads" in request.query:
            return Answer(body=b"<ListMultipartUploadsResult/>")
        return listing() if request.method == "GET" else Answer(204)

    store, server = open_scripted(answer)
    first = store.abort_uploads(datetime.now(UTC) - timedelta(hours=1))
    assert (first, store.abort_uploads(datetime.now(UTC))) == removed


@pytest.mark.parametrize(
    ("no_list", "no_abort"),
    [
        (failure(501, "NotImplemented"), failure(405, "MethodNotAllowed")),
        (Answer(501), Answer(405, b"<html>Not allowed<br></html>")),
    ],
)
def test_a_server_may_have_no_words_for_unfinished_uploads(
    open_scripted: OpenScripted, no_list: Answer, no_abort: Answer
) -> None:
    """It neither lists nor aborts them: a broken one begins anew, and its parts stay."""
    kept = f"team+one/uploads/kept-{DIGEST.removeprefix('sha256:')}-{64 * MIB}"
    state = b'{"upload_id": "u", "part_size": 16777216, "etags": ["e"], "sha256": ""}'

    def answer(request: Request) -> Answer:
        if "uploads" in request.query:
            return no_list
        if "uploadId" in request.query:
            return no_abort
        if "list-type" in request.query:
            return listing(kept) if kept.startswith(request.query["prefix"]) else listing()
        if request.method == "DELETE":
            return Answer(204)
        return Answer(body=state, headers={"ETag": '"e"', "Last-Modified": SECOND})

    store, server = open_scripted(answer)
    assert store.upload_status(DIGEST, 64 * MIB).committed_size == 0
    store.abort_uploads(datetime(2026, 2, 1, tzinfo=UTC))
    assert "DELETE" in {request.method for request in server.requests if "kept" in request.path}


def test_parts_without_etags_are_refused(open_scripted: OpenScripted) -> None:
    """They could not be joined."""
    store, _ = open_scripted(lambda request: started() if request.method == "POST" else Answer())
    upload = store.begin_upload(SEVERAL_PARTS_DIGEST, len(SEVERAL_PARTS))
    upload.write(SEVERAL_PARTS)
    with pytest.raises(StoreFailed, match="no ETags"):
        upload.commit()


@pytest.mark.parametrize("answer", [failure(416, "InvalidRange"), Answer(416)])
def test_nothing_is_beyond_the_end(open_scripted: OpenScripted, answer: Answer) -> None:
    store, _ = open_scripted(lambda _: answer)
    assert list(store.read(DIGEST, 1000)) == []


def test_slowing_down_helps(open_scripted: OpenScripted) -> None:
    answers = iter([failure(503, "SlowDown"), failure(503, "SlowDown")])
    store, server = open_scripted(lambda _: next(answers, Answer(body=b"x")))
    assert b"".join(store.read(DIGEST)) == b"x"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(503, "XMinioServerNotInitialized"), Unavailable),
        (Answer(502, b"<html>Bad gateway</html>"), Unavailable),
        (failure(403, "RequestTimeTooSkewed"), StoreFailed),
        (failure(403, "AccessDenied"), StoreFailed),
        (failure(404, "NoSuchBucket"), StoreFailed),
        (failure(507, "XMinioStorageFull"), StoreFull),
    ],
)
def test_what_a_check_finds(
    open_scripted: OpenScripted, answer: Answer, kind: type[PaddockError]
) -> None:
    store, server = open_scripted(lambda _: answer)
    with pytest.raises(PaddockError) as told:
        store.check()
    assert type(told.value) is kind
    assert "10.0.0.1" not in told.value.message
    assert len(server.requests) == 1
