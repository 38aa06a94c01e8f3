"""AdamW on parameters whose memory is shared, moved or somebody else's: each trains as with `torch.optim.AdamW`."""

import copy
import ctypes

import pytest
import torch
from gpsimd_torch.optim import AdamW
from torch import nn

# The error of one rounding to f32. In one step from moments of zero each of the two optimizers rounds the parameter at
# most twice and the update 8 times.
UNIT = 2.0**-24
KINDS = (torch.optim.AdamW, AdamW)


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(70, 70), nn.Tanh(), nn.Linear(70, 3))


def train(net, optimizer, steps=1, scale=1.0):
    for step in range(steps):
        optimizer.zero_grad()
        x = torch.linspace(-1, 1, 140).view(2, 70) * (step + 1)
        (net(x).square().sum() * scale).backward()
        optimizer.step()


def share(net, optimizer):
    net.share_memory()


def share_moments(net, optimizer):
    for state in optimizer.state.values():
        state["exp_avg"].share_memory_()


def assign_data(net, optimizer):
    for p in net.parameters():
        p.data = p.data.clone() * 0.5


def assign_one_buffer(net, optimizer):
    flat = torch.cat([p.data.reshape(-1) for p in net.parameters()])
    start = 0
    for p in net.parameters():
        p.data = flat[start : start + p.numel()].view_as(p)
        start += p.numel()


def assign_strided(net, optimizer):
    for p in net.parameters():
        wide = torch.zeros(*p.shape, 2)
        wide[..., 0] = p.data
        p.data = wide[..., 0]


def assign_transposed(net, optimizer):
    net[0].weight.data = net[0].weight.data.t().contiguous().t()


def to_and_fro(net, optimizer):
    net.double()
    net.float()


def load_by_assignment(net, optimizer):
    net.load_state_dict({key: value.clone() for key, value in net.state_dict().items()}, assign=True)
    optimizer.param_groups[0]["params"] = list(net.parameters())
    optimizer.state.clear()


def freeze_one(net, optimizer):
    net[0].weight.requires_grad_(False)


def thaw(net, optimizer):
    net[0].weight.requires_grad_(True)


def reload(net, optimizer):
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


@pytest.mark.parametrize(
    "changes",
    [
        (share,),
        (share_moments,),
        (share, share_moments, assign_data),
        (assign_data,),
        (assign_one_buffer, share),
        (assign_strided,),
        (assign_transposed, assign_data),
        (to_and_fro,),
        (load_by_assignment,),
        (freeze_one, thaw),
        (reload, assign_one_buffer),
    ],
    ids=lambda changes: "-".join(change.__name__ for change in changes),
)
@pytest.mark.parametrize("before", [0, 2])
def test_training_goes_on_wherever_the_memory_is(changes, before):
    results = []
    for kind in KINDS:
        net = model()
        optimizer = kind(net.parameters(), lr=1e-2)
        train(net, optimizer, before)
        for change in changes:
            change(net, optimizer)
            train(net, optimizer, 2)
        results.append([p.detach().clone() for p in net.parameters()])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-6)


def test_one_step_differs_by_roundings_alone():
    results, before, lr, decay = [], None, 1e-2, 0.1
    for kind in KINDS:
        net = model()
        before = [p.detach().clone() for p in net.parameters()]
        train(net, kind(net.parameters(), lr=lr, weight_decay=decay))
        results.append([p.detach() for p in net.parameters()])
    for old, theirs, ours in zip(before, *results, strict=True):
        update = (theirs.double() - old.double() * (1 - lr * decay)).abs()
        assert ((ours.double() - theirs.double()).abs() <= UNIT * (4 * old.abs() + 16 * update) + 1e-30).all()


