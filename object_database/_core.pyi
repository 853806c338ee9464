"""The compiled core. Names that are not listed here are typed as Any."""

from typing import Any

def __getattr__(name: str) -> Any: ...
