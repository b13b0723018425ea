"""Pretrains the small trunks that stand in for published ones: ``python -m mdreid_bench.pretrain NAME OUT``."""
