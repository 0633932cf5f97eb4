"""The served page: it works, and whoever should not see it does not."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aevb.cli.app import main
from aevb.config.schema import Config
from aevb.data import load_data
from aevb.workflow.fitting import fit_run
from tests.explorer.browser import chromium, until

pytestmark = pytest.mark.slow
RATE, SECONDS = 200, 30
"""Of the long test."""


class Served(NamedTuple):
    """A server at work.

    Attributes:
        process: `aevb explore --serve`.
        port: where it listens.
        token: the first part of each path.
    """

    process: subprocess.Popen[str]
    port: int
    token: str

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **heads: str) -> int:
        """The status of a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): value for name, value in heads.items()}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in named.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        reply.read()
        connection.close()
        return reply.status

    def send(self, raw: bytes) -> bytes:
        """What comes back for bytes that may be no request."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(raw)
            return connection.recv(100)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "run"
    content = {"model": {"hidden": (8,)}, "train": {"epochs": 1}}
    fit_run(Config.model_validate(content), folder, load_data("digits"))
    words = [sys.executable, "-m", "aevb", "explore", str(folder), "--serve", "--no-open"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    found = re.fullmatch(r"serving http://127\.0\.0\.1:(\d+)/([\w-]{32})/ until Ctrl-C\n", process.stdout.readline())
    assert found
    yield Served(process, int(found[1]), found[2])
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=20) in (0, 130)


def test_the_page_works_from_a_server(served: Served) -> None:
    with chromium() as browser:
        page = browser.new_context().new_page()
        asked, complaints = list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{served.port}/{served.token}/")
        until(page, "document.documentElement.dataset.ready === 'true'", 30)
        assert complaints == []
        own = f"http://127.0.0.1:{served.port}/{served.token}/"
        assert all(address.startswith((own, "data:", "blob:")) for address in asked)
        assert any(address.endswith("decoder.onnx") for address in asked)
        until(page, "aevb.explorers[0].model.decoder.times.length > 0")


def test_the_owner_is_answered(served: Served) -> None:
    for path in ("", "files/ort.wasm", "config-0.json"):
        assert served.ask(f"/{served.token}/{path}") == 200
        assert served.ask(f"/{served.token}/{path}", "HEAD") == 200
    assert served.ask(f"/{served.token}/", Host=f"localhost:{served.port}") == 200
    assert served.ask(f"/{served.token}/", Origin=f"http://127.0.0.1:{served.port}") == 200


def test_without_the_token_there_is_nothing(served: Served) -> None:
    wrong = ("x" * 32, served.token[:-1], served.token + "x", served.token.swapcase(), "", "%C3%A9", "files")
    for token in wrong:
        assert served.ask(f"/{token}/") == 403
    assert served.ask("/") == 403
    assert served.ask(f"/?token={served.token}") == 403
    assert served.ask(f"//{served.token}/") == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "localhost.:{port}"]
)
def test_another_host_is_refused(served: Served, host: str) -> None:
    assert served.ask(f"/{served.token}/", Host=host.format(port=served.port)) == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1:{port}", "null", "http://127.0.0.1:1"])
def test_another_origin_is_refused(served: Served, origin: str) -> None:
    assert served.ask(f"/{served.token}/", Origin=origin.format(port=served.port)) == 403


@pytest.mark.parametrize(
    "path",
    [
        "files/../../config.json",
        "files/..%2f..%2f..%2fetc%2fpasswd",
        "files/%2e%2e/%2e%2e/etc/passwd",
        "../config.json",
        "/etc/passwd",
        "files/",
        "files/..\\..\\config.json",
        "config.json",
        "files/ort.wasm%00.png",
    ],
)
def test_paths_outside_lead_nowhere(served: Served, path: str) -> None:
    assert served.ask(f"/{served.token}/{path}") == 404


def test_other_methods_bodies_and_long_heads_are_refused(served: Served) -> None:
    page = f"/{served.token}/"
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert served.ask(page, method) == 405
    assert served.ask(page, body=b"x" * 10) == 413
    assert served.ask(page, Transfer_Encoding="chunked", body=None) in (400, 413)
    assert served.ask(page, X_Long="x" * 40_000) in (400, 431)
    assert served.ask(page + "x" * 40_000) in (400, 431)


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_malformed_is_refused_and_harms_nobody(served: Served, raw: bytes) -> None:
    assert re.match(rb"HTTP/1\.1 4\d\d ", served.send(raw))
    assert served.ask(f"/{served.token}/") == 200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "no.such.host.invalid"], "cannot serve at no.such.host.invalid"),
        (["--port", "TAKEN"], "pass another --host or --port"),
        (["--port", "70000"], "--port"),
    ],
)
def test_bad_places_are_refused(
    served: Served, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"model": {"hidden": (4,)}, "train": {"epochs": 1}}
    fit_run(Config.model_validate(content), tmp_path / "run", load_data("digits"))
    given = [str(served.port) if word == "TAKEN" else word for word in words]
    with pytest.raises(SystemExit) as ended:
        main(["explore", str(tmp_path / "run"), "--serve", "--no-open", *given])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


CLIENT = """
import http.client, json, sys, time
port, token, rate, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
paths = [f"/{token}/", f"/{token}/files/0/decoder.onnx", f"/{token}/config-0.json", "/wrong/"]
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
start, statuses = time.monotonic(), {}
for number in range(int(rate * seconds)):
    time.sleep(max(0.0, start + number / rate - time.monotonic()))
    connection.request("GET", paths[number % 4])
    reply = connection.getresponse()
    reply.read()
    statuses[reply.status] = statuses.get(reply.status, 0) + 1
print(json.dumps({"statuses": statuses, "seconds": time.monotonic() - start}))
"""


@pytest.mark.slow
def test_200_requests_a_second_for_30_seconds_fail_in_nothing_and_grow_nothing(served: Served) -> None:
    def asked(seconds: float) -> dict[str, object]:
        words = [sys.executable, "-c", CLIENT, str(served.port), served.token, str(RATE), str(seconds)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        content: dict[str, object] = json.loads(done.stdout)
        return content

    asked(5)  # until everything is loaded
    before = resident(served.process.pid)
    found = asked(SECONDS)
    assert found["statuses"] == {"200": RATE * SECONDS * 3 // 4, "403": RATE * SECONDS // 4}
    assert isinstance(found["seconds"], float)
    assert found["seconds"] < SECONDS * 1.1
    assert resident(served.process.pid) < before + 2**20
    time.sleep(0.1)
    assert served.process.poll() is None


def resident(process: int) -> int:
    """Bytes in memory."""
    words = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", words)
    assert found
    return 1024 * int(found[1])
