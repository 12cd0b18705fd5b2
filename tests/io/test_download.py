"""io.download against a web server of this test that behaves in every wrong way a server can."""

import contextlib
import errno
import hashlib
import http.server
import os
import random
import socket
import threading

import pytest

from minigpt.io import download as module
from minigpt.io import files
from minigpt.io.download import download

DATA = random.Random(4).randbytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
GIT = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """`plan` says how each of the next answers behaves; `asked` records the Range headers."""

    def do_GET(self):
        plan = self.server.plan.pop(0) if self.server.plan else {}
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        body = plan.get("body", DATA)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and plan.get("ranges", True) else 0
        headers = {"Content-Length": str(len(body) - first), "ETag": plan.get("etag", "")}
        status = 206 if first else 200
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        if first and first >= len(body):
            status, first, headers["Content-Range"] = 416, len(body), f"bytes */{len(body)}"
            headers["Content-Length"] = "0"
        if "to" in plan:
            status, headers["Location"], body = 302, plan["to"], b""
            headers["Content-Length"] = "0"
        headers |= plan.get("headers", {})
        self.send_response(plan.get("status", status))
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the reader has hung up
            self.wfile.write(body[first : plan.get("dies_at", len(body))])
            if plan.get("reset"):
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def do_HEAD(self):
        self.server.asked.append("HEAD")
        self.send_error(501)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.plan, running.asked = [], []
        running.url = f"http://127.0.0.1:{running.server_port}/data"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def left(folder):
    return {path.name for path in folder.iterdir()}


def get(server, folder, **options):
    options = {"sha256": SHA, "n_bytes": len(DATA)} | options
    assert download(server.url, folder / "data", timeout=5, **options) == SHA
    assert (folder / "data").read_bytes() == DATA and left(folder) == {"data"}


@pytest.mark.parametrize("n_bytes", [len(DATA), None])
@pytest.mark.parametrize(
    "plan", [{"etag": f'"{SHA}"'}, {"etag": f'W/"{GIT}"'}, {"headers": {"X-Linked-ETag": f'"{SHA}"'}}]
)
def test_with_the_hash_that_the_server_sends(server, tmp_path, n_bytes, plan):
    server.plan = [plan | {"dies_at": 100_000}, plan | {"dies_at": 210_001}, plan]
    get(server, tmp_path, sha256=None, n_bytes=n_bytes)
    assert server.asked == [None, "bytes=100000-", "bytes=210001-"]  # and no HEAD: there are servers without it


def test_the_hash_may_come_with_a_redirect(server, tmp_path):
    linked = {"X-Linked-ETag": f'"{SHA}"', "X-Linked-Size": str(len(DATA))}
    server.plan = [
        {"to": "/elsewhere", "headers": linked, "etag": '"0"'},
        {"etag": f'"{hashlib.md5(DATA).hexdigest()}"'},
    ]
    get(server, tmp_path, sha256=None, n_bytes=None)
    server.plan = [{"to": "/elsewhere", "headers": {"X-Linked-ETag": "ab" * 32}}]
    with pytest.raises(ValueError, match=f"not the file that was expected: sha256 {SHA}, expected sha256 abab"):
        download(server.url, tmp_path / "other", timeout=5)
    assert left(tmp_path) == {"data"}


def test_without_any_hash_nothing_is_fetched(server, tmp_path):
    with pytest.raises(ValueError, match="sends no hash"):
        download(server.url, tmp_path / "data", n_bytes=len(DATA))
    assert left(tmp_path) == set()


def test_a_finished_part_is_recognised(server, tmp_path):
    """Killed between the last byte and the check: with size and hash no request, else one that brings no byte."""
    (tmp_path / "data.part").write_bytes(DATA)
    get(server, tmp_path)
    assert server.asked == []
    (tmp_path / "data").rename(tmp_path / "data.part")
    server.plan = [{"etag": SHA}]
    get(server, tmp_path, sha256=None, n_bytes=None)
    assert server.asked == [f"bytes={len(DATA)}-"]


@pytest.mark.parametrize("junk", [b"x", b"x" * 1000, b"x" * len(DATA), b"x" * (len(DATA) + 1), DATA[:-1] + b"x"])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_left_over_part_of_junk_costs_one_more_request_and_no_error(server, tmp_path, junk, pinned):
    (tmp_path / "data.part").write_bytes(junk)
    server.plan = [{"etag": SHA}] * 5
    get(server, tmp_path, **({} if pinned else {"sha256": None, "n_bytes": None}))
    assert len(server.asked) <= 3


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"},
        {"Content-Range": f"bytes 100001-{len(DATA) - 1}/{len(DATA)}"},
        {"Content-Range": f"bytes 100000x-{len(DATA) - 1}/{len(DATA)}"},
        {"Content-Range": ""},
    ],
)
def test_another_part_than_asked_for_is_not_put_behind_what_is_there(server, tmp_path, headers):
    server.plan = [{"dies_at": 100_000}, {"headers": headers}]
    get(server, tmp_path)
    assert server.asked == [None, "bytes=100000-", None]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_server_that_cannot_start_in_the_middle(server, tmp_path, ranges):
    server.plan = [{"dies_at": 100_000}, {"ranges": ranges}]
    get(server, tmp_path)


def test_nothing_that_has_arrived_is_lost(server, tmp_path):
    """A line that breaks after every 20,000 bytes gets on all the same."""
    server.plan = [{"dies_at": i * 20_000} for i in range(1, 15)]
    get(server, tmp_path, tries=20)
    assert server.asked == [None, *(f"bytes={i * 20_000}-" for i in range(1, 15))]


