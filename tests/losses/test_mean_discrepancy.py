"""MMD against loops over pairs, and what it must be for equal and for far sets."""

import math

import pytest
import torch

from mdreid_bench.losses.mean_discrepancy import mean_discrepancy

GENERATOR = torch.Generator()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR.manual_seed(sum(shape)), dtype=torch.float64)


def by_loops(first: torch.Tensor, second: torch.Tensor) -> float:
    rows = [*first.tolist(), *second.tolist()]
    squared = [[math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    n, m = len(rows), len(first)
    mean = sum(map(sum, squared)) / (n * n - n)
    kernel = [[sum(math.exp(-d / (mean / 4 * 2**i + 1e-9)) for i in range(5)) for d in row] for row in squared]

    def block(a: range, b: range) -> float:
        return sum(kernel[i][j] for i in a for j in b) / (len(a) * len(b))

    x, y = range(m), range(m, n)
    return block(x, x) + block(y, y) - block(x, y) - block(y, x)


@pytest.mark.parametrize("sizes", [(4, 4), (3, 7), (1, 5)])
def test_it_equals_loops_over_pairs(sizes: tuple[int, int]) -> None:
    first, second = draw(sizes[0], 6), 0.5 * draw(sizes[1], 6) + 0.3
    assert mean_discrepancy(first, second).item() == pytest.approx(by_loops(first, second), abs=1e-12)


def test_each_pair_of_sets_is_by_itself() -> None:
    first, second = draw(2, 4, 3), draw(2, 5, 3)
    found = mean_discrepancy(first, second)
    for row in range(2):
        torch.testing.assert_close(found[row], mean_discrepancy(first[row], second[row]), rtol=0, atol=1e-12)


def test_equal_sets_do_not_differ_and_far_ones_differ_by_all_kernels() -> None:
    first = draw(4, 3)
    assert mean_discrepancy(first, first).item() == pytest.approx(0, abs=1e-12)
    same = torch.ones(3, 2, requires_grad=True)
    loss = mean_discrepancy(same, torch.ones(3, 2))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert same.grad is not None
    assert bool(torch.isfinite(same.grad).all())
    apart = torch.zeros(2, 2, dtype=torch.float64)
    mean = 8 * 9 / 12  # of the squared distances, four of the six pairs being 3 apart
    wanted = 2 * (5 - sum(math.exp(-9 / (mean / 4 * 2**i)) for i in range(5)))
    assert mean_discrepancy(apart, apart + torch.tensor([3.0, 0])).item() == pytest.approx(wanted)
