"""The report: its parts, and the page in a browser: no errors, sorting, filters, the play viewer."""

import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.reporting.report import NOWHERE, calibration, encode_densities, encode_positions, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FRAMES, GRID = 12, np.arange(-5.0, 41.0)
HANG_MS = 600_000  # only ends a test that hangs
# Click on the play button and record the clock's texts from then on.
RUN = """() => {
    const run = document.getElementById("run"), clock = document.getElementById("clock");
    window.times = [];
    new MutationObserver(() => window.times.push(clock.innerText))
        .observe(clock, {childList: true, characterData: true, subtree: true});
    run.click();
    return run.getAttribute("aria-label");
}"""


def scored(count=4000, seed=0, shift=0.0):
    """Integer outcomes under their true distribution, 0 to 9 alike, and their PIT; `shift` makes the distribution
    wrong."""
    r = np.random.default_rng(seed)
    y = r.integers(0, 10, count)
    low, high = np.clip(y / 10 + shift, 0, 1), np.clip((y + 1) / 10 + shift, 0, 1)
    columns = {"game_id": r.integers(0, 40, count), "pit": (low + high) / 2, "pit_low": low, "pit_high": high}
    return pl.DataFrame(columns | {"down": r.integers(1, 5, count)})


def test_a_true_distribution_is_seen_to_be_calibrated_and_a_wrong_one_not():
    true, wrong = scored(), scored(shift=0.1)
    result = calibration(true, {"down": true["down"]})
    assert np.abs(result["histogram"] - 1).max() < 0.15
    assert np.abs(result["shares"] - result["levels"]).max() < 0.02
    assert np.mean(result["histogram"]) == pytest.approx(1)
    assert [each["name"] for each in result["strata"]] == [f"down {n}" for n in (1, 2, 3, 4)]
    assert sum(each["plays"] for each in result["strata"]) == 4000
    assert all(abs(each["mean"] - 0.5) < 3 * each["half"] for each in result["strata"])
    assert np.abs(calibration(wrong, {})["shares"] - result["levels"]).max() > 0.08


def test_positions_and_densities_come_back():
    spots = np.random.default_rng(0).normal(0, 20, (5, 22, 2))
    present = np.ones((5, 22), bool)
    present[2, 7] = False
    back = np.frombuffer(base64.b64decode(encode_positions(spots, present)), "<i2").reshape(5, 22, 2)
    assert (back[2, 7] == NOWHERE).all()
    np.testing.assert_allclose(back[present] / 100, spots[present], atol=0.005001)
    mass = np.random.default_rng(1).dirichlet(np.full(46, 0.3), 5)
    text, peak = encode_densities(mass)
    back = peak * (np.frombuffer(base64.b64decode(text), np.uint8).reshape(5, 46) / 255) ** 2
    assert np.abs(back - mass).max() < 0.005 * peak


def board(season, split, names, shift=0.0):
    rows = []
    for i, _ in enumerate(names):
        score = 95.0 - 7 * i + shift
        rows.append(
            [
                str(i),
                300 - 40 * i,
                10,
                score,
                score - 5,
                min(score + 4, 99),
                0.1 - 0.03 * i,
                0.7,
                None if i == 1 else 90.0 + i,
            ]
        )
    return {"season": season, "split": split, "rows": rows, "center": 0.0}


