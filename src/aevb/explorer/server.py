"""The page served over HTTP, for networks too large to embed. By default it is reachable from this machine only.

    /TOKEN/                 the page
    /TOKEN/files/NAME       its files, gzipped: ONNX Runtime Web, networks, arrays
    /TOKEN/config-N.json    the configuration of run N

All responses are prepared in advance and kept in memory: no request path is used as a path on disk. The server refuses
requests without the token, which is random at each start (403); with another host name, as in DNS rebinding (421); from
another origin (403); with methods other than GET and HEAD (405); with a body (413) or long headers (431); malformed
requests (400); and all other paths (404).
"""

import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aevb.errors import BadInput
from aevb.explorer.content import Subject, gather
from aevb.explorer.page import SERVED, packed, render

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("0.0.0.0", "::")
LONGEST_HEAD = 16 * 1024
"""The largest size of the request headers, in bytes."""
AT_ONCE = 64
"""The largest number of simultaneous connections."""


class Page(NamedTuple):
    """A response.

    Attributes:
        content: the body.
        kind: the media type.
        policy: the content security policy; empty unless it is the page.
    """

    content: bytes
    kind: str = "application/octet-stream"
    policy: str = ""


def pages(subjects: Sequence[Subject], token: str) -> dict[str, Page]:
    """Return all responses by path.

    Args:
        subjects: one run, or two to compare.
        token: the first component of each path.

    Raises:
        BadInput: a network cannot be exported.
    """
    contents = [gather(subject, str(number), subject.run.folder) for number, subject in enumerate(subjects)]
    responses = {}
    for number, (subject, content) in enumerate(zip(subjects, contents, strict=True)):
        content.facts["configuration"] = f"config-{number}.json"
        responses[f"/{token}/config-{number}.json"] = Page(subject.run.config_content(), "application/json")
    for name, file in packed(contents).items():
        responses[f"/{token}/files/{name}"] = Page(file)
    text = render(contents, f"/{token}/files/").encode()
    responses[f"/{token}/"] = Page(text, "text/html; charset=utf-8", f"{SERVED}; frame-ancestors 'none'")
    return responses


def application(responses: Mapping[str, Page], token: str, hosts: Sequence[str] | None) -> "ASGIApp":
    """Return the ASGI application.

    Args:
        responses: all responses by path.
        token: the first component of each path.
        hosts: the accepted host names with port; None accepts any.
    """
    from starlette.responses import Response

    async def answer(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        status = _status(scope["method"], scope["path"], headers, responses, token, hosts)
        page = responses[scope["path"]] if status == 200 else Page(_WORDS[status].encode(), "text/plain; charset=utf-8")
        await Response(page.content, status, _security_headers(page), page.kind)(scope, receive, send)

    return answer


def _status(
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    responses: Mapping[str, Page],
    token: str,
    hosts: Sequence[str] | None,
) -> int:
    """Return the HTTP status of a request."""
    by_name = dict(headers)
    if len(path) + sum(len(name) + len(value) for name, value in headers) > LONGEST_HEAD:
        return 431
    host, names = by_name.get("host", ""), [name for name, _ in headers]
    if names.count("host") != 1 or (hosts is not None and host.lower() not in hosts):
        return 421
    if by_name.get("origin", f"http://{host}") != f"http://{host}":
        return 403
    if not secrets.compare_digest(path.split("/")[1].encode() if "/" in path else b"", token.encode()):
        return 403
    if method not in ("GET", "HEAD"):
        return 405
    if by_name.get("content-length", "0") != "0" or "transfer-encoding" in by_name:
        return 413
    return 200 if path in responses else 404


_WORDS = {
    403: "Access denied: open the address printed by aevb explore.\n",
    404: "Not found.\n",
    405: "Use GET or HEAD.\n",
    413: "Requests with a body are not allowed.\n",
    421: "Unknown host name.\n",
    431: "The request headers are too long.\n",
}


def _security_headers(page: Page) -> dict[str, str]:
    """Return the security headers of a response."""
    policy = {"content-security-policy": page.policy} if page.policy else {}
    return policy | {
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def serve(subjects: Sequence[Subject], host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        subjects: one run, or two to compare.
        host: a name or an address of this machine.
        port: the port; 0 selects a free port.
        ready: called with the URL of the page when it can be opened.

    Raises:
        BadInput: the extra `serve` is not installed, the host is unknown, or the port is in use.
    """
    token = secrets.token_urlsafe(24)
    try:
        import starlette.responses  # noqa: F401  (imported by the application)
        import uvicorn
    except ImportError as error:
        raise BadInput("--serve requires starlette and uvicorn: pip install 'aevb[serve]'") from error
    with _bound(host, port) as bound:
        port = bound.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        hosts = None if host in ANYWHERE else [f"{name}:{port}".lower() for name in (*LOOPBACK, shown)]
        settings = uvicorn.Config(
            application(pages(subjects, token), token, hosts),
            http="h11",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=AT_ONCE,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        bound.listen()
        ready(f"http://{socket.gethostname() if host in ANYWHERE else shown}:{port}/{token}/")
        uvicorn.Server(settings).run([bound])


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to a host and port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot serve at {host}, port {port} ({reason}): pass another --host or --port") from error
    return bound
