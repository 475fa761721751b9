"""Reading: kinds of files, encodings, long texts, broken lines, things that are no text."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import pkgutil
import random
from encodings import __path__ as every_codec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glaswerk.corpora import Document, Report, fingerprint, read
from glaswerk.corpora.cut import LONGEST, WHOLE, cut
from glaswerk.corpora.decode import decode_stream
from glaswerk.errors import GlaswerkError

GERMAN = "Die Größe der Bäume überraschte uns: „Schön“, sagte sie – und schwieg für 5 €. "


def one(path: Path, report: Report | None = None) -> list[Document]:
    return list(read([str(path)], report=report))


def write(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return path


def test_a_short_file_is_one_document_titled_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "my_first-notes.txt", "Some words.\r\n\r\nAnd more.\r\n")
    assert one(path) == [Document("Some words.\n\nAnd more.\n", "my first notes", "my_first-notes.txt")]


def test_markdown_takes_its_title_from_the_first_heading_outside_code(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", "```sh\n# a comment\n```\n\n## The *real* one ##\n\nText.\n")
    assert one(path)[0].title == "The *real* one"


def test_html_gives_text_headings_and_title_but_no_scripts(tmp_path: Path) -> None:
    page = (
        "<!doctype html><html><head><title> A  page </title><style>p {color: red}</style></head><body>"
        "<script>var x = '<p>no</p>';</script><h2>Over<b>view</b></h2><p>Fish &amp; chips<br>for   two</p>"
        "<ul><li>one<li>two</ul><pre>  keep\n    this</pre><p>end</body></html>"
    )
    (document,) = one(write(tmp_path / "p.html", page))
    assert document.title == "A page"
    assert document.text.strip().startswith("## Overview\n\nFish & chips\nfor two\n\n")
    assert "\n- one\n- two" in document.text and "  keep\n    this" in document.text and "end" in document.text
    assert "color" not in document.text and "var x" not in document.text


def test_html_says_its_own_encoding(tmp_path: Path) -> None:
    page = '<html><head><meta charset="windows-1251"><title>т</title></head><body><p>Привет, мир</p></body></html>'
    (document,) = one(write(tmp_path / "p.html", page.encode("cp1251")))
    assert "Привет, мир" in document.text


def test_jsonl_records_strings_messages_and_other_keys(tmp_path: Path) -> None:
    lines = [
        {"text": "One text.", "title": "A", "topic": "t"},
        "Just a string.",
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
        {"id": "7", "summary": "Some unnamed field with words."},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    found = one(path)
    assert [d.text for d in found] == ["One text.", "Just a string.", "Hi\n\nHello", "Some unnamed field with words."]
    assert (found[0].title, found[0].topic) == ("A", "t")


def test_a_broken_line_is_named_counted_and_with_strict_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "good one"}\n{"text": \n\n{"number": 3}\n{"text": "good two"}\n')
    report = Report()
    assert [d.text for d in one(path, report)] == ["good one", "good two"]
    assert report.broken_count == 2 and [b["line"] for b in report.broken] == [2, 4]
    assert report.broken[0]["file"] == "a.jsonl" and "not valid JSON" in report.broken[0]["why"]
    with pytest.raises(GlaswerkError, match=r"a\.jsonl:2: not valid JSON"):
        list(read([str(path)], strict=True))


def test_deeply_nested_json_is_a_broken_line_not_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "[" * 200_000 + "\n" + '{"text": "fine"}\n')
    report = Report()
    assert [d.text for d in one(path, report)] == ["fine"] and report.broken_count == 1


def test_json_lists_and_objects_of_records(tmp_path: Path) -> None:
    listed = write(tmp_path / "a.json", json.dumps([{"text": "x y"}, "z w"]))
    keyed = write(tmp_path / "b.json", json.dumps({"Ada": {"extract": "A mathematician."}, "Bob": {"extract": "B."}}))
    nested = write(tmp_path / "c.json", json.dumps({"version": 1, "data": [{"content": "inner text"}]}))
    assert [d.text for d in one(listed)] == ["x y", "z w"]
    assert [(d.title, d.text) for d in one(keyed)] == [("Ada", "A mathematician."), ("Bob", "B.")]
    assert [d.text for d in one(nested)] == ["inner text"]
    report = Report()
    assert one(write(tmp_path / "d.json", '{"a": '), report) == [] and report.broken[0]["file"] == "d.json"


@pytest.mark.parametrize(("comma", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv")])
def test_tables_by_column_name_or_longest_cell(tmp_path: Path, comma: str, name: str) -> None:
    rows = [["id", "Title", "Text"], ["1", "T", '"two\nlines"'], ["2", "U", "single"]]
    path = write(tmp_path / name, "\n".join(comma.join(row) for row in rows))
    assert [(d.title, d.text) for d in one(path)] == [("T", "two\nlines"), ("U", "single")]
    bare = write(tmp_path / "bare.csv", "3,the longest cell here\n4,another long cell\n")
    assert [d.text for d in one(bare)] == ["the longest cell here", "another long cell"]


def test_gz_of_everything_and_damaged_gz(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "packed"}\n'))
    assert [d.text for d in one(path)] == ["packed"]
    damaged = tmp_path / "b.txt.gz"
    damaged.write_bytes(gzip.compress(random.Random(0).randbytes(5000).hex().encode())[:-500])
    report = Report()
    one(damaged, report)
    assert "gzip" in report.skipped[0]["why"]


@pytest.mark.parametrize(
    ("encoding", "verdict"),
    [
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16-le", "utf-16-le"),
        ("utf-32", "utf-32-le"),
    ],
)
def test_other_encodings_are_decoded_and_reported(tmp_path: Path, encoding: str, verdict: str) -> None:
    text = GERMAN * 50
    path = write(tmp_path / "a.txt", text.encode(encoding))
    report = Report()
    assert one(path, report)[0].text == text
    assert report.decoded[0]["encoding"] == verdict


def test_broken_utf8_loses_nothing(tmp_path: Path) -> None:
    data = (GERMAN * 20).encode() + "naïve café".encode("cp1252") + b" \x81 " + (GERMAN * 20).encode()
    report = Report()
    (document,) = one(write(tmp_path / "a.txt", data), report)
    assert document.text == GERMAN * 20 + "naïve café \ufffd " + GERMAN * 20
    assert report.decoded == [{"file": "a.txt", "encoding": "utf-8, broken", "bytes_not_utf8": 3}]


def test_a_utf8_mark_is_no_text(tmp_path: Path) -> None:
    report = Report()
    assert one(write(tmp_path / "a.txt", b"\xef\xbb\xbfHello there"), report)[0].text == "Hello there"
    assert report.decoded_count == 0


@given(st.text(), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_decoding_utf8_block_by_block_is_decoding_it_whole(text: str, block: int) -> None:
    import io

    from glaswerk.corpora import decode

    before, decode.BLOCK = decode.BLOCK, block
    try:
        data = text.encode("utf-8", "ignore")
        if decode._wide(data[:block]):
            return
        got = "".join(part for part, _, _ in decode_stream(io.BytesIO(data)))
    finally:
        decode.BLOCK = before
    want = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert got == want


def test_binary_and_unknown_files_are_named_and_skipped(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", random.Random(0).randbytes(5000))
    write(tmp_path / "b.txt", b"%PDF-1.7 something")
    write(tmp_path / "c.xyz", "text of an unknown kind")
    write(tmp_path / "d.txt", b"")
    write(tmp_path / "e.txt", "Good text.")
    write(tmp_path / ".hidden.txt", "no")
    write(tmp_path / "__pycache__/x.txt", "no")
    report = Report()
    assert [d.text for d in read([str(tmp_path)], report=report)] == ["Good text."]
    why = {item["file"]: item["why"] for item in report.skipped}
    assert set(why) == {"a.txt", "b.txt", "c.xyz", "d.txt"}
    assert "binary" in why["a.txt"] and "PDF" in why["b.txt"] and ".xyz" in why["c.xyz"] and why["d.txt"] == "empty"


def test_a_stray_nul_makes_no_binary_file(tmp_path: Path) -> None:
    assert "after" in one(write(tmp_path / "a.txt", "before\0 " + GERMAN * 10 + "after"))[0].text


def test_folders_globs_and_files_mix_and_no_file_counts_twice(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.md"):
        write(tmp_path / name, f"Text of {name}.")
    found = list(read([str(tmp_path / "a.txt"), str(tmp_path / "*.txt"), str(tmp_path)]))
    assert [d.source for d in found] == ["a.txt", "b.txt", "deep/c.md"]
    for wrong, message in (
        (str(tmp_path / "*.csv"), "no file matches"),
        ("wikipedia", "did you mean the corpus 'wikipedia-en'"),
    ):
        with pytest.raises(GlaswerkError, match=message):
            list(read([wrong]))
    with pytest.raises(GlaswerkError, match="no text was named"):
        list(read([]))


def test_code_is_read_and_keeps_its_indentation(tmp_path: Path) -> None:
    (document,) = one(write(tmp_path / "tool.py", "def f():\n    return 1\n"))
    assert (document.title, document.text) == ("tool.py", "def f():\n    return 1\n")


def test_a_long_book_is_cut_at_its_chapters(tmp_path: Path) -> None:
    rng = random.Random(1)
    words = [f"word{n}" for n in range(500)]

    def prose(size: int) -> str:
        text = ""
        while len(text) < size:
            text += " ".join(rng.choices(words, k=60)) + ".\n\n"
        return text

    book = "A BOOK\n\n" + "".join(
        f"CHAPTER {n}. Of things\n\n{prose(4000)}" for n in ("I", "II", "III", "IV", "V", "VI")
    )
    found = one(write(tmp_path / "book.txt", book))
    assert [d.title for d in found if d.title] == [
        f"CHAPTER {n}. Of things" for n in ("I", "II", "III", "IV", "V", "VI")
    ]
    assert "".join(d.text for d in found) == book
    long = one(write(tmp_path / "long.md", f"# Only\n\n{prose(40_000)}"))
    assert long[0].title == "Only" and {d.title for d in long[1:]} == {""} and max(len(d.text) for d in long) <= LONGEST


def test_headings_with_nothing_under_them_stay_with_what_follows() -> None:
    text = "# Play\n\n## ACT I\n\n### SCENE I\n\n" + "words here\n\n" * 300 + "### SCENE II\n\nend\n"
    pieces = list(cut(text, "markdown"))
    assert [heading for heading, _ in pieces] == ["SCENE I", "SCENE II"]
    assert pieces[0][1].startswith("# Play\n\n## ACT I\n\n### SCENE I")


@given(
    st.text(alphabet=st.sampled_from("ab \n#.I"), min_size=0, max_size=300),
    st.sampled_from(["markdown", "plain", "none"]),
)
@settings(max_examples=150, deadline=None)
def test_cutting_loses_nothing_but_blank_space(text: str, headings: str) -> None:
    whole = text * 120
    pieces = [piece for _, piece in cut(whole, headings)]
    assert "".join("".join(pieces).split()) == "".join(whole.split())
    assert all(len(piece) <= LONGEST for piece in pieces)


def test_a_megabyte_of_one_character_is_cut_in_time(tmp_path: Path) -> None:
    for character in ("a", "\n", " ", "é", "#"):
        found = one(write(tmp_path / "a.txt", character * 1_000_000))
        assert sum(len(d.text) for d in found) in (1_000_000, 0)
        assert all(len(d.text) <= max(LONGEST, WHOLE) for d in found)


def test_a_file_larger_than_a_stretch_streams_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glaswerk.corpora import readers

    monkeypatch.setattr(readers, "STRETCH", 20_000)
    text = "".join(f"Paragraph {n} with some words in it.\n\n" for n in range(8_000))
    found = one(write(tmp_path / "a.txt", text))
    assert "".join(d.text for d in found) == text and len(found) > 20


def test_a_run_inside_the_texts_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cd notes && glaswerk run .` puts runs/NAME into notes; going on must find the same texts."""
    write(tmp_path / "a.txt", "My own words.\n")
    monkeypatch.chdir(tmp_path)
    before = {source: fingerprint([source]) for source in (".", "**", "*")}
    write(tmp_path / "runs/x/run.json", "{}")
    write(tmp_path / "runs/x/corpus/documents.jsonl", '{"text": "My own words again."}\n')
    for source in before:
        assert [d.source for d in read([source])] == ["a.txt"]
    assert {source: fingerprint([source]) for source in before} == before
    assert [d.source for d in read(["runs/x/corpus"])] == ["documents.jsonl"], "what is named is read"
    assert [d.source for d in read(["runs/x/corpus/*.jsonl"])] == ["documents.jsonl"]


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(every_codec)))
def test_no_encoding_that_a_page_claims_is_a_traceback(name: str) -> None:
    """Python's codecs hold much that is no encoding of files: hex, rot13, idna, undefined ..."""
    for data in (b"<p>hello</p> \xff\xfe\x80 end" * 10, b"~{ \x1b$B \x0e+AB-" * 5):
        assert "".join(text for text, _, _ in decode_stream(io.BytesIO(data), name))


