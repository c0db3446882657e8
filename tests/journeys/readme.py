"""The README's life of an invoice, generated from the table: `python -m tests.journeys.readme` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from lunas.receivables.describe import diagram, table

README = Path(__file__).parents[2] / "README.md"
_PART = re.compile(r"(<!-- lifecycle:start -->\n).*?(<!-- lifecycle:end -->)", re.DOTALL)


def with_lifecycle(text: str) -> str:
    """The README's text with the diagram and the table as they are today."""
    life = (
        f"```mermaid\n{diagram().strip()}\n```\n\n"
        "<details>\n<summary>The whole table</summary>\n\n"
        f"{table().strip()}\n\n</details>\n"
    )
    return _PART.sub(lambda match: match[1] + life + match[2], text)


if __name__ == "__main__":
    README.write_text(with_lifecycle(README.read_text()))
