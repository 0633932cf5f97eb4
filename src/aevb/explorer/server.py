"""The page handed out over HTTP, for models too large to be in it: on this machine alone, unless told otherwise.

    /TOKEN/                 the page
    /TOKEN/files/NAME       what it fetches, gzipped: ONNX Runtime Web, networks, arrays
    /TOKEN/config-N.json    the configuration of run N

What may be asked for is made beforehand, and is all in memory: no path of a request ever becomes a path of the disk.
Refused are requests without the token, which is drawn anew at each start (403); to a host by another name, as a page
elsewhere would make them that has its own name point here (421); from a page of another origin (403); of any method but
GET and HEAD (405); with a body (413) or a long head (431); malformed (400); and for anything else (404).
"""

import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aevb.data.dataset import Dataset
from aevb.errors import BadInput
from aevb.explorer.content import gather
from aevb.explorer.page import SERVED, packed, render
from aevb.runs.run_folder import RunFolder

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ANYWHERE = ("0.0.0.0", "::")
LONGEST_HEAD = 16 * 1024
"""Bytes of the head of a request, at most."""
AT_ONCE = 64
"""Connections, at most."""


class Page(NamedTuple):
    """Something that is handed out.

    Attributes:
        content: bytes.
        kind: media type.
        policy: what the browser is to refuse to it; empty of what is no page.
    """

    content: bytes
    kind: str = "application/octet-stream"
    policy: str = ""


def pages(runs: Sequence[tuple[RunFolder, Dataset]], token: str) -> dict[str, Page]:
    """All that there is, by path.

    Args:
        runs: one, or two to compare, each with the data it was trained on; on the CPU.
        token: the first part of each path.

    Raises:
        BadInput: a network cannot be exported.
    """
    contents = [gather(run, dataset, str(number), run.folder) for number, (run, dataset) in enumerate(runs)]
    found = {}
    for number, ((run, _), content) in enumerate(zip(runs, contents, strict=True)):
        content.facts["configuration"] = f"config-{number}.json"
        text = (run.folder / "config.json").read_bytes()
        found[f"/{token}/config-{number}.json"] = Page(text, "application/json")
    for name, file in packed(contents).items():
        found[f"/{token}/files/{name}"] = Page(file)
    text = render(contents, f"/{token}/files/").encode()
    found[f"/{token}/"] = Page(text, "text/html; charset=utf-8", f"{SERVED}; frame-ancestors 'none'")
    return found


def application(found: Mapping[str, Page], token: str, hosts: Sequence[str] | None) -> Any:
    """What answers requests, as ASGI has it.

    Args:
        found: all that there is, by path.
        token: the first part of each path.
        hosts: by which the server may be called, with its port; any where None.
    """
    from starlette.responses import Response

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        heads = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        status = _status(scope["method"], scope["path"], heads, found, token, hosts)
        page = found[scope["path"]] if status == 200 else Page(_WORDS[status].encode(), "text/plain; charset=utf-8")
        await Response(page.content, status, _safeguards(page), page.kind)(scope, receive, send)

    return answer


def _status(
    method: str,
    path: str,
    heads: Sequence[tuple[str, str]],
    found: Mapping[str, Page],
    token: str,
    hosts: Sequence[str] | None,
) -> int:
    """Whether a request is answered (200), and else why not."""
    given = dict(heads)
    if len(path) + sum(len(name) + len(value) for name, value in heads) > LONGEST_HEAD:
        return 431
    host, names = given.get("host", ""), [name for name, _ in heads]
    if names.count("host") != 1 or (hosts is not None and host.lower() not in hosts):
        return 421
    if given.get("origin", f"http://{host}") != f"http://{host}":
        return 403
    if not secrets.compare_digest(path.split("/")[1].encode() if "/" in path else b"", token.encode()):
        return 403
    if method not in ("GET", "HEAD"):
        return 405
    if given.get("content-length", "0") != "0" or "transfer-encoding" in given:
        return 413
    return 200 if path in found else 404


_WORDS = {
    403: "This page is not for you: open the address that aevb explore printed.\n",
    404: "There is nothing here.\n",
    405: "Only GET and HEAD are answered.\n",
    413: "A request has no body here.\n",
    421: "This is not the host that you asked for.\n",
    431: "The head of this request is too long.\n",
}


def _safeguards(page: Page) -> dict[str, str]:
    policy = {"content-security-policy": page.policy} if page.policy else {}
    return policy | {
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def serve(runs: Sequence[tuple[RunFolder, Dataset]], host: str, port: int, ready: Callable[[str], object]) -> None:
    """Hand the page out until Ctrl-C.

    Args:
        runs: one, or two to compare, each with the data it was trained on; on the CPU.
        host: a name or an address of this machine.
        port: 0 is any that is free.
        ready: called with the address of the page once it can be opened.

    Raises:
        BadInput: the extra `serve` is not installed, there is no such host, or the port is taken.
    """
    token = secrets.token_urlsafe(24)
    try:
        import starlette.responses  # noqa: F401  (which the application imports)
        import uvicorn
    except ImportError as error:
        raise BadInput("--serve needs starlette and uvicorn: pip install 'aevb[serve]'") from error
    with _bound(host, port) as bound:
        port = bound.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        hosts = None if host in ANYWHERE else [f"{name}:{port}".lower() for name in (*LOOPBACK, shown)]
        settings = uvicorn.Config(
            application(pages(runs, token), token, hosts),
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
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"cannot serve at {host}, port {port} ({reason}): give another --host or --port") from error
    return bound
