"""The tree of the package for docs/DESIGN.md: a line per file, which is the first sentence of its docstring.

python dev/tree.py          writes it between the markers of the page
python dev/tree.py --check  exit status 1 where the page is not current
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "DESIGN.md"
BEGIN, END = "<!-- tree: python dev/tree.py -->", "<!-- end of tree -->"


def head(file: Path) -> str:
    """The first sentence of a module's docstring."""
    text = " ".join((ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[a-z0-9)`])[.](?= [A-Z])|\.$", text)[0]


def tree(package: Path = ROOT / "motionllm") -> str:
    """Markdown: the files at the top, then each folder with its own."""
    folders = [package, *sorted(file.parent for file in package.rglob("__init__.py") if file.parent != package)]
    blocks = []
    for folder in folders:
        files = sorted(file for file in folder.glob("*.py") if file.name != "__init__.py")
        name = folder.relative_to(package.parent).as_posix()
        blocks.append(f"**`{name}/`**: {head(folder / '__init__.py')}\n")
        blocks += [f"- `{file.name}`: {head(file)}" for file in files]
        blocks.append("")
    return "\n".join(blocks)


def page() -> str:
    """The page with the tree as the code is."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tree()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    current = page()
    if "--check" in sys.argv[1:]:
        sys.exit(current != PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(current, encoding="utf-8")
