"""What processes that work together do with tensors, values and failures, in two real processes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.processes.launch import launched
from mdreid_bench.processes.ranks import ALONE, PeerFailedError, Ranks
from mdreid_bench.training.forward import Forward
from tests.cli.running import environment
from tests.processes.together import Team
from tests.support import build, small_config

CPU = torch.device("cpu")
ROWS, WIDTH = 6, 4


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team(tmp_path_factory.mktemp("ranks"), environment(OMP_NUM_THREADS="1"))


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def _rows() -> Tensor:
    return torch.randn(ROWS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _loss(features: Tensor, head: Tensor) -> Tensor:
    """A loss in which every row meets every other."""
    distances = torch.cdist(features, features.detach() + 1)
    return (distances.amin(1) * head).sum() + features.prod(1).square().sum()


def _gradients(ranks: Ranks) -> tuple[float, list[Tensor], Tensor]:
    """Return loss, gradients of all parameters and the gathered rows, of a model whose rows are shared out."""
    model, head = _model(), nn.Parameter(torch.linspace(1, 2, ROWS, dtype=torch.float64))
    share = ROWS // ranks.size
    gathered = ranks.gather(model(_rows()[ranks.rank * share : (ranks.rank + 1) * share]))
    loss = _loss(gathered, head)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [*model.parameters(), head]
    ranks.average_gradients(parameters)
    return loss.item(), [p.grad for p in parameters if p.grad is not None], gathered.detach()


def gather_types() -> list[tuple[bool, bool]]:
    """Return for each type and shape whether the rows of both processes came back as they are."""
    ranks, found = Ranks.join(CPU), []
    for shape in ((2,), (2, 3), (2, 3, 5)):
        for dtype in (torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float16, torch.float32):
            whole = torch.randint(0, 2 if dtype == torch.bool else 100, (4, *shape[1:]), generator=_generator())
            rows = whole.to(dtype)[2 * ranks.rank : 2 * ranks.rank + 2]
            gathered = ranks.gather(rows.transpose(0, -1).contiguous().transpose(0, -1))  # not contiguous
            found.append((gathered.dtype == dtype, torch.equal(gathered, whole.to(dtype))))
    return found


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def gradients_together() -> tuple[float, list[Tensor], Tensor]:
    return _gradients(Ranks.join(CPU))


def half_gradients() -> tuple[torch.dtype, Tensor]:
    """Return the gradient through gathered bf16 rows."""
    ranks = Ranks.join(CPU)
    rows = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    weights = torch.arange(12, dtype=torch.bfloat16).view(4, 3)
    (ranks.gather(rows) * weights).sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    return rows.grad.dtype, rows.grad


def values() -> dict[str, Any]:
    """Return what the exchanges of plain values and weights give."""
    ranks = Ranks.join(CPU)
    torch.manual_seed(ranks.rank)
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module(torch.randn(3 + ranks.rank, 2))
    if ranks.leads:
        module(torch.randn(3, 2))
    ranks.share_weights(module)
    unused = nn.Parameter(torch.ones(1))
    ranks.average_gradients([unused])
    return {
        "rank": (ranks.rank, ranks.size, ranks.leads),
        "agree": ranks.agree({"of": ranks.rank}),
        "collect": ranks.collect(f"from {ranks.rank}"),
        "weights": module.state_dict(),
        "unused": unused.grad,
    }


def failures() -> list[tuple[str, str]]:
    """Let work fail here and there and return what each process is told; all go on after it."""
    ranks, told = Ranks.join(CPU), []

    def fail(*where: int) -> int:
        if ranks.rank in where:
            raise DataError(f"broken in {ranks.rank}")
        return ranks.rank

    def silent() -> None:
        if ranks.rank == 1:
            raise RuntimeError

    for work in (lambda: fail(1), lambda: fail(0), lambda: fail(0, 1), silent):
        try:
            with ranks.together():
                work()
        except Exception as error:
            told.append((type(error).__name__, str(error)))
    with ranks.together():
        found = fail()
    told.append(("", str(ranks.agree(found))))
    return told


def failing_backward() -> list[str]:
    """Let the second process fail on the way back through gathered rows; return what each is told."""
    ranks, told = Ranks.join(CPU), []
    for place in ("after the gathering", "before the gathering"):
        own = torch.ones(2, 3, requires_grad=True) * 1
        gathered = ranks.gather(own)

        def fail(gradient: Tensor) -> Tensor:
            if ranks.rank == 1:
                raise RuntimeError("no room")
            return gradient

        (gathered if place.startswith("after") else own).register_hook(fail)  # type: ignore[no-untyped-call]
        try:
            with ranks.together():
                gathered.sum().backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            told.append(str(error))
    return told


def several() -> tuple[Any, ...]:
    """Do all of it after one meeting."""
    return gather_types(), gradients_together(), half_gradients(), values(), failures(), failing_backward()


@pytest.fixture(scope="module")
def answers(team: Team) -> list[Any]:
    ended = team(several)
    assert ended.codes == [0, 0], ended.stderr
    return ended.answers


def test_rows_of_any_type_come_back_in_order(answers: list[Any]) -> None:
    assert all(found == [(True, True)] * 18 for found in (answer[0] for answer in answers))


def test_gathered_gradients_are_those_of_one_process(answers: list[Any]) -> None:
    loss, gradients, rows = _gradients(ALONE)
    for ours, theirs, gathered in (answer[1] for answer in answers):
        assert ours == pytest.approx(loss, abs=1e-12)
        torch.testing.assert_close(gathered, rows, rtol=0, atol=1e-12)
        torch.testing.assert_close(theirs, gradients, rtol=0, atol=1e-12)


def test_gradients_of_bf16_rows_are_those_of_all_losses(answers: list[Any]) -> None:
    weights = torch.arange(12, dtype=torch.bfloat16).view(2, 2, 3)
    for rank, (dtype, gradient) in enumerate(answer[2] for answer in answers):
        assert dtype == torch.bfloat16
        assert torch.equal(gradient, 2 * weights[rank])  # two processes, each with the same loss


def test_plain_values(answers: list[Any]) -> None:
    leader, other = (answer[3] for answer in answers)
    assert (leader["rank"], other["rank"]) == ((0, 2, True), (1, 2, False))
    assert leader["agree"] == other["agree"] == {"of": 0}
    assert (leader["collect"], other["collect"]) == (["from 0", "from 1"], [])
    assert leader["unused"] is other["unused"] is None
    assert int(leader["weights"]["1.num_batches_tracked"]) == 2
    assert all(torch.equal(value, other["weights"][name]) for name, value in leader["weights"].items())


def test_what_fails_in_one_fails_in_all(answers: list[Any]) -> None:
    first, second = (answer[4] for answer in answers)
    assert first == [
        ("PeerFailedError", "Process 1 of 2 failed: broken in 1"),
        ("DataError", "broken in 0"),
        ("DataError", "broken in 0"),
        ("PeerFailedError", "Process 1 of 2 failed: RuntimeError"),
        ("", "0"),
    ]
    assert second == [
        ("DataError", "broken in 1"),
        ("PeerFailedError", "Process 0 of 2 failed: broken in 0"),
        ("DataError", "broken in 1"),
        ("RuntimeError", ""),
        ("", "0"),
    ]


def test_what_fails_on_the_way_back_fails_in_all(answers: list[Any]) -> None:
    first, second = (answer[5] for answer in answers)
    assert first == ["Process 1 of 2 failed: no room"] * 2
    assert second == ["no room"] * 2


def test_one_process_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert Ranks.join(CPU) == ALONE
    rows = torch.ones(2, 3, requires_grad=True)
    assert ALONE.gather(rows) is rows
    assert ALONE.leads
    assert (ALONE.agree(3), ALONE.collect(4)) == (3, [4])
    with pytest.raises(DataError), ALONE.together():
        raise DataError("no")
    parameter = nn.Parameter(torch.ones(1))
    parameter.grad = torch.full((1,), 7.0)
    ALONE.average_gradients([parameter])
    assert parameter.grad.item() == 7
    assert issubclass(PeerFailedError, Exception)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, (0, 1)),
        ({"MASTER_ADDR": "host", "RANK": "3", "WORLD_SIZE": "4"}, (3, 4)),
        ({"MASTER_ADDR": "host", "RANK": "0", "WORLD_SIZE": "1"}, (0, 1)),
        ({"MASTER_ADDR": "host", "WORLD_SIZE": "4"}, (0, 1)),
        ({"MASTER_ADDR": "host", "RANK": "x", "WORLD_SIZE": "4"}, (0, 1)),
    ],
)
def test_what_launchers_say(
    variables: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MASTER_ADDR", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


@pytest.mark.parametrize("port", [None, "", "x"])
def test_a_missing_port_is_named(port: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MASTER_ADDR": "127.0.0.1", "RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    if port is not None:
        monkeypatch.setenv("MASTER_PORT", port)
    with pytest.raises(UsageError, match="MASTER_PORT is not a number; start them with torchrun"):
        Ranks.join(CPU)


@pytest.mark.parametrize(
    ("local", "said", "devices", "sentence"),
    [
        (
            "0",
            "2",
            1,
            r"2 processes were started on a machine with 1 CUDA device, .*start 1 \(torchrun --nproc-per-node 1\)",
        ),
        ("1", "2", 1, "2 processes were started on a machine with 1 CUDA device, "),
        ("2", None, 2, "3 processes were started on a machine with 2 CUDA devices, "),
    ],
    ids=["the first", "another", "a launcher that does not say how many"],
)
def test_more_processes_than_gpus_are_refused_by_each_of_them(
    local: str, said: str | None, devices: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"MASTER_ADDR": "host", "MASTER_PORT": "1", "RANK": local, "WORLD_SIZE": "4", "LOCAL_RANK": local}
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for name, value in (known | ({"LOCAL_WORLD_SIZE": said} if said else {})).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    with pytest.raises(UsageError, match=sentence):
        Ranks.join(torch.device("cuda"))


def test_batches_that_cannot_be_shared_are_refused() -> None:
    method, config = build("mdreid"), small_config("mdreid")
    Forward(method, config, "fp32", Ranks(0, 4))
    with pytest.raises(UsageError, match="A batch of 8 items cannot be shared equally by 3 processes"):
        Forward(method, config, "fp32", Ranks(0, 3))
    with pytest.raises(UsageError, match=r"random cannot take a batch apart.*without more than one process"):
        Forward(build("random"), small_config("random"), "fp32", Ranks(0, 2))
