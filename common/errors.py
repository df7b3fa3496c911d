"""The errors that cross process boundaries, and the one table that maps them.

    PaddockError
    ├── InvalidRequest            the request itself is wrong
    │   ├── InvalidName
    │   ├── InvalidDigest
    │   ├── DigestMismatch
    │   ├── InvalidModel          its files do not make a model
    │   ├── TemplateError         a prompt template is wrong, or fails on its messages
    │   ├── StalledBody           the client stopped sending it
    │   └── CapabilityMissing     the model cannot do what was asked
    ├── NotFound
    │   ├── ModelNotFound
    │   └── BlobNotFound
    ├── TooLarge                  a limit of ours was passed
    ├── Unsupported               not offered (yet)
    ├── Busy                      a queue is full
    ├── OutOfMemory               the model is too large for a worker
    │   └── NoRoom                what is in use leaves no room for it now
    ├── Unavailable               a process cannot be reached
    │   └── Interrupted           it left in the middle; another one can go on
    ├── TimedOut                  no answer came within the time given
    ├── WorkerLost                the engine died under the request
    ├── LoadFailed                the engine refused the model
    ├── StoreFull                 no space is left for blobs or manifests
    ├── StoreFailed               the folder or bucket cannot be used
    ├── UploadMoved               an unfinished upload is not where the writer believes
    ├── RegistryFailed            another registry refused, failed or lied
    │   └── Unauthorized          it wants other credentials
    ├── Canceled                  the caller went away
    └── Internal                  a defect

Each class states its gRPC status and its HTTP status; the class's name travels
as `google.rpc.ErrorInfo.reason`, so that the caller raises the same class again.
"""


class PaddockError(Exception):
    """An error with a text for the user, a gRPC status and an HTTP status."""

    grpc_status: str = "INTERNAL"
    """Its name in `grpc.StatusCode`; the command line cannot wait for an import of gRPC."""
    http_status: int = 500

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        """Seconds after which another try makes sense, where that is known."""

    @classmethod
    def reason(cls) -> str:
        """Name this kind of error on the wire."""
        return cls.__name__


class InvalidRequest(PaddockError):
    """The request is malformed or contradicts itself."""

    grpc_status = "INVALID_ARGUMENT"
    http_status = 400


class InvalidName(InvalidRequest):
    """A model name breaks the grammar of names."""


class InvalidDigest(InvalidRequest):
    """A digest is not `sha256:` and 64 hexadecimal digits."""


class DigestMismatch(InvalidRequest):
    """Bytes do not have the digest that was claimed for them."""


class InvalidModel(InvalidRequest):
    """Files are missing, damaged or of a kind that no engine reads."""


class StalledBody(InvalidRequest):
    """The client stopped sending its request's body."""

    http_status = 408


class TemplateError(InvalidRequest):
    """A prompt template cannot be read, or fails; the message begins `template error: `."""


class CapabilityMissing(InvalidRequest):
    """The model cannot do what was asked of it."""


class NotFound(PaddockError):
    """Something that was named does not exist."""

    grpc_status = "NOT_FOUND"
    http_status = 404


class ModelNotFound(NotFound):
    """No manifest has that name."""


class BlobNotFound(NotFound):
    """No blob has that digest."""


class TooLarge(PaddockError):
    """A request passes one of the configured limits."""

    grpc_status = "OUT_OF_RANGE"
    http_status = 413


class Unsupported(PaddockError):
    """Asked for something that is not offered."""

    grpc_status = "UNIMPLEMENTED"
    http_status = 501


class Busy(PaddockError):
    """The queue is full; try again later."""

    grpc_status = "RESOURCE_EXHAUSTED"
    http_status = 503


class OutOfMemory(PaddockError):
    """The model is too large for a worker."""

    grpc_status = "RESOURCE_EXHAUSTED"
    http_status = 500


class NoRoom(OutOfMemory):
    """What is in use leaves no room for the model; later there may be."""

    http_status = 503


class Unavailable(PaddockError):
    """A process that is needed cannot be reached."""

    grpc_status = "UNAVAILABLE"
    http_status = 503


class Interrupted(Unavailable):
    """Who served the request is gone, or leaves; another one can go on with it."""


class TimedOut(PaddockError):
    """The request was not answered within the time that it was given."""

    grpc_status = "DEADLINE_EXCEEDED"
    http_status = 504


class WorkerLost(PaddockError):
    """The engine or its worker died while it served the request."""

    grpc_status = "ABORTED"
    http_status = 500

    def __init__(
        self,
        message: str = (
            "model runner has unexpectedly stopped, this may be due to resource limitations "
            "or an internal error, check the worker's logs for details"
        ),
    ) -> None:
        super().__init__(message)


class LoadFailed(PaddockError):
    """The engine could not be started with the model."""

    grpc_status = "FAILED_PRECONDITION"
    http_status = 500


class StoreFull(PaddockError):
    """The store has no space left."""

    grpc_status = "RESOURCE_EXHAUSTED"
    http_status = 507


class StoreFailed(PaddockError):
    """The store's folder or bucket cannot be read or written."""


class UploadMoved(PaddockError):
    """An unfinished upload has another length than the writer believes, or another writer."""

    grpc_status = "FAILED_PRECONDITION"
    http_status = 409


class RegistryFailed(PaddockError):
    """Another registry cannot be reached, refused a request, or answered nonsense."""

    grpc_status = "FAILED_PRECONDITION"
    http_status = 500


class Unauthorized(RegistryFailed):
    """Another registry wants credentials that were not given."""

    grpc_status = "UNAUTHENTICATED"
    http_status = 401


class Canceled(PaddockError):
    """The caller went away before the end."""

    grpc_status = "CANCELLED"
    http_status = 499

    def __init__(self, message: str = "request canceled") -> None:
        super().__init__(message)


class Internal(PaddockError):
    """A defect on our side."""


def _tree(root: type[PaddockError]) -> list[type[PaddockError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


BY_REASON: dict[str, type[PaddockError]] = {kind.reason(): kind for kind in _tree(PaddockError)}

# What to raise for a status that carries no reason of ours: a broken
# connection, a deadline, a peer of another make.
BY_STATUS: dict[str, type[PaddockError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "NOT_FOUND": NotFound,
    "OUT_OF_RANGE": TooLarge,
    "RESOURCE_EXHAUSTED": TooLarge,
    "UNIMPLEMENTED": Unsupported,
    "UNAVAILABLE": Interrupted,
    "DEADLINE_EXCEEDED": Unavailable,
    # By the peer, which leaves; whoever cancels a call of its own gets no status.
    "CANCELLED": Interrupted,
}


def error_for(reason: str, message: str) -> PaddockError:
    """Rebuild an error from its reason on the wire; an unknown reason gives `Internal`."""
    return BY_REASON.get(reason, Internal)(message)
