"""Makes Temporal ready for Lunas: the namespace, and the search attributes of `workflows.visibility.REGISTRY`.

    python -m deploy.temporal.register

The server and the namespace are those of the environment (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …). Safe to repeat:
what is there stays as it is. Exit codes: 0 all there; 1 not, with a sentence that says what to do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from datetime import timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from workflows.visibility import REGISTRY

Say = Callable[[str], None]
_T = TypeVar("_T")

#: How long a closed workflow stays readable in the Temporal UI; the ledger keeps the record for ever.
RETENTION = timedelta(days=90)
#: How long a server may take to come up, and a new namespace to be known to all of its parts.
PATIENCE = timedelta(seconds=60)
_POLL_SECONDS = 0.5
_CALL = timedelta(seconds=5)
_NOT_YET = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})
_NOT_OURS = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED})


class CannotRegister(RuntimeError):
    """Temporal is not ready for Lunas; the message says what is missing and what to do."""


def value_type(kind: str) -> IndexedValueType.ValueType:
    """The server's number for a type in the CLI's words (`Keyword`, `KeywordList`, …); raises ValueError for others."""
    for name, number in IndexedValueType.items():
        if name.removeprefix("INDEXED_VALUE_TYPE_").replace("_", "") == kind.upper():
            return number
    raise ValueError(f"Temporal has no search attributes of type {kind!r}")


async def register(
    client: Client,
    say: Say,
    *,
    attributes: Mapping[str, str] = REGISTRY,
    retention: timedelta = RETENTION,
    patience: timedelta = PATIENCE,
) -> None:
    """Make the client's namespace and the attributes, where they are missing; `say` hears what was found and done.

    `retention` is for a new namespace only. Raises CannotRegister.
    """
    wanted = {name: value_type(kind) for name, kind in attributes.items()}
    try:
        await _namespace(client, say, retention, patience)
        await _search_attributes(client, say, wanted, patience)
    except RPCError as error:
        if error.status in _NOT_OURS:
            named = ", ".join(f"{name} ({kind})" for name, kind in attributes.items())
            raise CannotRegister(
                f"this Temporal does not let us register anything ({error.status.name}); make the namespace "
                f"{client.namespace} by its own tools, with these search attributes: {named}"
            ) from error
        raise CannotRegister(f"Temporal refuses ({error.status.name}): {error.message}") from error
    except RuntimeError as error:  # all that the SDK says while nobody listens
        if isinstance(error, CannotRegister):
            raise
        raise CannotRegister("Temporal cannot be reached: start it, or set TEMPORAL_ADDRESS") from error


async def _namespace(client: Client, say: Say, retention: timedelta, patience: timedelta) -> None:
    describe = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        await _once_up(lambda: client.workflow_service.describe_namespace(describe, timeout=_CALL), patience)
        say(f"namespace {client.namespace}: there")
        return
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    keep = Duration()
    keep.FromTimedelta(retention)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=keep), timeout=_CALL
    )
    say(f"namespace {client.namespace}: made; closed workflows stay readable for {retention.days} days")


async def _search_attributes(
    client: Client, say: Say, wanted: Mapping[str, IndexedValueType.ValueType], patience: timedelta
) -> None:
    # A namespace that was just made is not known to every part of a cluster at once.
    found = await _once_up(lambda: _registered(client), patience, also=RPCStatusCode.NOT_FOUND)
    for name in sorted(wanted.keys() & found.keys()):
        if found[name] != wanted[name]:
            raise CannotRegister(
                f"search attribute {name} is {_word(found[name])} in namespace {client.namespace}, and Lunas needs "
                f"{_word(wanted[name])}: use another namespace, or rename the old attribute"
            )
    missing = {name: wanted[name] for name in wanted if name not in found}
    if missing:
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        await client.operator_service.add_search_attributes(request, timeout=_CALL)
        await _until_shown(client, missing.keys(), patience)
    for name, kind in wanted.items():
        say(f"search attribute {name} ({_word(kind)}): {'made' if name in missing else 'there'}")


async def _registered(client: Client) -> Mapping[str, IndexedValueType.ValueType]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    return (await client.operator_service.list_search_attributes(request, timeout=_CALL)).custom_attributes


async def _until_shown(client: Client, names: Set[str], patience: timedelta) -> None:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while not names <= (await _registered(client)).keys():
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise CannotRegister("Temporal took the search attributes, but does not show them yet: repeat this") from None


async def _once_up(call: Callable[[], Awaitable[_T]], patience: timedelta, also: RPCStatusCode | None = None) -> _T:
    """The call's answer, asked again while the server is still coming up; raises what it raises after `patience`."""
    clock = asyncio.get_running_loop().time
    until = clock() + patience.total_seconds()
    while True:
        try:
            return await call()
        except (RPCError, RuntimeError) as error:
            status = error.status if isinstance(error, RPCError) else RPCStatusCode.UNAVAILABLE
            if clock() >= until or (status not in _NOT_YET and status is not also):
                raise
        await asyncio.sleep(_POLL_SECONDS)


def _word(kind: IndexedValueType.ValueType) -> str:
    return IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").replace("_", " ").title().replace(" ", "")


async def _run(retention: timedelta, patience: timedelta, say: Say) -> None:
    options = ClientConfig.load_client_connect_config()
    options.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**options, lazy=True)
    await register(client, say, retention=retention, patience=patience)
    say("Temporal is ready for Lunas.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Register by the environment; the answer is the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.temporal.register", description="Makes Temporal ready for Lunas; safe to repeat."
    )
    parser.add_argument(
        "--retention-days", type=int, default=RETENTION.days, help="for a new namespace (default: %(default)s)"
    )
    parser.add_argument(
        "--wait", type=float, default=PATIENCE.total_seconds(), help="seconds for Temporal to come up (%(default)s)"
    )
    given = parser.parse_args(arguments)
    try:
        asyncio.run(_run(timedelta(days=given.retention_days), timedelta(seconds=given.wait), print))
    except CannotRegister as error:
        sys.stderr.write(f"register: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a Temporal client's threads may abort an interpreter that is closing
