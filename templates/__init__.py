"""The words that customers read: messages, documents and the texts around them. Data, apart from `grammar`."""

from pathlib import Path

#: Where the shipped templates are; a directory with the same layout may override any of them.
ROOT = Path(__file__).resolve().parent
