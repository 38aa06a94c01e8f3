"""`gpsimd_torch.optim.AdamW` against `torch.optim.AdamW`."""

import copy
import io
import math
import pickle
import warnings

import pytest
import torch
from gpsimd_torch.optim import AdamW
from torch import nn

# One of each kind: several launches, just one, parts of a launch, a scalar, no elements.
SHAPES = [(300, 301), (1 << 16,), (7, 13), (384,), (1,), (), (0, 4)]
ALL = {"lr": 3e-3, "betas": (0.83, 0.97), "eps": 1e-5, "weight_decay": 0.13}


def parameters(shapes=SHAPES, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def twins(shapes=SHAPES, **hyperparameters):
    """Equal parameters under torch's and under our optimizer."""
    ours, theirs = parameters(shapes), parameters(shapes)
    return (ours, AdamW(ours, **hyperparameters)), (theirs, torch.optim.AdamW(theirs, **hyperparameters))


def give_gradients(step, *lists, skip=()):
    """Equal gradients to each list; None for the indices in `skip`. Sizes vary over orders of magnitude."""
    for params in lists:
        generator = torch.Generator().manual_seed(1000 + step)
        for index, p in enumerate(params):
            gradient = torch.randn(p.shape, generator=generator) * 10 ** ((index + step) % 5 - 3)
            p.grad = None if index in skip else gradient


def assert_close(ours, theirs, tolerance=2e-6):
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m, i=index: f"{i}: {m}")


def train(both, steps, first=0, skip=()):
    (ours, optimizer), (theirs, reference) = both
    for step in range(first, first + steps):
        give_gradients(step, ours, theirs, skip=skip)
        optimizer.step()
        reference.step()


