"""The pages people read, and what is in their blocks."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    """The fenced blocks of a page that are in this language; "" for those that name none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [text for written, text in found if written == language]


def commands(page):
    """The commands of its blocks of bash, as lists of words; those joined by |, && or ; apart."""
    found = []
    for block in blocks(page, "bash"):
        for line in re.sub(r"\\\n| [<>]+ *\S+", " ", block).splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
            lexer.whitespace_split = True
            words = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;"):
                    found.append(words)
                    words = []
                elif words or not re.match(r"\w+=", word):
                    words.append(word)
    return [words for words in found if words]
