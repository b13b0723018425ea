"""The command line; on a system where it cannot work it says so, and nothing else, before anything is imported."""

import sys

from mdreid_bench import OTHER_SYSTEM, is_supported
from mdreid_bench.errors import UsageError

if not is_supported():
    sys.stderr.write(f"{OTHER_SYSTEM}\n")
    raise SystemExit(UsageError.exit_code)