def test_a_thousand_steps_with_every_hyperparameter_agree():
    both = twins([(97, 11), (64,), (5,), ()], **ALL)
    train(both, 1000)
    assert_close(both[0][0], both[1][0], 2e-5)
    for a, b in zip(both[0][1].state.values(), both[1][1].state.values(), strict=True):
        assert a["step"] == b["step"] == 1000
        torch.testing.assert_close(a["exp_avg"], b["exp_avg"], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(a["exp_avg_sq"], b["exp_avg_sq"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lr": 0.0},
        {"betas": (0.0, 0.0)},
        {"weight_decay": 0.0},
        {"eps": 1e-3},
        {"lr": 0.5, "weight_decay": 1.0},
    ],
    ids=str,
)
def test_every_size_of_parameter_agrees(changes):
    both = twins(**(ALL | changes))
    train(both, 3)
    assert_close(both[0][0], both[1][0])


def test_groups_keep_their_own_hyperparameters():
    results = []
    for kind in (AdamW, torch.optim.AdamW):
        params = parameters()
        groups = [
            {"params": params[::2], "lr": 1e-2, "weight_decay": 0.3},
            {"params": params[1::2], "betas": (0.5, 0.6), "eps": 1e-3},
        ]
        optimizer = kind(groups, lr=1e-3)
        for step in range(4):
            give_gradients(step, params)
            optimizer.step()
        results.append(params)
    assert_close(*results)


def test_a_group_can_be_added_in_training():
    results = []
    for kind in (AdamW, torch.optim.AdamW):
        params = parameters()
        optimizer = kind(params[:3], lr=1e-2)
        for step in range(5):
            if step == 2:
                optimizer.add_param_group({"params": params[3:], "lr": 3e-2})
            give_gradients(step, params)
            optimizer.step()
        results.append(params)
    assert_close(*results)


def test_a_parameter_without_gradient_is_skipped_and_its_step_stands_still():
    both = twins(**ALL)
    train(both, 2, skip=(0, 2))
    (ours, optimizer), (_, reference) = both
    assert set(optimizer.state) == set(ours) - {ours[0], ours[2]}
    train(both, 3, first=2, skip=(3,))
    train(both, 2, first=5)
    assert_close(ours, both[1][0])
    steps = [float(optimizer.state[p]["step"]) for p in ours]
    assert steps == [float(reference.state[p]["step"]) for p in both[1][0]]
    assert len(set(steps)) == 3


def test_zero_gradients_are_a_step_and_none_is_not():
    for set_to_none in (True, False):
        both = twins(**ALL)
        train(both, 1)
        for params, optimizer in both:
            optimizer.zero_grad(set_to_none=set_to_none)
            assert all((p.grad is None) == set_to_none for p in params)
            optimizer.step()
        assert_close(both[0][0], both[1][0])


def test_a_closure_runs_with_gradients_and_its_value_is_returned():
    p = nn.Parameter(torch.ones(3))
    optimizer = AdamW([p])

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 3.0
    assert p.max() < 1


@pytest.mark.parametrize("fused", [True, False])
def test_state_goes_from_ours_to_torch(fused):
    (ours, optimizer), (theirs, _) = both = twins(**ALL)
    train(both, 3)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    assert buffer.tell() < 2.2 * 4 * sum(p.numel() for p in ours), "two moments, not whole blocks"
    buffer.seek(0)
    reference = torch.optim.AdamW(theirs, fused=fused)
    reference.load_state_dict(torch.load(buffer))
    assert reference.param_groups[0]["lr"] == ALL["lr"]
    train(((ours, optimizer), (theirs, reference)), 3, first=3)
    assert_close(ours, theirs)


@pytest.mark.parametrize("fused", [True, False])
def test_state_goes_from_torch_to_ours(fused):
    ours, theirs = parameters(), parameters()
    reference = torch.optim.AdamW(theirs, fused=fused, **ALL)
    for step in range(3):
        give_gradients(step, theirs)
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        p.data.copy_(q)
    optimizer = AdamW(ours)
    give_gradients(9, ours)
    optimizer.load_state_dict(reference.state_dict())
    train(((ours, optimizer), (theirs, reference)), 3, first=3)
    assert_close(ours, theirs)
    assert list(optimizer.state_dict()["param_groups"][0]) == list(reference.state_dict()["param_groups"][0])


def test_loading_a_state_does_not_tie_two_optimizers_together():
    (ours, optimizer), _ = both = twins(**ALL)
    train(both, 2)
    other = parameters()
    copied = AdamW(other)
    copied.load_state_dict(optimizer.state_dict())
    before = copy.deepcopy(optimizer.state[ours[0]])
    give_gradients(5, other)
    copied.step()
    after = optimizer.state[ours[0]]
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    p = nn.Parameter(torch.ones(4))
    p.grad = torch.ones(4)
    optimizer = AdamW([p])
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict())
    wrong_shape = copy.deepcopy(before)
    wrong_shape["state"][0]["exp_avg"] = torch.ones(5)
    with pytest.raises(ValueError, match=r"exp_avg of shape \[4\], found \[5\]"):
        optimizer.load_state_dict(wrong_shape)
    amsgrad = copy.deepcopy(before)
    amsgrad["param_groups"][0]["amsgrad"] = True
    with pytest.raises(ValueError, match="amsgrad=True is not supported"):
        optimizer.load_state_dict(amsgrad)
    with pytest.raises(ValueError, match="expected AdamW's"):
        optimizer.load_state_dict(torch.optim.SGD([p]).state_dict())
    assert torch.equal(optimizer.state[p]["exp_avg"], before["state"][0]["exp_avg"])


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["deepcopy", "pickle"]
)
def test_a_copy_trains_on_alone(copied):
    (ours, optimizer), _ = both = twins(**ALL)
    train(both, 2)
    twin, twin_optimizer = copied((ours, optimizer))
    before = [p.detach().clone() for p in ours]
    train(((twin, twin_optimizer), both[1]), 2, first=2)
    assert_close(twin, both[1][0])
    assert all(torch.equal(p, q) for p, q in zip(ours, before, strict=True))


def test_a_parameter_whose_data_was_replaced_is_trained_in_its_new_place():
    both = twins(**ALL)
    train(both, 2)
    for params, _ in both:
        for p in params:
            p.data = p.data.clone() * 2
    train(both, 2, first=2)
    assert_close(both[0][0], both[1][0])


