"""Write every golden file anew: `python -m tests.journeys`. Then read the difference before it is committed."""

from __future__ import annotations

import sys

from tests.journeys.scenes import GOLDEN, SCENES, tell


def main() -> None:
    """Write what has changed, and remove what no scene tells any more."""
    for name in SCENES:
        file, told = GOLDEN / f"{name}.txt", tell(name)
        if not file.exists() or file.read_text(encoding="utf-8") != told:
            file.write_text(told, encoding="utf-8")
            sys.stdout.write(f"wrote {file.name}\n")
    for file in GOLDEN.glob("*.txt"):
        if file.stem not in SCENES:
            file.unlink()
            sys.stdout.write(f"removed {file.name}\n")


if __name__ == "__main__":
    main()
