from typing import Any


class ToolBox:
    def __init__(self, tools: Any) -> None:
        raise NotImplementedError

    schemas: Any = ()

    def parse(self, text: str) -> Any: ...
    def run(self, call: Any) -> Any: ...
