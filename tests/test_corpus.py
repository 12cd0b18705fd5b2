"""corpus: checked by hand, by counting, by a chi-square test, and against a small web server of this test."""

import contextlib
import errno
import hashlib
import http.server
import json
import os
import random
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from letters import BYTES, SHARED

from minigpt import corpus
from minigpt.batches import DocumentBatches, WindowBatches, evaluation_batches
from minigpt.corpus import Corpus
from minigpt.io import files
from minigpt.io.download import PublicText
from minigpt.tokenizer import ENDOFTEXT, Tokenizer, train_bpe

# --- documents as ids -----------------------------------------------------------------------------------------------


def test_documents_come_back(documents, encoded):
    assert len(encoded) == 300 and encoded.n_tokens == sum(len(text.encode()) for text in documents)
    assert [BYTES.decode(encoded.document(i)) for i in range(300)] == documents
    assert encoded.ids.dtype == np.uint16 and encoded.offsets.dtype == np.int64
    assert encoded.lengths.tolist() == [len(text) for text in documents]


def test_large_vocabularies_get_larger_integers():
    ranks = dict(BYTES.ranks)
    for i in range(2**16):
        ranks[b"%05d" % i] = len(ranks)
    large = Tokenizer(ranks)
    ids = corpus.encode(["65535"], large).ids
    assert ids.dtype == np.uint32 and large.decode(ids) == "65535"


def test_packed_is_documents_with_an_end_after_each(documents, encoded):
    stream = encoded.packed(BYTES.endoftext)
    assert BYTES.decode(stream) == "".join(text + ENDOFTEXT for text in documents)


@pytest.mark.parametrize(
    ("texts", "message"),
    [([], "got none"), (["a", "", "b"], "document 1 is empty"), ("abc", r"\[text\]"), ([None], "NoneType")],
)
def test_bad_documents(texts, message):
    with pytest.raises(ValueError, match=message):
        corpus.encode(texts, BYTES)


@pytest.mark.parametrize(
    ("ids", "offsets", "message"),
    [
        ([1, 2], [0, 1], "from 0 to 2"),
        ([1, 2], [1, 2], "from 0 to 2"),
        ([1, 2], [0, 2, 1, 2], "never decrease"),
        ([1.0, 2.0], [0, 2], "whole numbers"),
        ([[1, 2]], [0, 1], "1-dimensional"),
        ([-1, 2], [0, 2], "at least 0, got -1"),
    ],
)
def test_bad_arrays(ids, offsets, message):
    with pytest.raises(ValueError, match=message):
        Corpus(np.array(ids), np.array(offsets))


def test_a_corpus_without_documents():
    with pytest.raises(ValueError, match="at least one document"):
        Corpus(np.array([], dtype=np.uint16), np.array([0]))


def test_documents_that_are_not_there(encoded):
    for i in (-1, 300):
        with pytest.raises(ValueError, match=f"from 0 to 299, got {i}"):
            encoded.document(i)


# --- the reader's own text ------------------------------------------------------------------------------------------


def test_a_file_and_a_folder(tmp_path):
    (tmp_path / "b.txt").write_bytes("\ufeffun été\r\nà Paris\r".encode())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.MD").write_bytes(b"# a\n")
    (tmp_path / "picture.png").write_bytes(b"\xff")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "b-checkpoint.txt").write_bytes(b"second copy")
    assert corpus.read_text(tmp_path / "b.txt") == ["un été\nà Paris\n"]
    assert corpus.read_text(str(tmp_path)) == ["un été\nà Paris\n", "# a\n"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("première\nété".encode("latin-1"), r"byte 0xe8 at position 5 \(line 1\)"),
        (b"ok\nok\ncaf\xe9 ", r"byte 0xe9 at position 9 \(line 3\)"),
        ("\ufeffok ".encode() + b"\xff", r"byte 0xff at position 6 \(line 1\)"),
        ("text".encode("utf-16"), "looks like UTF-16"),
        (b"", "empty"),
        (b" \n\t\n", "empty"),
    ],
)
def test_bad_bytes_are_reported_with_their_place(tmp_path, data, message):
    (tmp_path / "mine.txt").write_bytes(data)
    for path in (tmp_path / "mine.txt", tmp_path):
        with pytest.raises(ValueError, match=message) as caught:
            corpus.read_text(path)
        assert "mine.txt" in str(caught.value)