def test_a_model_loaded_by_assignment_is_trained():
    model, reference = nn.Linear(5, 3), nn.Linear(5, 3)
    weights = {"weight": torch.ones(3, 5), "bias": torch.zeros(3)}
    pairs = [(model, AdamW(model.parameters())), (reference, torch.optim.AdamW(reference.parameters()))]
    for module, optimizer in pairs:
        for _ in range(2):
            module.load_state_dict({k: v.clone() for k, v in weights.items()})
            module(torch.ones(2, 5)).sum().backward()
            optimizer.step()
    assert_close(model.parameters(), reference.parameters())


@pytest.mark.parametrize("large", [True, False])
def test_parameters_that_cannot_move_are_trained_in_place(large):
    size = (300, 301) if large else (6, 4)

    def build(kind):
        flat = torch.arange(2 * math.prod(size), dtype=torch.float32) / 1e5
        part = nn.Parameter(flat[: math.prod(size)].view(size))
        transposed = nn.Parameter(torch.ones(size).t())
        shared = nn.Parameter(torch.ones(size).share_memory_())
        params = [part, transposed, shared]
        optimizer = kind(params, **ALL)
        for step in range(3):
            give_gradients(step, params)
            params[0].grad = params[0].grad.t().contiguous().t()
            optimizer.step()
        assert torch.equal(flat[: math.prod(size)].view(size), part), "the storage it is part of sees the update"
        assert shared.is_shared() and not transposed.is_contiguous()
        return params

    assert_close(build(AdamW), build(torch.optim.AdamW))


def test_backward_through_a_parameter_changed_since_is_an_error():
    p = nn.Parameter(torch.ones(3))
    optimizer = AdamW([p])
    loss = (p * p).sum()
    p.grad = torch.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_schedulers_and_tensor_learning_rates_take_effect():
    results = []
    for kind in (AdamW, torch.optim.AdamW):
        params = parameters()
        optimizer = kind(params, lr=torch.tensor(0.1), foreach=False)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for step in range(4):
                give_gradients(step, params)
                optimizer.step()
                scheduler.step()
        results.append(params)
    assert_close(*results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": -1.0}, "lr: expected a finite number of at least 0, found -1.0"),
        ({"lr": torch.ones(2)}, "lr: expected a number or a tensor of one element"),
        ({"betas": (0.9, 1.0)}, r"betas: expected two numbers in \[0, 1\)"),
        ({"eps": float("nan")}, "eps: expected a finite number"),
        ({"weight_decay": -0.1}, "weight_decay: expected"),
        ({"amsgrad": True}, "amsgrad=True is not supported"),
        ({"maximize": True}, "maximize=True is not supported"),
        ({"capturable": True}, "capturable=True is not supported"),
        ({"differentiable": True}, "differentiable=True is not supported"),
    ],
    ids=str,
)
def test_a_wrong_hyperparameter_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdamW([nn.Parameter(torch.ones(1))], **arguments)


def test_a_parameter_that_is_not_f32_is_refused_by_name():
    with pytest.raises(TypeError, match=r"parameter 'w': expected torch.float32, found torch.bfloat16"):
        AdamW([("w", nn.Parameter(torch.ones(2, dtype=torch.bfloat16)))])
    model = nn.Linear(2, 2)
    optimizer = AdamW(model.parameters())
    model.bfloat16()
    model(torch.ones(1, 2, dtype=torch.bfloat16)).sum().backward()
    with pytest.raises(TypeError, match=r"parameter 0 of shape \[2, 2\]: expected torch.float32"):
        optimizer.step()


def test_a_sparse_gradient_is_refused_before_anything_changes():
    dense = nn.Parameter(torch.ones(2))
    embedding = nn.Embedding(3, 2, sparse=True)
    optimizer = AdamW([dense, embedding.weight])
    dense.grad = torch.ones(2)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="expected a dense gradient"):
        optimizer.step()
    assert torch.equal(dense, torch.ones(2))