def page(names=("Ann Ace", "Bob <b>Bold</b>", "Cy </script>")):
    r = np.random.default_rng(0)
    keys = ["plays", "games", "passing_score", "passing_low", "passing_high", "score", "reliability", "passer_rating"]
    plays = []
    for i in range(4):
        text, peak = encode_densities(r.dirichlet(np.ones(len(GRID)), FRAMES))
        spots = np.cumsum(r.normal(0, 0.4, (FRAMES, 22, 2)), axis=0) + r.normal(0, 8, (1, 22, 2))
        play = {"count": FRAMES, "density": text, "peak": peak, "medians": np.linspace(2, 8, FRAMES), "reach": 20.0}
        play |= {"lower": np.full(FRAMES, -1.0), "upper": np.full(FRAMES, 25.0)}
        play |= {
            "frames": encode_positions(spots, np.ones((FRAMES, 22), bool)),
            "season": 2020,
            "week": 3 + i,
            "down": 3,
        }
        plays.append(
            play | {"distance": 6, "outcome": 12.0, "median": 5.0, "pit": 0.9, "passer": str(i % 3), "to_goal": 40}
        )
    plays.append(
        {"count": 1, "density": text, "peak": peak, "medians": [4.0], "reach": 3.0, "passer": "0", "outcome": 3.0}
        | dict.fromkeys(("season", "week", "down", "distance", "to_goal"))
        | {"median": 4.0, "pit": float("nan")}
    )
    games = [[2020, week, 30, 80.0, 60.0, 95.0] for week in range(1, 6)]
    passers = [
        {"id": str(i), "name": name, "games": games, "places": np.arange(1, 11), "best": [i, 4], "worst": [i]}
        for i, name in enumerate(names)
    ]
    return {
        "title": "Passing scores: a test & more",
        "about": "About.",
        "columns": [{"key": key, "label": key.replace("_", " "), "digits": 1} for key in keys],
        "boards": [board("", "", names), board("2020", "", names, 2.0), board("", "deep", names[:2])],
        "seasons": ["", "2020"],
        "splits": {
            "": {"name": "all plays", "condition": "", "text": "All."},
            "deep": {"name": "deep", "condition": "x", "text": "Deep."},
        },
        "least": 50,
        "passers": passers,
        "plays": plays,
        "grid": GRID,
        "outcome": "yards gained",
        "unit": "yards",
        "digits": 0,
        "calibration": calibration(scored(), {"down": scored()["down"]}),
        "training": [
            {"name": "fold 0", "epoch": [1, 2], "training_loss": [3.0, 2.5], "validation_loss": [3.1, float("nan")]}
        ],
        "config": [["data.plays", "8000"]],
        "tables": [{"title": "bins", "header": ["arm", "nll"], "rows": [["10", "2.5"]]}],
        "notes": {"viewer": "Note."},
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, page())
    return path


def test_the_file_is_complete_and_self_contained(report):
    text = report.read_text()
    assert report.stat().st_size < 8e6
    assert "{{" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"(src|href)=\"(?!data:)", outside)
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1))
    assert data["passers"][2]["name"] == "Cy </script>"
    assert data["plays"][4]["pit"] is None
    assert data["training"][0]["validation_loss"] == [3.1, None]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


# what ends, hides or replaces parts of a page, a script or a figure's text
UNTRUSTED = (
    "<!--<script>",
    "</script><script>alert(1)</script>",
    "-->]]></style>",
    'O\'Neil "Q" & &lt;Sons&gt; &#60;',
    "line\u2028separator\u2029and\ttab, José Ñúñez 王 \U0001f3c8",
    "{{data}} {{css}} \\1 \\u003c",
    "%{x} <b>bold</b> <a href='javascript:alert(1)'>a</a>",
)


def test_data_cannot_end_or_hide_its_element(tmp_path):
    title = "{{data}} </title><!--<script> half \udce9"
    write_report(tmp_path / "report.html", page(UNTRUSTED) | {"title": title})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    content = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1)
    assert content.isascii()
    assert not set(content) & set("<>&")
    data = json.loads(content)
    assert tuple(each["name"] for each in data["passers"]) == UNTRUSTED
    assert data["title"] == title
    head = re.search(r"<title>(.*?)</title>", text, re.S).group(1)
    assert head == "{{data}} &lt;/title&gt;&lt;!--&lt;script&gt; half ?"


def test_every_text_appears_as_it_is(browser, tmp_path):
    changes = {
        "title": "T <!--<script>",
        "outcome": "gain <b>in</b> {x} <!--<script>",
        "unit": "%{y} <i>yd</i> &amp;",
        "training": [
            {"name": each, "epoch": [1], "training_loss": [3.0], "validation_loss": [3.1]} for each in UNTRUSTED
        ],
        "tables": [{"title": UNTRUSTED[0], "header": list(UNTRUSTED), "rows": [list(UNTRUSTED)]}],
        "config": [["outcome", each] for each in UNTRUSTED],
    }
    strata = {"<!--<script>": pl.Series(["</script> <b>x</b>"]).extend_constant("&lt; {y}", 3999)}
    write_report(tmp_path / "report.html", page(UNTRUSTED) | changes | {"calibration": calibration(scored(), strata)})
    opened, problems = browser.new_page(), []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: problems.append(dialog.message))
    opened.goto((tmp_path / "report.html").as_uri())
    assert opened.title() == "T <!--<script>"
    assert opened.locator("#title").text_content() == "T <!--<script>"
    assert opened.locator("#board tbody td.text .link").all_text_contents() == list(UNTRUSTED)
    assert opened.locator("#passer option").all_text_contents() == list(UNTRUSTED)
    opened.locator("#board .link").first.click()
    opened.locator("#passer-line", has_text=UNTRUSTED[0]).wait_for()
    view(opened, "Play")
    opened.locator("#play-line", has_text=changes["unit"]).wait_for()
    assert opened.locator("#density .xtitle").text_content() == changes["outcome"]
    assert opened.locator("#running .ytitle").text_content() == f"median, {changes['unit']}"
    view(opened, "Calibration")
    ticks = opened.locator("#strata .ytick").all_text_contents()
    assert sorted(ticks) == ["<!--<script> &lt; {y}", "<!--<script> </script> <b>x</b>"]
    view(opened, "Training")
    assert opened.locator("#tables th").all_text_contents() == list(UNTRUSTED)
    legend = opened.locator("#losses .legendtext").all_text_contents()
    spaces = {text: re.sub(r"\s", " ", text) for text in UNTRUSTED}
    assert {re.sub(r"\s", " ", text) for text in legend[::2]} == {f"{spaces[text]}, training" for text in UNTRUSTED}
    assert problems == []
    opened.close()


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def tab(request, browser, report):
    width, height = request.param
    opened = browser.new_page(viewport={"width": width, "height": height})
    problems = []
    opened.on(
        "console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None
    )
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else problems.append(asked.url),
    )
    opened.goto(report.as_uri())
    yield opened
    assert problems == []
    opened.close()