def test_every_mode_gives_the_same_bits():
    import gpsimd_torch

    results = []
    for mode in ("checked", "fast", "auto"):
        with gpsimd_torch.emulation(mode):
            net = model()
            optimizer = AdamW(net.parameters(), lr=1e-2)
            train(net, optimizer, 3)
        moments = [state[key] for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")]
        results.append(torch.cat([t.detach().reshape(-1) for t in (*net.parameters(), *moments)]))
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_whoever_holds_the_memory_sees_the_update():
    net = model()
    earlier = net.state_dict()
    optimizer = AdamW(net.parameters(), lr=1e-2)
    addresses = [p.data_ptr() for p in net.parameters()]
    train(net, optimizer, 2)
    assert [p.data_ptr() for p in net.parameters()] == addresses
    assert all(torch.equal(earlier[name], value) for name, value in net.state_dict().items())


def test_parameters_of_one_memory_are_updated_one_after_another():
    def build(kind):
        buffer = torch.linspace(-1, 1, 6000)
        first, second = nn.Parameter(buffer[:5000]), nn.Parameter(buffer[1000:])
        alone = nn.Parameter(torch.ones(3))
        optimizer = kind([alone, first, second], lr=1e-2)
        for step in range(3):
            for p in (alone, first, second):
                p.grad = torch.linspace(-1, 1 + step, p.numel())
            optimizer.step()
        return buffer

    torch.testing.assert_close(build(AdamW), build(torch.optim.AdamW), rtol=2e-6, atol=2e-6)


def test_strided_parameters_of_one_memory_are_updated_one_after_another():
    def build(kind):
        buffer = torch.linspace(-1, 1, 60)
        params = [nn.Parameter(buffer[::2]), nn.Parameter(buffer), nn.Parameter(buffer[1::3])]
        optimizer = kind(params, lr=1e-2)
        for step in range(3):
            for p in params:
                p.grad = torch.linspace(-1, 1 + step, p.numel())
            optimizer.step()
        return buffer

    torch.testing.assert_close(build(AdamW), build(torch.optim.AdamW), rtol=2e-6, atol=2e-6)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_a_parameter_that_is_there_twice_takes_two_steps():
    results = []
    for kind in KINDS:
        p = nn.Parameter(torch.ones(5))
        optimizer = kind([p, p], lr=1e-2)
        for _ in range(2):
            p.grad = torch.linspace(-1, 1, 5)
            optimizer.step()
        results.append((p.detach(), float(optimizer.state[p]["step"])))
    assert results[0][1] == results[1][1] == 4
    torch.testing.assert_close(results[0][0], results[1][0], rtol=2e-6, atol=2e-6)


def test_tied_weights_and_swa_train_as_with_torch():
    results = []
    for kind in KINDS:
        net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 1))
        torch.manual_seed(1)
        for p in net.parameters():
            nn.init.normal_(p)
        net[1].weight = net[0].weight
        optimizer = kind(net.parameters(), lr=1e-2)
        averaged = torch.optim.swa_utils.AveragedModel(net)
        for _ in range(4):
            optimizer.zero_grad()
            net(torch.ones(2, 6)).sum().backward()
            optimizer.step()
            averaged.update_parameters(net)
        results.append([*(p.detach() for p in net.parameters()), *(p.detach() for p in averaged.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_a_gradient_scaler_skips_and_unscales(fused):
    results = []
    for kind in KINDS:
        net = model()
        optimizer = kind(net.parameters(), lr=1e-2, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=2)
        for scale in (1.0, float("inf"), 1.0, 1.0):
            optimizer.zero_grad()
            scaler.scale(net(torch.ones(2, 70)).square().sum() * scale).backward()
            scaler.step(optimizer)
            scaler.update()
        steps = {float(state["step"]) for state in optimizer.state.values()}
        results.append((steps, scaler.get_scale(), [p.detach() for p in net.parameters()]))
    assert results[0][:2] == results[1][:2]
    assert results[1][0] == {3.0}
    for ours, theirs in zip(results[0][2], results[1][2], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-6)


def refused(parameter, gradient=None):
    """The message of a step that refuses `parameter`; one before it must not have changed."""
    first = nn.Parameter(torch.ones(3))
    optimizer = AdamW([("first", first), ("second", parameter)])
    first.grad = torch.ones(3)
    parameter.grad = torch.ones(parameter.shape) if gradient is None else gradient
    with pytest.raises((TypeError, ValueError, RuntimeError)) as error:
        optimizer.step()
    assert torch.equal(first, torch.ones(3)) and not optimizer.state
    assert "parameter 'second'" in str(error.value)
    return str(error.value)


def test_memory_that_cannot_be_written_is_refused_by_name_before_anything_changes():
    assert "share one place in memory" in refused(nn.Parameter(torch.ones(1).expand(4)))
    freed = nn.Parameter(torch.ones(4))
    gradient = torch.ones(4)
    freed.untyped_storage().resize_(0)
    assert "freed" in refused(freed, gradient)
    with torch.inference_mode():
        inferred = nn.Parameter(torch.ones(4), requires_grad=False)
    assert "inference mode" in refused(inferred)


def test_moments_that_do_not_fit_are_refused_by_name_before_anything_changes():
    first, second = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(4))
    optimizer = AdamW([("first", first), ("second", second)])
    for change, message in [
        ({"exp_avg": torch.zeros(5)}, r"parameter 'second': expected exp_avg of shape \[4\], found \[5\]"),
        ({"exp_avg_sq": torch.zeros(4).double()}, "parameter 'second': expected exp_avg_sq as torch.float32"),
        ({"exp_avg": None}, "parameter 'second': expected exp_avg in its state"),
    ]:
        first.grad, second.grad = torch.ones(3), torch.ones(4)
        optimizer.state.clear()
        optimizer.state[second] = {"step": torch.tensor(1.0), "exp_avg": torch.zeros(4), "exp_avg_sq": torch.zeros(4)}
        optimizer.state[second].update(change)
        with pytest.raises(ValueError, match=message):
            optimizer.step()
        assert torch.equal(first, torch.ones(3))


def test_tensors_that_hold_their_elements_elsewhere_are_refused():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        parameter = nn.Parameter(torch.ones(3))
    with pytest.raises(TypeError, match="parameter 'w': expected a plain tensor, found"):
        AdamW([("w", parameter)])
    with pytest.raises(TypeError, match="expected a tensor on cpu or xla, found meta"):
        AdamW([nn.Parameter(torch.ones(3, device="meta"))])


def test_a_parameter_of_another_dtype_between_steps_is_refused_by_name():
    net = model()
    optimizer = AdamW(net.named_parameters())
    train(net, optimizer)
    net.half()
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    with pytest.raises(TypeError, match=r"parameter '0.weight': expected torch.float32, found torch.float16"):
        optimizer.step()


@pytest.mark.parametrize("beta", [1 - 1e-9, 0.999999, 1 - 1e-7])
def test_a_beta_that_f32_cannot_hold_is_refused(beta):
    with pytest.raises(ValueError, match=r"betas: .* in f32, as the kernel takes it, which changes 1 - beta"):
        AdamW([nn.Parameter(torch.ones(1))], betas=(0.9, beta))


def test_every_beta_that_is_taken_trains_as_with_torch():
    lr, steps = 1e-2, 20
    for betas in [(0.0, 0.0), (0.9, 0.9999), (0.95, 0.99999), (0.5, 0.9)]:
        results = []
        for kind in KINDS:
            p = nn.Parameter(torch.linspace(-1, 1, 1000))
            optimizer = kind([p], lr=lr, betas=betas)
            for step in range(steps):
                p.grad = torch.linspace(-1, 1, 1000) * (1 + step % 3) + 0.01
                optimizer.step()
            results.append(p.detach())
        # Besides roundings, of a moment's terms that may cancel in part, what is left of 1 - beta in f32.
        rounded = sum(abs(ctypes.c_float(beta).value - beta) / (1 - beta) for beta in betas)
        assert (results[0] - results[1]).abs().max() <= steps * (4 * UNIT + lr * (64 * UNIT + rounded)), betas


def test_a_compiled_step_works_with_any_number_of_parameters():
    for layers in (1, 3):
        torch._dynamo.reset()
        net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
        twin = copy.deepcopy(net)
        optimizer, reference = AdamW(net.parameters(), lr=0.1), AdamW(twin.parameters(), lr=0.1)

        @torch.compile(backend="eager")
        def step(x, net=net, optimizer=optimizer):
            optimizer.zero_grad()
            net(x).sum().backward()
            optimizer.step()

        for _ in range(3):
            step(torch.ones(1, 4))
            reference.zero_grad()
            twin(torch.ones(1, 4)).sum().backward()
            reference.step()
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))
