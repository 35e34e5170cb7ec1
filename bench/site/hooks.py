"""Hooks of MkDocs: add generated pages, adapt links to the site, and check what was built."""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import TYPE_CHECKING, Any

from bench.site.built_pages import find_faults

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PROJECT_PAGES = ("CONTRIBUTING.md", "STYLE.md", "SECURITY.md", "CHANGELOG.md", "cluster/README.md")
"""Pages that lie outside `docs/` in the tree and below `project/` on the site."""

_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s:]+?)(#[^)\s]*)?\)")


def on_files(files: "Files", config: "MkDocsConfig", **_: Any) -> "Files":
    """Add the pages that are generated from the program and those that lie outside `docs/`."""
    from mkdocs.structure.files import File

    from bench.site.cli_reference import cli_page, exit_codes_page
    from bench.site.model_reference import config_page, events_page

    pages = {
        "reference/cli.md": cli_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/config.md": config_page(),
        "reference/events.md": events_page(),
    }
    for name in PROJECT_PAGES:
        pages[f"project/{name}"] = (ROOT / name).read_text(encoding="utf-8")
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: Any) -> str:
    """Point links between the tree's pages at their places on the site."""
    return rewrite_links(markdown, page.file.src_uri)


def on_post_build(config: "MkDocsConfig", **_: Any) -> None:
    """Fail the build on a request to another host or a page that no link reaches."""
    from mkdocs.exceptions import PluginError

    faults = find_faults(Path(config.site_dir))
    if faults:
        raise PluginError("\n".join(faults))


def rewrite_links(markdown: str, page: str) -> str:
    """Rewrite the relative links of a page whose place on the site is `page`.

    A link to source code, which the site does not have, becomes its text. Links in code are left.
    """
    source = place_in_tree(page)

    def rewrite(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        wanted = normpath(str(PurePosixPath(source).parent / target))
        place = place_on_site(wanted)
        if place is not None:
            return f"[{label}]({relpath(place, str(PurePosixPath(page).parent))}{anchor})"
        # What is neither there nor on the site stays a link, and the strict build refuses it.
        return label if (ROOT / wanted).exists() else match[0]

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(p if p.startswith("```") else _LINK.sub(rewrite, p) for p in parts)


def place_in_tree(page: str) -> str:
    """Return the path in the tree of a page of the site."""
    return page.removeprefix("project/") if page.startswith("project/") else f"docs/{page}"


def place_on_site(path: str) -> str | None:
    """Return the site's page for a file of the tree, or None where the site has none."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "README.md":
        return "index.md"
    return f"project/{path}" if path in PROJECT_PAGES else None
