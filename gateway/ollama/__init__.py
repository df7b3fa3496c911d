"""Ollama's REST API, one file per group of endpoints."""

from aiohttp import web

from gateway.ollama import (
    blobs,
    chat,
    create,
    embed,
    generate,
    later,
    models,
    running,
    transfer,
    version,
)

ROUTES: list[web.RouteDef] = [
    *version.ROUTES,
    *models.ROUTES,
    *running.ROUTES,
    *generate.ROUTES,
    *chat.ROUTES,
    *embed.ROUTES,
    *create.ROUTES,
    *blobs.ROUTES,
    *transfer.ROUTES,
    *later.ROUTES,
]
