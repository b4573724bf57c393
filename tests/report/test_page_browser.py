"""The page in a real browser: nothing is fetched, nothing fails, nothing overlaps, at 1280 and at 390 pixels."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fabricated import LUNG, make_run

from robustdx.report.page import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr"),
    *("--allow-file-access-from-files", "--virtual-time-budget=10000", "--window-size=1400,1000", "--dump-dom"),
)
LOOK = """
<!doctype html><body style="margin:0"><iframe id="page" style="border:0;width:WIDTHpx;height:844px"></iframe><pre id="seen"></pre><script>
const BLOCKS = "h1,h2,h3,p,li,dt,dd,figcaption,img,.plot,nav a,caption,.falloff th,.column b,pre";
const box = e => e.getBoundingClientRect();
const name = e => e.textContent.slice(0, 40);
const shown = e => box(e).width > 1 && box(e).height > 1 && !e.closest(".skip, details:not([open]) dl");
function overlap(a, b) {
  const r = box(a), s = box(b);
  const across = Math.min(r.right, s.right) - Math.max(r.left, s.left), down = Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top);
  return !a.contains(b) && !b.contains(a) && across > 1 && down > 1;
}
function drawn(plot) {
  const ticks = [...plot.querySelectorAll(".xtick text")].map(box);
  return {
    holder: plot.clientWidth, drawing: plot.querySelector("svg.main-svg")?.clientWidth,
    lines: plot.querySelectorAll(".scatterlayer .trace").length,
    gap: Math.min(...ticks.slice(1).map((t, i) => t.left - ticks[i].right)),
  };
}
function look(doc, view) {
  const wide = doc.documentElement.clientWidth, blocks = [...doc.querySelectorAll(BLOCKS)].filter(shown);
  const out = e => !e.closest(".scroll") && (box(e).right > wide + 1 || box(e).left < -1);
  return {
    blocks: blocks.length,
    overflow: doc.documentElement.scrollWidth - wide,
    cut: blocks.filter(out).map(name),
    overlaps: blocks.flatMap((a, i) => blocks.slice(i + 1).filter(b => overlap(a, b)).map(b => name(a) + " | " + name(b))),
    plots: [...doc.querySelectorAll(".plot")].map(drawn),
    fetched: view.performance.getEntriesByType("resource").map(r => r.name).filter(n => !n.startsWith("data:")),
    answers: Math.max(...[...doc.querySelectorAll(".answers > div")].map(e => box(e).bottom)),
  };
}
const frame = document.getElementById("page");
const tell = () => document.getElementById("seen").textContent = JSON.stringify(look(frame.contentDocument, frame.contentWindow));
frame.onload = () => setTimeout(tell, 1500);
frame.src = "PAGE";
</script></body>
"""


def look(page, width, folder):
    """Open a page in a frame of this width; what the frame's document looks like, and what the browser complained about."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs a browser: install one of {', '.join(BROWSERS)}")
    frame = folder / f"look-{width}.html"
    frame.write_text(LOOK.replace("WIDTH", str(width)).replace("PAGE", Path(os.path.relpath(page, folder)).as_posix()))
    ran = subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={folder / f'profile-{width}'}", frame.as_uri()], capture_output=True, text=True, timeout=120
    )
    seen = re.search(r'<pre id="seen">(.*?)</pre>', ran.stdout, re.S)
    assert seen, f"the browser showed nothing: {ran.stderr[-500:]}"
    assert seen[1], f"the page did not load: {ran.stderr[-500:]}"
    return json.loads(html.unescape(seen[1])), [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module", params=[1280, 390])
def seen(request, run, tmp_path_factory):
    return look(run / "report.html", request.param, tmp_path_factory.mktemp("browser")), request.param


def test_nothing_is_fetched(seen):
    (page, _), _ = seen
    assert page["fetched"] == []


def test_the_console_stays_silent(seen):
    (_, console), _ = seen
    assert console == []


def test_nothing_is_cut_off_or_overlaps(seen):
    (page, _), _ = seen
    assert page["blocks"] > 100
    assert page["overflow"] == 0
    assert page["cut"] == []
    assert page["overlaps"] == []


def test_the_curves_are_drawn_and_fit(seen):
    (page, _), _ = seen
    assert [p["lines"] for p in page["plots"]] == [6, 6]
    assert all(p["drawing"] == p["holder"] for p in page["plots"])
    assert all(p["gap"] > 0 for p in page["plots"])


def test_the_answers_stand_on_the_first_screen(seen):
    (page, _), width = seen
    assert page["answers"] <= (800 if width == 1280 else 844)


def test_long_names_do_not_break_the_page(tmp_path):
    names = ("Pleural_thickening_with_a_very_long_name_that_cannot_be_broken_anywhere_at_all", *LUNG)
    folder = make_run(tmp_path / "run", kind="multilabel", classes=names, shares=(1,) * 7, images=60, model="Net" * 20, data="d" * 60)
    page, console = look(write_report(folder), 390, tmp_path)
    assert (page["overflow"], page["cut"], page["overlaps"], console) == (0, [], [], [])
