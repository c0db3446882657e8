"""How messages become JSON and back: Pydantic's way, with what it learns about a type learnt once a process.

The SDK makes a converter for each workflow, and Pydantic's begins with an empty cache: to find out again how a whole
invoice is read cost every workflow more than all of its decisions together. The bytes are the same with either.
"""

from __future__ import annotations

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

_CONVERTERS = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """Pydantic's converters, the same ones in every workflow; they are safe to use from several threads."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


#: The converter of every client and worker, here and in tests.
data_converter = DataConverter(payload_converter_class=SharedPayloadConverter)
