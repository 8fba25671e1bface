"""The words of names, comments and documents, and what their check reports."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def words():
    spec = importlib.util.spec_from_file_location("words", ROOT / "scripts" / "words.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_this_project_uses_the_words_of_the_field(words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["words.py"])
    code = words.main()
    assert code == 0, capsys.readouterr().out


def test_words_are_reported_by_line_in_names_and_text(words):
    text = "the power law holds\nfitted_law = 1  # Told by the Peers\nlawn, retold\n"
    assert [(line, word) for line, word, _ in words.matches(text)] == [(2, "law"), (2, "Told"), (2, "Peers")]
    assert words.matches("figures of merit") == [(1, "figures of merit", "metrics")]
    assert words.matches("told", allowed="told") == []