def test_nothing_to_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.txt"):
        corpus.read_text(tmp_path / "nowhere.txt")
    with pytest.raises(ValueError, match="found none"):
        corpus.read_text(tmp_path)


@pytest.mark.parametrize("path", ["", None, 3, b"x"])
def test_no_path_at_all(path):
    with pytest.raises(ValueError, match="expected the path of a text"):
        corpus.read_text(path)


def test_the_home_folder_and_a_windows_path_in_plain_quotes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    assert corpus.read_text("~/a.txt") == corpus.read_text(Path("~") / "a.txt") == ["a"]
    with pytest.raises(FileNotFoundError, match=r'Python read as .*Write r"C:.*an r before the quotes'):
        corpus.read_text("C:\texts\new.txt")
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder [^,]*nowhere$"):
        corpus.read_text(tmp_path / "nowhere")


# --- token files ----------------------------------------------------------------------------------------------------


def test_save_and_open(encoded, tmp_path):
    corpus.save(encoded, tmp_path / "a" / "b", BYTES)
    opened = corpus.open_(tmp_path / "a" / "b", BYTES)
    assert isinstance(opened.ids, np.memmap) and opened.ids.dtype == np.uint16
    np.testing.assert_array_equal(opened.ids, encoded.ids)
    np.testing.assert_array_equal(opened.offsets, encoded.offsets)
    for step in (0, 5, 1000):
        ours, theirs = (DocumentBatches(c, BYTES, 40)[step] for c in (encoded, opened))
        np.testing.assert_array_equal(ours, theirs)


def test_a_mapped_file_is_not_read_into_memory(tmp_path):
    large = Corpus(np.zeros(4_000_000, np.uint16), np.array([0, 4_000_000]), BYTES.fingerprint)
    corpus.save(large, tmp_path, BYTES)
    del large
    tracemalloc.start()
    batches = WindowBatches(corpus.open_(tmp_path, BYTES).ids, 64, 8)
    assert batches[3][0].shape == (8, 64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000  # the file has 8 MB; a check of its SHA-256 reads 1 MB at a time


def test_saving_again_replaces_and_clears_up(encoded, tmp_path):
    corpus.save(encoded, tmp_path, BYTES)
    corpus.save(corpus.encode(["other"], BYTES), tmp_path, BYTES)
    assert BYTES.decode(corpus.open_(tmp_path, BYTES).ids) == "other"
    assert len(list(tmp_path.iterdir())) == 3


def test_files_of_the_reader_stay(encoded, tmp_path):
    corpus.save(encoded, tmp_path, BYTES)
    foreign = ["ids-mine.npy", "offsets-0123456789ab.npy", "ids-000000000000.npy", "a.tmp"]
    for name in foreign:
        (tmp_path / name).write_bytes(b"of the reader")
    corpus.save(corpus.encode(["other"], BYTES), tmp_path, BYTES)
    assert all((tmp_path / name).read_bytes() == b"of the reader" for name in foreign)
    assert len(list(tmp_path.iterdir())) == len(foreign) + 3
    for data in (b'{"files": {"ids": {"file": "../x"}}}', b"[]", b"notes", b"[" * 100_000):
        (tmp_path / "corpus.json").write_bytes(data)
        with pytest.raises(ValueError, match="was not written by this book"):
            corpus.save(encoded, tmp_path, BYTES)
        assert (tmp_path / "corpus.json").read_bytes() == data


def test_another_tokenizer(encoded, tmp_path):
    other = train_bpe(["ab ab ab"], 300)
    corpus.save(encoded, tmp_path, BYTES)
    for use in (
        lambda: corpus.open_(tmp_path, other),
        lambda: corpus.save(encoded, tmp_path / "new", other),
        lambda: DocumentBatches(encoded, other, 40),
        lambda: evaluation_batches(encoded, other, 40),
    ):
        with pytest.raises(ValueError, match="another tokenizer"):
            use()
    assert not (tmp_path / "new").exists()


def test_unknown_ids():
    for unknown in (BYTES.endoftext, 9999):
        with pytest.raises(ValueError, match=f"below 256, got {unknown}"):
            DocumentBatches(Corpus(np.array([1, unknown]), np.array([0, 2])), BYTES, 8)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink])
