"""A time-skipping server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.workflows.outside import time_skipping_server


@pytest.fixture
async def env() -> AsyncIterator[WorkflowEnvironment]:
    """A server of its own for each test: time skipped for one test would age another's invoices."""
    async with time_skipping_server() as server:
        yield server
