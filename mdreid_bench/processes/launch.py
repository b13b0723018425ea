"""What a launcher such as ``torchrun`` says of this process in its environment."""

import os


def launched() -> tuple[int, int]:
    """Return the number of this process and how many there are; (0, 1) when nothing launched several."""
    if "MASTER_ADDR" not in os.environ:
        return 0, 1
    rank, size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    return (int(rank), int(size)) if rank.isdecimal() and size.isdecimal() else (0, 1)
