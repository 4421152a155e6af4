"""Writes a working engine to start from: a small sigmoid network, in three languages."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class Language:
    """What an engine in a language is made of.

    Attributes:
        sources: where each file comes from in this package, by its name in the new folder.
        build: the command that builds it, with {folder}; "" if nothing is to be built.
        run: the command line that starts it, with {folder}.
    """

    sources: dict[str, str]
    build: str
    run: str


LANGUAGES = {
    "python": Language(
        {
            # text, since it runs beside serving.py only
            "engine.py": "engines/templates/python/engine.py.txt",
            "serving.py": "engines/processes/serving.py",
            "README.md": "engines/templates/python/README.md",
        },
        build="",
        run="python {folder}/engine.py",
    ),
    "javascript": Language(
        {
            "engine.js": "engines/templates/javascript/engine.js",
            "README.md": "engines/templates/javascript/README.md",
        },
        build="",
        run="node {folder}/engine.js",
    ),
    "c": Language(
        {
            "engine.c": "engines/templates/c/engine.c",
            "Makefile": "engines/templates/c/Makefile",
            "README.md": "engines/templates/c/README.md",
        },
        build="make -C {folder}",
        run="{folder}/engine",
    ),
}


def new_engine(language: str, folder: Path) -> list[str]:
    """Write an engine into a folder, which is made if need be.

    Args:
        language: a name in LANGUAGES.
        folder: where to.

    Returns:
        The commands that build and verify it.

    Raises:
        ValueError: an unknown language.
        FileExistsError: one of its files is there already; nothing is written then.
        OSError: the folder or a file cannot be written.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language={language!r}; it must be one of {', '.join(LANGUAGES)}")
    kind = LANGUAGES[language]
    present = [name for name in kind.sources if (folder / name).exists()]
    if present:
        raise FileExistsError(f"{folder} has {', '.join(present)} already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    package = files("gradcheck")
    for name, source in kind.sources.items():
        with (folder / name).open("x", encoding="utf-8", newline="\n") as file:
            file.write((package / source).read_text(encoding="utf-8"))
    return commands(kind, folder)


def commands(kind: Language, folder: Path) -> list[str]:
    """Return the commands that build and verify the engine in a folder.

    >>> commands(LANGUAGES["c"], Path("mine"))
    ['make -C mine', 'python -m gradcheck verify cmd:mine/engine']
    """
    place = shlex.quote(str(folder))
    build = [kind.build.format(folder=place)] if kind.build else []
    engine = shlex.quote(f"cmd:{kind.run.format(folder=place)}")
    return [*build, f"python -m gradcheck verify {engine}"]
