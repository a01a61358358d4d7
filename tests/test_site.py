"""The site: built without a warning, without a network, every page reached, every link alive, found by search."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
MISSING = "the site needs pip install 'motionllm[docs]'"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason=MISSING)
    pytest.importorskip("material", reason=MISSING)
    pytest.importorskip("mkdocstrings", reason=MISSING)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert {page.name for page in (ROOT / "docs").rglob("*.md")} - named == set()


def test_every_link_and_picture_is_there_and_nothing_is_fetched(site: Path) -> None:
    broken = []
    pages = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html") if page.name != "404.html"}
    ids = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    for page, text in pages.items():
        for tag, link in re.findall(r'<(\w+)[^>]*?\s(?:href|src)="([^"]*)"', text):
            link = unquote(html.unescape(link))
            if re.match(r"(https?:)?//", link):
                if tag != "a":
                    broken.append(f"{page.name} fetches {link}")
                continue
            path, _, anchor = link.partition("#")
            if link.startswith(("data:", "mailto:", "javascript:")):
                continue
            target = (page.parent / path).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in ids and anchor not in ids[target]):
                broken.append(f"{page.name}: {link}")
    assert len(pages) > 20 and not broken


@pytest.mark.parametrize(
    ("words", "page"), [("BVH", "files.html"), ("guidance", "concepts.html"), ("own data", "start.html")]
)
def test_search_finds(site: Path, words: str, page: str) -> None:
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    found = [
        e["location"] for e in entries if all(w in f"{e['title']} {e['text']}".lower() for w in words.lower().split())
    ]
    assert any(place.startswith(page) for place in found)


def test_search_works_from_the_disk(site: Path) -> None:
    assert (site / "search" / "search_index.js").is_file()
    assert 'src="iframe-worker.js"' in (site / "index.html").read_text(encoding="utf-8")


def test_recipes_and_python_are_referenced(site: Path) -> None:
    keys = (site / "recipes.html").read_text(encoding="utf-8")
    assert "drop_text" in keys and "rows_init" in keys
    python = (site / "api.html").read_text(encoding="utf-8")
    for name in ("Motion", "MotionTokenizer", "MotionLM", "generate", "lock_feet", "decode"):
        assert f">{name}<" in python, name


def test_the_gallery_plays_without_a_network(site: Path) -> None:
    pages = list((site / "gallery").glob("*.html"))
    shown = re.findall(r'<iframe src="([^"]+)"', (site / "gallery.html").read_text(encoding="utf-8"))
    assert {f"gallery/{page.name}" for page in pages} == {*shown} and len(shown) >= 6
    assert sum(page.stat().st_size for page in pages) < 50_000 * len(pages)
