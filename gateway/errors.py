"""The middleware that turns errors into replies."""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from common.errors import Canceled, Internal, InvalidRequest, PaddockError
from gateway.replies import error_reply

logger = logging.getLogger(__name__)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a typed error with its status and text, anything unforeseen with 500."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text="404 page not found")
    except web.HTTPMethodNotAllowed as error:
        allowed = {"Allow": error.headers["Allow"]}
        return web.Response(status=405, text="405 method not allowed", headers=allowed)
    except web.HTTPException:
        raise
    except web.RequestPayloadError:
        return error_reply(InvalidRequest("the request's body is damaged"))
    except ConnectionError:
        # The only connection that a handler writes to is the client's, who has gone:
        # aiohttp finds it closed and drops this reply.
        return error_reply(Canceled())
    except Exception as error:
        return error_reply(as_paddock_error(error))


def as_paddock_error(error: Exception) -> PaddockError:
    """Give a typed error as it is, and log any other as the defect it is."""
    if isinstance(error, PaddockError):
        return error
    logger.error("a request failed", exc_info=error)
    return Internal("internal error")
