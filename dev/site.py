"""What mkdocs does beside building docs/: pages that stand elsewhere in the repository, and links between all of them.

Called by mkdocs (`hooks` in mkdocs.yml). README, results, contributing and the like are pages of the site without a
copy in docs/. Links to files that are no pages become plain text, or lead to the repository where `repo_url` is set.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mkdocs.structure.files import File, Files

from motionllm import Motion
from motionllm.motion.show.page import write_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Page of the site: its source in the repository.
ELSEWHERE = {
    "index.md": "README.md",
    "results.md": "eval/README.md",
    "recipes-shipped.md": "recipes/README.md",
    "tokenizers.md": "tokenizer/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
FRAME = re.compile(r'<iframe src="gallery/([^"]+)\.html" title="([^"]+)"')
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not there."""
    config.nav = _there(config.nav)
    return config


def _there(nav: Any) -> Any:
    if isinstance(nav, list):
        return [item for item in map(_there, nav) if item]
    if isinstance(nav, dict):
        return {title: item for title, entry in nav.items() if (item := _there(entry))}
    return nav if nav in ELSEWHERE or (DOCS / nav).is_file() else None


def on_files(files: Files, config: Any) -> Files:
    for page, source in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for name, title in FRAME.findall((DOCS / "gallery.md").read_text(encoding="utf-8")):
        files.remove(files.src_uris[f"gallery/{name}.npz"])
        files.append(File.generated(config, f"gallery/{name}.html", content=_player(name, title)))
    return files


def _player(name: str, title: str) -> str:
    """The page that plays a motion of the gallery."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        write_page([Motion.load(DOCS / "gallery" / f"{name}.npz")], page, [title])
        return page.read_text(encoding="utf-8")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    source = ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    if page.file.src_uri == "gallery.md":  # which has no headings
        page.meta["hide"] = ["toc"]
    return linked(markdown, ROOT / source, config.repo_url)


def linked(markdown: str, source: Path, repository: str | None = None) -> str:
    """The text of a file of the repository with its links as the site has them."""
    pages = {(ROOT / file).resolve(): page for page, file in ELSEWHERE.items()}

    def target(match: re.Match[str]) -> str:
        picture, text, link = match.groups()
        path, _, anchor = link.partition("#")
        if not path or re.match(r"[a-z]+:", link):
            return match[0]
        file = (source.parent / path).resolve()
        anchor = anchor and f"#{anchor}"
        if file in pages:
            return f"{picture}[{text}]({pages[file]}{anchor})"
        if file.is_relative_to(DOCS) and file.exists():
            return f"{picture}[{text}]({file.relative_to(DOCS).as_posix()}{anchor})"
        if not file.exists():  # a page that is still to come is plain text; mkdocs names anything else
            return text if file.parent == DOCS and f": {file.name}" in NAVIGATION else match[0]
        where = file.relative_to(ROOT).as_posix()
        return f"[{text}]({repository}/blob/main/{where}{anchor})" if repository else text

    return LINK.sub(target, markdown)
