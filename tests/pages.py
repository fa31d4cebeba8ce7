"""The pages people read, and the commands on them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("avsf-det", "ava-eval", "torchrun", "make")


def blocks(page):
    """The fenced blocks of shell, and those without a language that begin with one of our commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    shell = ("sh", "bash", "shell", "console")
    return [text for language, text in found if language in shell or (not language and text.startswith(PROGRAMS))]


def commands(page):
    """The commands of those blocks, as lists of words; those joined by |, && or ; apart."""
    found = []
    for block in blocks(page):
        lines = re.sub(r"\\\n| [<>]+ *\S+", " ", block).splitlines()
        if any(line.startswith("$ ") for line in lines):
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
            lexer.whitespace_split = True
            words = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;"):
                    found.append(words)
                    words = []
                elif words or not re.match(r"\w+=", word):
                    words.append(word)
    return [_without_torchrun(words) for words in found if words]


def _without_torchrun(words):
    return ["avsf-det", *words[words.index("avsf_det") + 1 :]] if words[0] == "torchrun" else words


def python(page):
    """The fenced blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def of(page, *names):
    """What follows the names of programs: the arguments of each of their commands."""
    return [words[1:] for words in commands(page) if words[0] in names]