def test_a_connection_that_is_reset(server, tmp_path):
    server.plan = [{"dies_at": 150_000, "reset": True}]
    get(server, tmp_path)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Length": "many"}, "Content-Length: 'many', expected a number of bytes"),
        ({"Content-Length": "-5"}, "Content-Length: '-5', expected a number of bytes"),
        ({"X-Linked-Size": "1e6"}, "X-Linked-Size: '1e6', expected a number of bytes"),
        ({"Content-Length": "9" * 30}, "expected a number of bytes"),
        ({"Content-Length": "26"}, "another file .26 bytes, expected 300000.: perhaps a log-in page"),
    ],
)
def test_garbage_in_the_headers_is_said_in_words(server, tmp_path, headers, message):
    server.plan = [{"headers": headers}]
    with pytest.raises(ValueError, match=message):
        download(server.url, tmp_path / "data", sha256=SHA, n_bytes=len(DATA))
    assert left(tmp_path) == set()


def test_an_answer_without_end_is_stopped(server, tmp_path):
    for options in ({"n_bytes": len(DATA)}, {"max_bytes": len(DATA)}):
        server.plan = [{"body": DATA * 40, "headers": {"Content-Length": ""}}]
        with pytest.raises(ValueError, match="sends more than the 300,000 bytes"):
            download(server.url, tmp_path / "data", sha256=SHA, **options)
        assert left(tmp_path) == set()
    with pytest.raises(ValueError, match="has 300,000 bytes, more than the 299,999 that were allowed"):
        download(server.url, tmp_path / "data", sha256=SHA, max_bytes=299_999)
    get(server, tmp_path, n_bytes=None, max_bytes=300_000)


def test_errors_of_the_server(server, tmp_path):
    server.plan = [{"status": 503}, {"status": 500}]
    get(server, tmp_path)
    server.plan, server.asked = [{"status": 404}] * 3, []
    with pytest.raises(ConnectionError, match="404.* 0 bytes have arrived"):
        download(server.url, tmp_path / "b", sha256=SHA)
    assert len(server.asked) == 1  # asking again would not help


def test_without_a_network_what_has_arrived_is_kept(server, tmp_path):
    server.plan = [{"dies_at": 90_000}]
    with pytest.raises(
        ConnectionError, match="ended early. 90,000 of 300,000 bytes have arrived and are kept.*by hand"
    ):
        download(server.url, tmp_path / "data", sha256=SHA, n_bytes=len(DATA), tries=1)
    for url in ("http://127.0.0.1:9/closed", "http://nowhere.invalid/"):
        with pytest.raises(ConnectionError, match="could not fetch.*90,000 of 300,000 bytes"):
            download(url, tmp_path / "data", sha256=SHA, n_bytes=len(DATA), tries=1, timeout=2)
    get(server, tmp_path)
    assert server.asked == [None, "bytes=90000-"]


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://a/b", "data:,x", "hostname", ""])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(ValueError, match="http:// or https://"):
        download(url, tmp_path / "data", sha256=SHA)


def test_a_redirect_to_a_file_is_refused(server, tmp_path):
    server.plan = [{"to": "file:///etc/hostname"}] * 3
    with pytest.raises(ConnectionError, match="not allowed"):
        download(server.url, tmp_path / "data", sha256=SHA)


class _Full:
    """A file on a disk that takes 100,000 bytes and no more."""

    def __init__(self, path, mode):
        self.file = open(path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, block):
        if self.file.tell() + len(block) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.file.write(block)

    def flush(self):
        self.file.flush()


def test_a_full_disk_is_not_taken_for_a_broken_network(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "open", _Full, raising=False)
    with pytest.raises(OSError, match="cannot write .*data.part: the disk is full: free some space") as caught:
        download(server.url, tmp_path / "data", sha256=SHA, n_bytes=len(DATA))
    assert caught.value.errno == errno.ENOSPC and not isinstance(caught.value, ConnectionError)
    assert len(server.asked) == 1
    kept = (tmp_path / "data.part").read_bytes()
    assert len(kept) > 30_000 and kept == DATA[: len(kept)]
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    get(server, tmp_path)
    assert server.asked[1] == f"bytes={len(kept)}-"


def test_a_part_that_is_a_link_is_not_written_through(server, tmp_path):
    (tmp_path / "mine.txt").write_bytes(b"mine")
    (tmp_path / "data.part").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(ValueError, match="data.part is a symbolic link"):
        download(server.url, tmp_path / "data", sha256=SHA)
    assert (tmp_path / "mine.txt").read_bytes() == b"mine" and server.asked == []


def test_a_folder_in_the_way(server, tmp_path):
    (tmp_path / "data.part").mkdir()
    with pytest.raises(OSError, match="cannot (read|write) .*data.part"):
        download(server.url, tmp_path / "data", sha256=SHA)


def test_only_one_at_a_time(tmp_path):
    inside, most = [], []

    def work():
        with module.only_one(tmp_path / "new" / "data"):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="a file is in the way"), module.only_one(tmp_path / "file" / "data"):
        pass


def test_checksums_by_hashlib(tmp_path):
    (tmp_path / "a").write_bytes(DATA)
    assert files.sha256(tmp_path / "a") == SHA
    assert module._digest(tmp_path / "a", "git:") == f"git:{GIT}"