def names(tab):
    return tab.locator("#board tbody td.text .link").all_inner_texts()


def view(tab, label):
    tab.locator("nav button", has_text=label).click()
    tab.locator("nav button[aria-current=page]", has_text=label).wait_for()


@pytest.mark.sample(1)
def test_every_view_opens_and_fits(tab, tmp_path):
    for label in ("Leaderboard", "Quarterback", "Play", "Calibration", "Training"):
        view(tab, label)
        tab.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert tab.locator("section:visible").count() == 1
        shot = tab.screenshot(path=tmp_path / f"{label}.png", full_page=True)
        assert len(shot) > 10_000
    assert tab.locator("#config td").all_inner_texts() == ["data.plays", "8000"]


@pytest.mark.sample(1)
def test_the_leaderboard_sorts_and_filters(tab):
    assert names(tab) == ["Ann Ace", "Bob <b>Bold</b>", "Cy </script>"]
    tab.locator("#board th button", has_text="passing score").click()
    assert names(tab)[0] == "Cy </script>"
    assert tab.locator("#board th[aria-sort=ascending]").count() == 1
    tab.locator("#board th button", has_text="Quarterback").click()
    assert names(tab) == ["Ann Ace", "Bob <b>Bold</b>", "Cy </script>"]
    tab.locator("#board th button", has_text="passer rating").click()
    assert names(tab) == ["Cy </script>", "Ann Ace", "Bob <b>Bold</b>"]  # unknown last
    tab.locator("#least").fill("250")
    assert names(tab) == ["Ann Ace", "Bob <b>Bold</b>"]
    tab.locator("#least").fill("1")
    tab.locator("#split").select_option("deep")
    assert len(names(tab)) == 2
    tab.locator("#season").select_option("2020")
    assert names(tab) == []
    assert "No play of this season" in tab.locator("#board-note").inner_text()
    tab.locator("#split").select_option("")
    tab.locator("#name").fill("BOLD")
    assert names(tab) == ["Bob <b>Bold</b>"]


@pytest.mark.sample(1)
def test_from_a_quarterback_to_his_best_play_in_one_click(tab):
    tab.locator("#board .link", has_text="Ann Ace").click()
    tab.locator("#passer-line", has_text="Ann Ace").wait_for()
    assert (
        "Ann Ace. All seasons: 95.0 (90.0 to 99.0, 300 plays); 2020: 97.0" in tab.locator("#passer-line").inner_text()
    )
    assert tab.locator("#splits tbody tr").count() == 2
    tab.locator("#best .link").first.click()
    tab.locator("#play-line", has_text="Ann Ace").wait_for()
    assert tab.locator("#play-line").inner_text().startswith("Ann Ace · 2020, week 3 · 12 yards")
    assert tab.locator("#people .man").count() == 22


@pytest.mark.sample(1)
def test_a_play_runs_and_stops(tab):
    view(tab, "Play")
    tab.locator("#clock", has_text="1.1 s").wait_for()
    before = tab.locator("#people .man").first.get_attribute("d")
    assert tab.evaluate(RUN) == "Pause"
    tab.wait_for_function("document.getElementById('run').getAttribute('aria-label') === 'Play'", timeout=HANG_MS)
    assert set(tab.evaluate("window.times")) - {"1.1 s"}
    assert tab.locator("#clock").inner_text() == "1.1 s"
    assert tab.locator("#people .man").first.get_attribute("d") == before
    tab.locator("#frame").fill("3")
    assert tab.locator("#clock").inner_text() == "0.3 s"
    assert tab.locator("#people .man").first.get_attribute("d") != before
    tab.locator("#play").select_option("4")  # without tracking there is one frame and nobody on the field
    tab.locator("#run:disabled").wait_for()
    assert tab.locator("#people .man").count() == 0
