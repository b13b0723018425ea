"""YAML as plain data: safe tags alone, no aliases, nothing nested without end."""

from typing import Any

import yaml

_DEEPEST = 40


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, with which a short file can stand for a tree that fills the memory, and endless nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose the next node.

        Raises:
            yaml.YAMLError: for an alias, or a node too deep.
        """
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        self.depth += 1
        if self.depth > _DEEPEST:
            raise yaml.YAMLError(f"nested more than {_DEEPEST} deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def load(text: str) -> Any:
    """Read a YAML document.

    Raises:
        yaml.YAMLError: when it is not one, or holds more than plain data.
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (ValueError, TypeError, OverflowError) as error:  # impossible dates, keys that are mappings, huge numbers
        raise yaml.YAMLError(str(error)) from None