@pytest.mark.parametrize("name", ["ids-*.npy", "offsets-*.npy", "corpus.json"])
def test_damaged_files(encoded, tmp_path, damage, name):
    corpus.save(encoded, tmp_path, BYTES)
    [path] = tmp_path.glob(name)
    damage(path)
    missing = name == "corpus.json" and damage is Path.unlink
    error, message = (FileNotFoundError, "no corpus.json") if missing else (ValueError, "damaged.*make it again")
    with pytest.raises(error, match=message):
        corpus.open_(tmp_path, BYTES)


def test_json_of_another_kind(tmp_path):
    for about in ([], {}, {"tokenizer": BYTES.fingerprint, "files": 3}):
        (tmp_path / "corpus.json").write_text(json.dumps(about), encoding="utf-8")
        with pytest.raises(ValueError, match="damaged"):
            corpus.open_(tmp_path, BYTES)


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_full_disk_loses_nothing(encoded, tmp_path, monkeypatch, fails_at):
    corpus.save(encoded, tmp_path, BYTES)
    before, calls = sorted(tmp_path.iterdir()), []

    def full(number):
        calls.append(number)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="cannot write .*free some space") as caught:
        corpus.save(corpus.encode(["other"], BYTES), tmp_path, BYTES)
    assert caught.value.errno == errno.ENOSPC and len(calls) == fails_at
    assert set(before) <= set(tmp_path.iterdir()) and not list(tmp_path.glob(".minigpt*"))
    np.testing.assert_array_equal(corpus.open_(tmp_path, BYTES).ids, encoded.ids)


