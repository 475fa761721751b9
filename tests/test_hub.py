"""Models from the Hugging Face hub, against a small stand-in of it on loopback: what arrives, what is refused,
what an interruption leaves, and that what was pulled computes what transformers computes. Uses no network.
"""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import torch

import glaswerk as gw
from glaswerk import hub
from glaswerk.cli.main import dispatch
from glaswerk.errors import GlaswerkError
from glaswerk.progress import Progress
from glaswerk.pull import pull
from glaswerk.tokenizer import train_bpe

pytest.importorskip("huggingface_hub")
transformers = pytest.importorskip("transformers")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: what the stand-in keeps in "git"; larger files are "LFS" and come from another host, as on the real hub
GIT_LIMIT = 60_000


class StandIn:
    """The two routes of the hub that are used, and the second host that large files come from.

    ``files``: the model's; ``change(answer, path, headers)`` may send another answer and return True.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.commit = COMMIT
        self.facts: dict[str, Any] = {"cardData": {"license": "mit"}}
        self.change: Callable[[Answer, str], bool] = lambda answer, path: False
        self.asked: list[tuple[str, str, dict[str, str]]] = []  # host kind, path, headers
        self.main, self.cdn = (ThreadingHTTPServer(("127.0.0.1", 0), Answer) for _ in "mc")
        for server, kind in ((self.main, "hub"), (self.cdn, "cdn")):
            server.stand_in, server.kind = self, kind
            server.daemon_threads = True
            server.handle_error = lambda *_: None  # the other side hung up, as it often does here
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, server: ThreadingHTTPServer) -> str:
        return f"http://127.0.0.1:{server.server_port}"

    def close(self) -> None:
        for server in (self.main, self.cdn):
            server.shutdown()
            server.server_close()

    def siblings(self) -> list[dict[str, Any]]:
        listed = []
        for name, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            one: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
            if len(data) > GIT_LIMIT:
                sha256 = hashlib.sha256(data).hexdigest()
                one |= {"blobId": "f" * 40, "lfs": {"sha256": sha256, "size": len(data), "pointerSize": 134}}
            listed.append(one)
        return listed

    def paths(self, host: str = "hub") -> list[str]:
        return [path for kind, path, _ in self.asked if kind == host]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        here: StandIn = self.server.stand_in
        kind: str = self.server.kind
        path = unquote(urlsplit(self.path).path)
        here.asked.append((kind, path, {key.lower(): value for key, value in self.headers.items()}))
        if here.change(self, path):
            return
        if kind == "cdn":
            self.file(next(data for data in here.files.values() if hashlib.sha256(data).hexdigest() == path[1:]))
        elif path == "/api/models/org/small" or path.startswith("/api/models/org/small/revision/"):
            if path.endswith("/nowhere"):
                self.error(404, "RevisionNotFound")
            else:
                self.json({"sha": here.commit, "siblings": here.siblings(), **here.facts})
        elif path.startswith(f"/org/small/resolve/{here.commit}/"):
            data = here.files[path.rpartition("/")[2]]
            if len(data) > GIT_LIMIT:
                self.redirect(f"{here.url(here.cdn)}/{hashlib.sha256(data).hexdigest()}")
            else:
                self.file(data)
        else:
            self.error(404, "RepoNotFound")

    def send(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def json(self, value: Any) -> None:
        self.send(200, json.dumps(value).encode(), Content_Type="application/json")

    def error(self, status: int, code: str = "") -> None:
        self.send(status, b'{"error": "no"}', **({"X_Error_Code": code} if code else {}))

    def redirect(self, to: str) -> None:
        self.send(302, b"", Location=to)

    def file(self, data: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self.send(200, data)
            return
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start >= len(data):
            self.send(416)
        else:
            self.send(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")

    def cut(self, data: bytes, after: int) -> None:
        """Promise the rest of ``data``, send ``after`` bytes of it, hang up."""
        start = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[start : start + after])
        self.wfile.flush()
        self.close_connection = True


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    from huggingface_hub import constants, utils

    made = StandIn()
    monkeypatch.setenv("GLASWERK_HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(constants, "ENDPOINT", made.url(made.main))
    monkeypatch.setattr(hub, "PAUSES", (0.0, 0.0))
    utils.close_session()
    yield made
    made.close()
    utils.close_session()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A small random model with a tokenizer, saved by transformers: gpt2, llama, or llama in shards."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = folder = tmp_path_factory.mktemp(kind)
            torch.manual_seed(0)
            if kind == "gpt2":
                model = transformers.GPT2LMHeadModel(
                    transformers.GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4, n_positions=64)
                )
            else:
                model = transformers.LlamaForCausalLM(
                    transformers.LlamaConfig(
                        vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                    )
                )  # fmt: skip
            train_bpe(["to be or not to be"] * 5, 270).save(folder)
            model.save_pretrained(folder, max_shard_size="50kB" if kind == "shards" else "5GB")
        return made[kind]

    return make


@pytest.fixture
def small(stand_in: StandIn, checkpoint: Callable[[str], Path]) -> StandIn:
    """The stand-in with the small Llama, and files beside it that must never be asked for."""
    stand_in.files = contents(checkpoint("llama"))
    stand_in.files |= {
        "pytorch_model.bin": b"\x80\x02.", "modeling_small.py": b"raise SystemExit", "README.md": b"# small",
        "onnx/model.onnx": b"x", "model.fp16.safetensors": b"x", "model.safetensors.sh": b"x",
    }  # fmt: skip
    return stand_in


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wrong(name: str = "hf:org/small") -> str:
    """What a refused pull says; always one line, and nothing is installed."""
    with pytest.raises(GlaswerkError) as refused:
        hub.pull(name)
    said = str(refused.value)
    assert "\n" not in said and len(said) < 300 and "hf_secret" not in said
    assert not hub.is_pulled(name)
    return said


def where(part: str, do: Callable[[Answer], object]) -> Callable[[Answer, str], bool]:
    """A change of the stand-in: where ``hub:`` or ``cdn:`` and the path begin with ``part``, it answers with ``do``."""
    return lambda answer, path: f"{answer.server.kind}:{path}".startswith(part) and (do(answer), True)[1]


def weights_of(small: StandIn) -> bytes:
    return small.files["model.safetensors"]


# ---------------------------------------------------------------------------------------------- what arrives
@pytest.mark.parametrize("kind", ["gpt2", "llama", "shards"])
def test_what_was_pulled_computes_what_transformers_computes(
    kind: str, stand_in: StandIn, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(kind)
    stand_in.files = contents(folder)
    pull("hf:org/small")
    stand_in.close()  # from here on there is no hub
    opened = gw.load("hf:org/small")
    ids = torch.tensor([opened.tokenizer.encode("to be or not, to be")])
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        expected, found = theirs(ids).logits, opened.model(ids)
    assert torch.allclose(found, expected, atol=1e-5 * expected.abs().max().item())
    assert opened.origin.folder == hub.path("hf:org/small")
    assert (len(list(opened.origin.folder.glob("*.safetensors"))) > 1) == (kind == "shards")


def test_only_data_is_asked_for_and_kept(small: StandIn) -> None:
    folder = hub.pull("hf:org/small")
    kept = {path.name for path in folder.iterdir()}
    assert kept == {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
        "manifest.json",
    }  # fmt: skip
    asked = {path.rpartition("/")[2] for path in small.paths() if "/resolve/" in path}
    assert asked == kept - {"manifest.json"}
    facts = hub.manifest("hf:org/small")
    assert (facts["commit"], facts["licence"], facts["revision"]) == (COMMIT, "mit", None)
    for file in facts["files"]:
        assert hashlib.sha256(small.files[file["path"]]).hexdigest() == file["sha256"]
    assert small.paths("cdn"), "the weights come from the second host"
    assert [path.name for path in folder.parent.iterdir() if path.name.endswith(".part")] == []


def test_the_token_stays_with_the_hub(small: StandIn) -> None:
    hub.pull("hf:org/small")
    tokens = {
        kind: {headers.get("authorization") for k, _, headers in small.asked if k == kind} for kind in ("hub", "cdn")
    }
    assert tokens == {"hub": {"Bearer hf_secret"}, "cdn": {None}}


def test_sizes_are_shown_before_anything_large_is_fetched(small: StandIn) -> None:
    class Listener(Progress):
        notes: list[tuple[str, int]] = []  # noqa: RUF012
        fetched = 0.0

        def note(self, line: str) -> None:
            self.notes.append((line, len(small.asked)))

        def advance(self, amount: float, **_: Any) -> None:
            self.fetched += amount

    listener = Listener()
    hub.pull("hf:org/small", listener)
    ((line, requests),) = listener.notes
    wanted = sum(len(small.files[file["path"]]) for file in hub.manifest("hf:org/small")["files"])
    assert requests == 1 and f"{wanted / 1e6:,.1f} MB" in line and COMMIT[:12] in line and "mit" in line
    assert abs(listener.fetched - wanted / 1e6) < 1e-9


def test_a_second_pull_asks_nobody_and_a_damaged_file_is_noticed_and_fetched_again(small: StandIn) -> None:
    folder = hub.pull("hf:org/small")
    asked = len(small.asked)
    assert hub.pull("hf:org/small") == folder and len(small.asked) == asked
    damaged = folder / "model.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(bytes(data))
    with pytest.raises(
        GlaswerkError, match=r"model\.safetensors is not the file that was pulled .*run `glaswerk pull hf:org/small`"
    ):
        gw.load("hf:org/small")
    (folder / "evil.py").write_text("raise SystemExit")
    small.asked.clear()
    hub.pull("hf:org/small")
    assert damaged.read_bytes() == weights_of(small) and not (folder / "evil.py").exists()
    assert {path.rpartition("/")[2] for path in small.paths() if "/resolve/" in path} == {"model.safetensors"}


def test_revisions_lie_side_by_side(small: StandIn) -> None:
    first = hub.pull("hf:org/small")
    small.commit = "f" * 40
    second = hub.pull("hf:org/small@refs/pr/1")
    assert "/api/models/org/small/revision/refs/pr/1" in small.paths()
    assert first != second and second.parent == first.parent
    assert hub.manifest("hf:org/small@refs/pr/1")["commit"] == "f" * 40
    assert hub.manifest("hf:org/small")["commit"] == COMMIT
    assert "no revision 'nowhere'" in wrong("hf:org/small@nowhere")


def test_the_verb(small: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["pull", "hf:org/small", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["pulled"][0]
    assert told["commit"] == COMMIT and not told["was_here"] and told["kind"] == "model"
    assert dispatch(["pull", "hf:org/small"]) == 0
    assert "already here" in capsys.readouterr().out
    assert dispatch(["chat", "hf:org/small", "--once", "to be?", "--max-tokens", "4", "--json"]) == 0
    assert "reply" in json.loads(capsys.readouterr().out)


def test_the_endpoint_is_the_environments(small: StandIn, python: Any, tmp_path: Path) -> None:
    environment = {"HF_ENDPOINT": small.url(small.main), "GLASWERK_HOME": str(tmp_path / "other")}
    done = python("-m", "glaswerk", "pull", "hf:org/small", **environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "other" / "pulled" / "hf" / "org--small" / "model.safetensors").exists()
    offline = python("-m", "glaswerk", "pull", "hf:org/small@other", **environment, HF_HUB_OFFLINE="1")
    assert offline.returncode == 1 and "HF_HUB_OFFLINE" in offline.stderr and offline.stderr.count("\n") == 1


def test_without_the_package_the_install_is_named(small: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'glaswerk[hub]'" in wrong()


# ---------------------------------------------------------------------------------------------- interruptions
def test_a_broken_connection_is_taken_up_where_it_broke(small: StandIn) -> None:
    data, ranges = weights_of(small), []

    def change(answer: Answer, path: str) -> bool:
        if answer.server.kind != "cdn":
            return False
        ranges.append(answer.headers.get("Range"))
        answer.cut(data, 30_000)
        return True

    small.change = change
    folder = hub.pull("hf:org/small")
    assert (folder / "model.safetensors").read_bytes() == data
    starts = [0 if asked is None else int(asked[6:-1]) for asked in ranges]
    assert starts == list(range(0, len(data), 30_000)), "no byte is fetched twice"


def test_ctrl_c_keeps_what_was_fetched(small: StandIn) -> None:
    class Impatient(Progress):
        seen = 0.0

        def advance(self, amount: float, **_: Any) -> None:
            self.seen += amount
            if self.seen > 0.06:
                raise KeyboardInterrupt

    small.change = where("cdn", lambda answer: answer.cut(weights_of(small), 60_000))
    with pytest.raises(KeyboardInterrupt):
        hub.pull("hf:org/small", Impatient())
    assert not hub.is_pulled("hf:org/small")
    small.change = where("nothing", Answer.send)
    small.asked.clear()
    hub.pull("hf:org/small")
    assert hub.is_pulled("hf:org/small")
    ((_, _, headers),) = [asked for asked in small.asked if asked[0] == "cdn"]
    assert int(headers["range"][6:-1]) > 0
    assert not any("tokenizer" in path for path in small.paths()), "whole files are not fetched again"


def test_what_was_kept_may_be_rotten_or_of_another_commit(small: StandIn) -> None:
    small.change = where("cdn", lambda answer: answer.error(503))
    assert "busy" in wrong()
    (work,) = (hub.parse("hf:org/small").folder.parent).glob(".org--small.*.part")
    part = work / "model.safetensors.part"
    small.change = where("nothing", Answer.send)
    part.write_bytes(b"rotten" * 100)
    hub.pull("hf:org/small")
    assert (hub.path("hf:org/small") / "model.safetensors").read_bytes() == weights_of(small)
    for rotten in (b"x" * len(weights_of(small)), b"x" * (len(weights_of(small)) + 9)):  # as long as the file, longer
        folder = hub.path("hf:org/small")
        folder.rename(work)
        (work / "model.safetensors").rename(part)
        part.write_bytes(rotten)
        hub.pull("hf:org/small")
        assert hub.path("hf:org/small")
    hub.path("hf:org/small").rename(work)
    small.commit = "e" * 40
    hub.pull("hf:org/small")
    assert not work.exists() and hub.manifest("hf:org/small")["commit"] == "e" * 40


def test_a_server_that_ignores_ranges_or_sends_another_one(small: StandIn) -> None:
    data, state = weights_of(small), {"calls": 0}

    def change(answer: Answer, path: str) -> bool:
        if answer.server.kind != "cdn":
            return False
        state["calls"] += 1
        if state["calls"] == 1:
            answer.cut(data, 40_000)
        elif state["calls"] == 2:
            answer.send(206, data[7:], Content_Range=f"bytes 7-{len(data) - 1}/{len(data)}")
        elif state["calls"] == 3:
            answer.cut(data, 50_000)
        else:
            answer.send(200, data)
        return True

    small.change = change
    assert (hub.pull("hf:org/small") / "model.safetensors").read_bytes() == data and state["calls"] == 4


def test_two_pulls_at_once_do_not_mix(small: StandIn) -> None:
    fcntl = pytest.importorskip("fcntl")
    name = hub.parse("hf:org/small")
    name.folder.parent.mkdir(parents=True)
    with open(name.folder.with_name(f".{name.folder.name}.lock"), "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another process" in wrong()


# ---------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    "name",
    [
        "hf:", "hf:gpt2", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/.b", "hf:/etc/passwd", "hf:a\\b/c", "hf:a/b\0",
        "hf:a//b", "hf:a/b@", "hf:a/b@../../x", "hf:a/b@/x", "hf:a/b@x/../y", "hf:a/b@x//y", "hf:a/b@-x",
        "hf:a/b?x=1", "hf:a/b#c", "hf:a%2f/b", "hf:a/b@x%00", "hf:a/b\n", "hf:a--b/c", "hf:a/" + "b" * 200,
        "hf:a/b@" + "c" * 300, "hf:ä/b", "hf:a/b@x\ny",
    ],
)  # fmt: skip
def test_a_name_with_tricks_asks_nobody(name: str, small: StandIn) -> None:
    with pytest.raises(GlaswerkError, match=r"write hf:ORG/NAME|cannot be a revision"):
        hub.pull(name)
    with pytest.raises(GlaswerkError):
        gw.load(name)
    assert not small.asked


def test_no_model_no_rights_no_network(small: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no model hf:org/other" in wrong("hf:org/other")
    for status, code, word in (
        (401, "GatedRepo", "accept its terms"), (403, "GatedRepo", "accept its terms"), (401, "", "private"),
        (403, "", "refuses access"), (404, "RepoNotFound", "check the name"), (500, "", "busy"), (503, "", "busy"),
        (429, "", "busy"), (418, "", "answered 418"), (400, "", "answered 400"),
    ):  # fmt: skip
        small.change = where("hub", lambda answer, status=status, code=code: answer.error(status, code))
        assert word in wrong()
    small.change = where("nothing", Answer.send)
    port = small.main.server_port
    small.close()
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    assert "check the network" in wrong()
    with pytest.raises(GlaswerkError, match="glaswerk pull hf:org/small"):
        gw.load("hf:org/small")


def test_a_server_that_says_nothing_is_given_up(small: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TIMEOUT", 0.1)
    done = threading.Event()
    small.change = where("hub", lambda answer: done.wait(20))
    assert "check the network" in wrong()
    done.set()


@pytest.mark.parametrize(
    ("drop", "add", "word"),
    [
        (["model.safetensors"], {}, "pickles"),
        (["model.safetensors", "pytorch_model.bin"], {}, "no model.safetensors"),
        (["config.json"], {}, "no config.json"),
        (["tokenizer.json"], {"vocab.json": b"{}", "merges.txt": b""}, "no tokenizer.json"),
        ([], {"config.json": b'{"model_type": "llama", "auto_map": {"AutoModel": "evil.Model"}}'}, "auto_map"),
        ([], {"config.json": b"{"}, "not valid JSON"),
        ([], {"config.json": b"[" * 50_000}, "not valid JSON"),
        (
            ["model.safetensors"],
            {"model-00001-of-00002.safetensors": b"x", "model.safetensors.index.json": b"3"},
            "no weight",
        ),
        (
            ["model.safetensors"],
            {
                "model-00001-of-00002.safetensors": b"x",
                "model.safetensors.index.json": b'{"weight_map": {"a": "../../x"}}',
            },
            "'../../x'",
        ),
    ],
)
def test_models_that_cannot_be_pulled(drop: list[str], add: dict[str, bytes], word: str, small: StandIn) -> None:
    for name in drop:
        del small.files[name]
    small.files |= add
    assert word in wrong()
    assert not any("safetensors" in path and "index" not in path for path in small.paths()), "no weights were fetched"


@pytest.mark.parametrize(
    "change",
    [
        {"sha": "main"}, {"sha": None}, {"sha": "../" * 14}, {"siblings": None}, {"siblings": [3]},
        {"siblings": [{"rfilename": "config.json", "size": -1, "blobId": "a" * 40}]},
        {"siblings": [{"rfilename": "config.json", "size": 10**30, "blobId": 7}]},
        {"siblings": [{"rfilename": "config.json", "size": 1.5, "blobId": "a" * 40}]},
        {"siblings": [{"rfilename": "config.json", "size": 5}]},
        {"siblings": [{"rfilename": "config.json", "size": 5, "lfs": {"sha256": "zz"}}]},
        {"siblings": [{"rfilename": "config.json", "size": 5, "lfs": "x"}]},
        {"siblings": [{"rfilename": ["config.json"], "size": 5}]},
        {"siblings": 2 * [{"rfilename": "config.json", "size": 5, "blobId": "a" * 40}]},
    ],
)  # fmt: skip
def test_a_description_that_is_none_is_one_line(change: dict[str, Any], small: StandIn) -> None:
    small.facts = change
    assert "cannot be read" in wrong()


def test_odd_descriptions_are_no_trouble(small: StandIn) -> None:
    """A licence that is a terminal's control code, files with paths, and files of no interest without sizes."""
    odd = [{"rfilename": name} for name in ("../../evil", "/etc/passwd", "a/config.json", "x\n")]
    small.facts = {"cardData": {"license": "\x1b]0;evil\x07"}, "siblings": [*small.siblings(), *odd]}
    hub.pull("hf:org/small")
    assert hub.manifest("hf:org/small")["licence"] == "not named"


