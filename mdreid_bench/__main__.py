"""``python -m mdreid_bench``, as launchers of several processes need it."""

from mdreid_bench.cli.app import main

if __name__ == "__main__":
    main()