def test_a_folder_that_may_not_be_written_to(encoded, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot write .*a file is in the way: choose another folder"):
        corpus.save(encoded, tmp_path / "file" / "corpus", BYTES)


# --- public texts ---------------------------------------------------------------------------------------------------

TEXT = random.Random(4).randbytes(200_000)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves TEXT; `server.plan` says how the next answers behave, `server.asked` records the Range headers."""

    def do_GET(self):
        plan = self.server.plan.pop(0) if self.server.plan else {}
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if "status" in plan:
            self.send_error(plan["status"])
            return
        body = plan.get("body", TEXT)
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and plan.get("ranges", True) else 0
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if plan.get("length", True):
            self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the reader has hung up
            self.wfile.write(body[first : plan.get("dies_at", len(body))])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    text = PublicText("http://unused.invalid", hashlib.sha256(TEXT).hexdigest(), len(TEXT), "made here")
    monkeypatch.setattr(corpus, "PUBLIC", {"noise": text})
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.plan, running.asked = [], []
        running.url = f"http://127.0.0.1:{running.server_port}/noise.txt"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(server, folder, **options):
    return corpus.fetch("noise", folder, url=server.url, timeout=5, **options)


def left_in(folder):
    return {file.name for file in folder.iterdir()} - {"noise.txt.lock"}


def test_a_text_is_fetched_once(server, tmp_path):
    path = fetch(server, tmp_path / "cache")
    assert path == tmp_path / "cache" / "noise.txt" and path.read_bytes() == TEXT
    assert fetch(server, tmp_path / "cache") == path
    assert server.asked == [None] and left_in(tmp_path / "cache") == {"noise.txt"}


def test_the_cache_folder_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    assert corpus.fetch("noise", url=server.url) == tmp_path / "noise.txt"


def test_a_cut_download_goes_on(server, tmp_path):
    server.plan = [{"dies_at": 90_000}, {"dies_at": 150_000}]
    assert fetch(server, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=90000-", "bytes=150000-"]


def test_a_cut_download_goes_on_another_day(server, tmp_path):
    server.plan = [{"dies_at": 90_000}]
    with pytest.raises(ConnectionError, match="90,000 of 200,000 bytes have arrived and are kept"):
        fetch(server, tmp_path, tries=1)
    assert left_in(tmp_path) == {"noise.txt.part"}
    assert fetch(server, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=90000-"] and left_in(tmp_path) == {"noise.txt"}


@pytest.mark.parametrize("length", [True, False])
def test_a_server_that_cannot_start_in_the_middle(server, tmp_path, length):
    server.plan = [{"dies_at": 90_000, "length": length}, {"ranges": False, "length": length}]
    assert fetch(server, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=90000-"]


def test_a_part_that_was_complete_needs_no_network(server, tmp_path):
    (tmp_path / "noise.txt.part").write_bytes(TEXT)
    assert fetch(server, tmp_path).read_bytes() == TEXT and server.asked == []


@pytest.mark.parametrize("length", [True, False])
def test_the_wrong_text_is_deleted_and_never_used(server, tmp_path, length):
    server.plan = [{"body": bytes(len(TEXT)), "length": length}]
    with pytest.raises(ValueError, match="not the file that was expected: sha256.*deleted and not used"):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == set()


def test_a_log_in_page_is_not_mistaken_for_the_text(server, tmp_path):
    server.plan = [{"dies_at": 90_000}, {"body": b"<html>please log in</html>", "ranges": False}]
    with pytest.raises(ValueError, match="another file .26 bytes, expected 200000.: perhaps a log-in page"):
        fetch(server, tmp_path)
    assert (tmp_path / "noise.txt.part").read_bytes() == TEXT[:90_000]


def test_a_text_without_end_is_cut_off(server, tmp_path):
    server.plan = [{"body": TEXT * 20, "length": False}]
    with pytest.raises(ValueError, match="sends more than the 200,000 bytes that were expected"):
        fetch(server, tmp_path)
    assert left_in(tmp_path) == set()


def test_errors_of_the_server(server, tmp_path):
    server.plan = [{"status": 503}]
    assert fetch(server, tmp_path / "a").read_bytes() == TEXT
    server.plan = [{"status": 404}] * 3
    with pytest.raises(ConnectionError, match="404"):
        fetch(server, tmp_path / "b")


def test_without_a_network(server, tmp_path):
    server.url = "http://127.0.0.1:9/closed"
    with pytest.raises(
        ConnectionError, match="could not fetch.*by hand to .*noise.txt. The story world needs no network"
    ):
        fetch(server, tmp_path)
    (tmp_path / "noise.txt").write_bytes(TEXT)
    assert fetch(server, tmp_path).read_bytes() == TEXT  # copied by hand, as the message says


def test_a_damaged_file_is_explained_and_fetched_again(server, tmp_path):
    (tmp_path / "noise.txt").write_bytes(TEXT[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        path = fetch(server, tmp_path)
    assert path.read_bytes() == TEXT


def test_two_notebooks_at_once(server, tmp_path):
    threads = [threading.Thread(target=fetch, args=(server, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [None] and (tmp_path / "noise.txt").read_bytes() == TEXT


def test_a_cache_folder_that_may_not_be_written_to(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot write .*a file is in the way: choose another folder"):
        fetch(server, tmp_path / "file" / "cache")


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match=r"among \['tinyshakespeare'\], got 'war and peace'"):
        corpus.fetch("war and peace", tmp_path)


def test_the_table_of_public_texts():
    for text in corpus.PUBLIC.values():
        assert text.url.startswith("https://") and len(text.sha256) == 64 and text.n_bytes > 0 and text.licence


@pytest.mark.skipif(not SHARED.exists(), reason="tinyshakespeare.txt lies beside the checkout on some machines only")
def test_the_table_describes_the_real_file():
    data = SHARED.read_bytes()
    assert corpus.PUBLIC["tinyshakespeare"].n_bytes == len(data)
    assert corpus.PUBLIC["tinyshakespeare"].sha256 == hashlib.sha256(data).hexdigest()


def test_unsigned_offsets_that_decrease():
    with pytest.raises(ValueError, match="never decrease"):
        Corpus(np.arange(4, dtype=np.uint16), np.array([0, 3, 2, 4], dtype=np.uint64))
