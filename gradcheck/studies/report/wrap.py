"""Long lines of a page in Markdown, broken where they may be."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 100
"""Of a line, unless one word is longer; code and links are one word."""

_WORDS = re.compile(r"(?:`[^`]*`|!?\[[^\]]*\]\([^)]*\)|\S)+")
_KEPT = ("|", "#", "```", "!", "<")
"""How lines begin that are kept as they are: tables, headings, code, figures, HTML."""
_ITEM = re.compile(r"[-*+] |\d+[.)] |> ")
_BLOCK = re.compile(r"[-+*]$|>|#+$|[-=]+$|\||~~~|```|\d+[.)]$")
"""Words that would open a list, a quotation or a heading at the beginning of a line."""


def wrapped(page: str, width: int = WIDTH) -> str:
    """Fill the paragraphs, list items and quotations of a page into lines of a width.

    Args:
        page: Markdown.
        width: in characters.
    """
    lines: list[str] = []
    for is_text, block in _blocks(page.splitlines()):
        lines += _filled(block, width) if is_text else [block]
    return "\n".join(lines) + "\n"


def _blocks(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Yield whole paragraphs and items, marked as text, and between them lines as they are."""
    text, is_code = "", False
    for line in lines:
        content = line.lstrip()
        is_code ^= content.startswith("```")
        kept = is_code or not content or content.startswith(_KEPT)
        marker = _marker(content)
        if text and not kept and (not marker or marker == _marker(text) == "> "):
            text += " " + content.removeprefix(marker)
            continue
        if text:
            yield True, text
        text = "" if kept else line
        if kept:
            yield False, line
    if text:
        yield True, text


def _filled(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    marker = _marker(line.lstrip())
    rest = "> " if marker == "> " else " " * len(marker)
    first, later = indent + marker, indent + rest
    filled, start = [], first
    for word in _together(line[len(first) :]):
        if len(start) + len(word) > width and start not in (first, later):
            filled.append(start.rstrip())
            start = later
        start += word + " "
    return [*filled, start.rstrip()]


def _marker(line: str) -> str:
    """Return what makes a line an item or a quotation, "" if nothing does."""
    found = _ITEM.match(line)
    return found[0] if found else ""


def _together(text: str) -> list[str]:
    """Return the words, each that would open a block tied to the word before."""
    words: list[str] = []
    for word in _WORDS.findall(text):
        if words and _BLOCK.match(word):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words
