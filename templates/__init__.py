"""The words that customers read: messages, documents and the texts around them; and what reads and typesets them."""

from pathlib import Path

#: Where the shipped templates are; a directory with the same layout may override any of them.
ROOT = Path(__file__).resolve().parent