@pytest.mark.parametrize("answer_with", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b'"x"'])
def test_an_answer_that_is_no_description(answer_with: bytes, small: StandIn) -> None:
    small.change = where("hub", lambda answer: answer.send(200, answer_with))
    assert "cannot be read" in wrong()


def test_an_answer_without_end_is_cut_off(small: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_LIMIT", 100_000)
    small.change = where("hub", lambda answer: answer.send(200, b" " * 3_000_000))
    assert "does not end" in wrong()


def test_sizes_that_are_not_believed(small: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    listed = small.siblings()
    for name, size, word in (("config.json", 10**9, "config.json has"), ("model.safetensors", 10**15, "GB of weights")):
        small.facts = {
            "siblings": [{**one, "size": size if one["rfilename"] == name else one["size"]} for one in listed]
        }
        assert word in wrong()
    small.facts = {}
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    assert "free some space" in wrong()
    assert all("/resolve/" not in path for path in small.paths())


def test_a_full_disk_is_one_line_and_what_was_fetched_stays(small: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    real = hub._check

    def full(part: Path, file: hub.File) -> str | None:
        if file.path == "model.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(part, file)

    monkeypatch.setattr(hub, "_check", full)
    assert "no space left" in wrong()
    monkeypatch.setattr(hub, "_check", real)
    small.asked.clear()
    hub.pull("hf:org/small")
    assert len(small.asked) == 1, "everything was here"


def test_other_contents_than_announced_are_not_installed(small: StandIn) -> None:
    config = small.files["config.json"]
    small.change = where(f"hub:/org/small/resolve/{COMMIT}/config.json", lambda answer: answer.file(config[:-1] + b" "))
    assert "config.json does not have the hash" in wrong()
    good = weights_of(small)
    for bad, word in (
        (good[:-1] + b"\0" if good[-1] else good[:-1] + b"\1", "hash"),
        (good[:-1], "shorter"),
        (good + b"x", "more of model.safetensors"),
        (good + b"x" * 5_000_000, "more of model.safetensors"),
    ):
        small.change = where("cdn", lambda answer, bad=bad: answer.file(bad))
        assert word in wrong()
    small.change = where("cdn", lambda answer: answer.send(200, good, Content_Encoding="gzip"))
    assert "compresses" in wrong()


def test_redirects_that_are_not_followed(small: StandIn) -> None:
    elsewhere = small.url(small.cdn)
    for target, word in (
        ("file:///etc/passwd", "no address"), ("ftp://127.0.0.1/x", "no address"), ("", "again and again"),
        ("http://user@127.0.0.1/x", "no address"), ("http://[::1", "no address"), ("http://a b/", "no address"),
    ):  # fmt: skip
        small.change = where("hub:/org/small/resolve/", lambda answer, target=target: answer.redirect(target))
        assert word in wrong()
    small.change = where("hub:/api/", lambda answer: answer.redirect(elsewhere + answer.path))
    assert "another host" in wrong() and not small.paths("cdn")
    made = hub._Hub(hub.parse("hf:org/small"))
    with pytest.raises(GlaswerkError, match="not https"):
        made.onward("https://hub.example/org/small/resolve/x/y", "http://cdn.example/y")
    assert made.onward("https://hub.example/org/small/resolve/x/y", "https://cdn.example/y") == "https://cdn.example/y"


def test_a_renamed_model_is_found(small: StandIn) -> None:
    renamed = where("hub:/", lambda answer: answer.redirect(answer.path.replace("/old", "/small")))
    small.change = lambda answer, path: "/old" in path and renamed(answer, path)
    assert (hub.pull("hf:org/old") / "config.json").exists()


def test_a_manifest_from_elsewhere_leads_nowhere(small: StandIn, tmp_path: Path) -> None:
    folder = hub.pull("hf:org/small")
    facts = json.loads((folder / "manifest.json").read_text())
    for change in (
        {"files": [{"path": "../../../x", "bytes": 1, "sha256": "a"}]}, {"repository": "org/other"}, {"files": []},
        {"commit": 3}, {"files": 3},
    ):  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps({**facts, **change}))
        with pytest.raises(GlaswerkError, match="not on this machine yet"):
            hub.path("hf:org/small")
    (folder / "manifest.json").write_text("[" * 100_000)
    assert not hub.is_pulled("hf:org/small")
