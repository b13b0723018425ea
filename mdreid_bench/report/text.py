"""Text from records and users made safe to show."""


def printable(text: str) -> str:
    """Replace control, format and line-breaking characters, which could steer a terminal, by U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
