"""Who may talk to a server of ours: requests of its own pages alone."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from motionllm.errors import MotionLLMError

LOOPBACK = "127.0.0.1"


def not_bound(host: str, port: int, error: Exception) -> MotionLLMError:
    """The error of an address that cannot be bound."""
    return MotionLLMError(f"The page cannot be served at {host}:{port} ({error}); choose another --port.")


def reached(host: str, names: Collection[str] = ()) -> bool:
    """Whether others than this machine's own users reach a server: bound to another address, or behind a proxy."""
    return host.lower() not in ("localhost", LOOPBACK, "::1") or bool(names)


class Guard:
    """ASGI middleware that admits only requests of the page itself.

    Otherwise a page of another site in the same browser could talk to this server: by its address, which `Origin`
    reveals, or by a domain that it points here (DNS rebinding), which `Host` reveals.

    host: the address that is served; if that is every address of this machine, its name and literal IP addresses are
    admitted as `Host` too, since DNS cannot redirect these. names: additional host names.
    """

    def __init__(self, app: Any, host: str = LOOPBACK, names: Collection[str] = ()) -> None:
        self.app = app
        self.names = {_host(f"//{name}") for name in names}
        self.hosts = {"localhost", LOOPBACK, "::1", host.lower(), *self.names}
        self.everywhere = host in ("0.0.0.0", "::", "")
        if self.everywhere:
            self.hosts.add(socket.gethostname().lower())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {} if scope["type"] == "lifespan" else {k.lower(): v.decode("latin-1") for k, v in scope["headers"]}
        why = None if scope["type"] == "lifespan" else self.refused(headers.get(b"host"), headers.get(b"origin"))
        if why is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})
        else:
            plain = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": plain})
            await send({"type": "http.response.body", "body": why.encode(errors="replace")})

    def refused(self, host: str | None, origin: str | None) -> str | None:
        """Why a request with these two headers is refused; None if it is not."""
        name = _host(f"//{host or ''}")
        if name not in self.hosts and not (self.everywhere and _is_address(name)):
            return f"This page is not served as {(host or '')[:100]!r}; start it with --allow-host to have it so."
        if origin is not None and _place(origin) != _place(f"//{host}") and _host(origin) not in self.names:
            return f"Requests of {origin[:100]!r} are not taken: they come from another page."
        return None


def _host(address: str) -> str:
    """The host name of an address, "" where it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _place(address: str) -> str:
    """Host and port of an address."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