@pytest.mark.parametrize("claim", ["undefined", "hex", "rot13", "idna", "utf-16", "unicode_escape"])
def test_a_page_with_an_absurd_charset_is_read_as_utf8(claim: str, tmp_path: Path) -> None:
    (document,) = one(write(tmp_path / "p.html", f'<meta charset="{claim}"><p>Grüße \\u0041</p>'))
    assert document.text.strip() == "Grüße \\u0041"


@pytest.mark.parametrize("mark", ["<![foo[", "<![ x"])
def test_a_page_that_the_parser_refuses_is_named_and_skipped(mark: str, tmp_path: Path) -> None:
    write(tmp_path / "bad.html", f"<p>Words.</p>{mark} bar]]> more")
    write(tmp_path / "good.html", "<p>Words.</p>")
    report = Report()
    assert [d.source for d in read([str(tmp_path)], report=report)] == ["good.html"]
    (skipped,) = report.skipped
    assert skipped["file"] == "bad.html" and skipped["why"].startswith("not HTML that can be read")


def test_a_file_that_fails_while_being_read_is_named_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glaswerk.corpora import sources

    def refuse(*arguments: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = write(tmp_path / "a.txt", "Words.")
    monkeypatch.setattr(sources, "open", refuse, raising=False)
    report = Report()
    assert one(path, report) == []
    assert report.skipped == [{"file": "a.txt", "why": "it cannot be read (Input/output error)"}]


def test_the_fingerprint_shows_what_it_pulls(monkeypatch: pytest.MonkeyPatch) -> None:
    from glaswerk import pull
    from glaswerk.progress import Progress

    seen: list[Progress | None] = []

    def pretend(name: str, progress: Progress | None = None) -> Path:
        seen.append(progress)
        return Path(name)

    facts = dict.fromkeys(("name", "licence", "source", "package", "version", "sha256"), "x")
    monkeypatch.setattr(pull, "pull", pretend)
    monkeypatch.setattr(pull, "manifest", lambda name: facts)
    progress = Progress()
    assert fingerprint(["wikipedia-en"], progress) == fingerprint(["wikipedia-en"])
    assert seen == [progress, None]
