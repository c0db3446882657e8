"""Alembic's entry: runs the revisions on the connection that `lunas.ledger.migrations` hands over."""

from typing import Any, Literal

from alembic import context

from lunas.ledger.errors import LedgerError
from lunas.ledger.tables import Base
from lunas.ledger.tables.base import Moment


def render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Write the column type that the database has: a revision must not change when our types do."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


connection = context.config.attributes.get("connection")
if connection is None:
    raise LedgerError("the revisions run on a connection of the ledger: use `lunas migrate`, not alembic's own command")

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
    render_item=render,
)
with context.begin_transaction():
    context.run_migrations()
