"""What was not taken, as a CSV file beside the imported one: it can be put right and imported itself."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from api.importing.model import Rejection

#: The columns before the row's own cells.
ABOUT = ("line", "column", "looks like", "reason")

# A spreadsheet runs a cell that begins so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rejected_path(source: Path) -> Path:
    """`invoices.rejected.csv` beside `invoices.csv`."""
    return source.with_name(f"{source.stem}.rejected.csv")


def write_rejected(source: Path, headers: Sequence[str], rejections: Sequence[Rejection]) -> Path | None:
    """Write the rejected rows beside `source`, readable by its owner only.

    None where there are none; a report of an earlier import is removed then.
    """
    path = rejected_path(source)
    if not rejections:
        path.unlink(missing_ok=True)
        return None
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*ABOUT, *map(harmless, headers)])
    for each in sorted(rejections, key=lambda rejection: rejection.line):
        about = (str(each.line), each.column, each.shape, each.reason)
        writer.writerow([harmless(cell) for cell in (*about, *each.cells)])
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.getvalue().encode("utf-8-sig"))
    partial.replace(path)
    return path


def harmless(cell: str) -> str:
    """The cell as text that no spreadsheet runs; numbers stay numbers."""
    if not cell.lstrip().startswith(_FORMULA) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(cell: str) -> bool:
    return cell.strip().lstrip("+-").replace(".", "").replace(",", "").isdigit()
