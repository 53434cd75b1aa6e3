"""Links from the first use of a term to the glossary."""

from __future__ import annotations

import re

KEPT = re.compile(
    r"(```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|!?\[[^\]]*\]\([^)]*\)|<[^>]+>|^#.*?$)", re.DOTALL | re.MULTILINE)


def anchor(term: str) -> str:
    """The id of a term in the page of the glossary, as "term-growth-rate"."""
    return "term-" + re.sub(r"\W+", "-", term.lower()).strip("-")


def with_anchors(glossary: str) -> tuple[str, list[str]]:
    """The glossary's Markdown with an id at each bold term, and the terms.

    Args:
        glossary: Markdown whose terms are bold.
    """
    terms: list[str] = []

    def mark(found: re.Match) -> str:
        terms.append(found[1])
        return f"[**{found[1]}**]{{#{anchor(found[1])}}}"

    return re.sub(r"\*\*([^*]+)\*\*", mark, glossary), terms


def with_links(text: str, terms: list[str], linked: set[str]) -> str:
    """Markdown in which the first use of each term leads to the glossary.

    Args:
        text: Markdown; code, formulas, links, tags and headings in it are left alone.
        terms: the words to look for, whole, in any case, with or without an s.
        linked: the terms that have their link already; those that get one are added.
    """
    parts = KEPT.split(text)
    for k in range(0, len(parts), 2):  # the odd ones are what is left alone
        for term in sorted(set(terms) - linked, key=len, reverse=True):
            pattern = rf"(?<![\w\[/-])({re.escape(term)}s?)(?![\w\]/-])"
            found = re.search(pattern, parts[k], re.IGNORECASE)
            inside = found and re.search(r"\[[^\]]*$", parts[k][: found.start()])
            if found and not inside:
                linked.add(term)
                parts[k] = f"{parts[k][:found.start()]}[{found[1]}](#{anchor(term)}){parts[k][found.end():]}"
    return "".join(parts)
