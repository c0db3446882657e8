"""The commands of `lunas`, a module a subject. `api/cli.py` puts them together."""