def clipped(both, max_norm, steps=3):
    """Trains both, torch's after `clip_grad_norm_`; the norms of each."""
    (ours, optimizer), (theirs, reference) = both
    norms = []
    for step in range(steps):
        give_gradients(step, ours, theirs)
        optimizer.step()
        assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True)), "none is written"
        norms.append((optimizer.total_norm, torch.nn.utils.clip_grad_norm_(theirs, max_norm)))
        reference.step()
    return norms


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 50.0, 1e9, math.inf])
def test_clipping_is_that_of_clip_grad_norm(max_norm):
    both = twins(**ALL)
    both[0][1].max_norm = max_norm
    for found, expected in clipped(both, max_norm):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert_close(both[0][0], both[1][0])


def test_gradients_below_the_norm_train_as_without_clipping():
    one, other = parameters(), parameters()
    optimizers = [AdamW(one, **ALL, max_norm=1e9), AdamW(other, **ALL)]
    for step in range(3):
        give_gradients(step, one, other)
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert optimizers[1].total_norm is None


def test_the_norm_is_that_of_all_groups_and_each_keeps_its_decay():
    """Decay for matrices, none for biases and norms, whose gradients count nevertheless."""
    ours, theirs = parameters(), parameters()

    def groups(params):
        return [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": 0.5},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ]

    clipped(((ours, AdamW(groups(ours), max_norm=0.1)), (theirs, torch.optim.AdamW(groups(theirs)))), 0.1)
    assert_close(ours, theirs)
    still = nn.Parameter(torch.ones(5))
    decayed, kept = (AdamW([{"params": [still], "weight_decay": decay}], lr=0.1, max_norm=1.0) for decay in (0.5, 0.0))
    still.grad = torch.zeros(5)
    kept.step()
    assert torch.equal(still, torch.ones(5))
    decayed.step()
    assert torch.equal(still, torch.full((5,), 0.95))


@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_a_norm_that_is_not_finite_is_that_of_clip_grad_norm(wrong):
    (ours, optimizer), (theirs, reference) = twins([(4, 3), (2,)])
    optimizer.max_norm = 1.0
    give_gradients(0, ours, theirs)
    ours[0].grad[1, 1] = theirs[0].grad[1, 1] = wrong
    optimizer.step()
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    reference.step()
    torch.testing.assert_close(optimizer.total_norm, expected, equal_nan=True)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)


def test_a_grad_scaler_is_undone_before_gradients_are_clipped():
    """Both where the scaler unscales itself, and where it leaves that to the optimizer."""
    results = []
    for fused in (False, True):
        params = parameters([(40, 30), (7,)])
        optimizer = AdamW(params, lr=0.1, max_norm=0.5, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        give_gradients(0, params)
        for p in params:
            p.grad *= 1024.0
        scaler.scale(torch.tensor(1.0))
        scaler.step(optimizer)
        results.append((optimizer.total_norm, params))
    plain = parameters([(40, 30), (7,)])
    give_gradients(0, plain)
    optimizer = AdamW(plain, lr=0.1, max_norm=0.5)
    optimizer.step()
    for norm, params in results:
        assert norm == optimizer.total_norm
        assert all(torch.equal(a, b) for a, b in zip(params, plain, strict=True))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
def test_a_copy_clips_as_its_original_and_has_its_library(copied):
    optimizer = copied(AdamW(parameters(), max_norm=0.25, library="training_ops"))
    assert (optimizer.max_norm, optimizer.library) == (0.25, "training_ops")
    assert copied(AdamW(parameters(), library="bert_ops")).library == "bert_ops"


def test_either_library_makes_the_same_step():
    one, other = parameters(), parameters()
    optimizers = [AdamW(one, **ALL), AdamW(other, **ALL, library="bert_ops")]
    for step in range(3):
        give_gradients(step, one, other)
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_norm": 0.0}, "max_norm: expected a number above 0, found 0.0"),
        ({"max_norm": math.nan}, "max_norm: expected a number above 0, found nan"),
        ({"library": "index_ops"}, "library: `index_ops` has no op adamw_step or scaled_adamw_step; it has cumsum"),
        ({"library": "bert_ops", "max_norm": 1.0}, "max_norm: library `bert_ops` has no scaled_adamw_step"),
    ],
)
def test_a_library_that_cannot_do_it_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdamW(parameters(), **arguments)
