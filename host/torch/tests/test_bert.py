"""`gpsimd_torch.models.use_custom_ops` against stock transformers."""

import copy
import logging
import subprocess
import sys

import pytest
import torch
import torch.nn.utils.prune
import transformers
from conftest import STOCK_DROPOUT, tiny_bert, tiny_config
from gpsimd_torch.models import attentions, use_custom_ops
from gpsimd_torch.optim import AdamW
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertLMHeadModel,
    BertModel,
)
from transformers.models.bert.modeling_bert import BertIntermediate

IDS = torch.arange(4 * 19).reshape(4, 19) % 97 + 3
LABELS = torch.tensor([0, 1, 1, 0])
PADDED = (torch.arange(19) < torch.tensor([[19], [7], [1], [12]])).long()
MASKS = {
    "padded": PADDED,
    "none": None,
    "full": torch.ones_like(IDS),
    "one row empty": PADDED * torch.tensor([[1], [1], [0], [1]]),
}


def step(model, mask=PADDED, seed=1):
    """Loss and gradients of one step, and the random number that comes after it."""
    model.zero_grad()
    torch.manual_seed(seed)
    loss = model(input_ids=IDS, attention_mask=mask, labels=LABELS).loss
    loss.backward()
    return loss.item(), [p.grad.clone() for p in model.parameters()], torch.rand(()).item()


@pytest.mark.parametrize("training", [True, False], ids=["dropout", "no dropout"])
@pytest.mark.parametrize("mask", ["padded", "none", "full"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_step_equals_stock_attention(pair, implementation, mask, training):
    stock, _rust = pair
    stock.set_attn_implementation(implementation)
    (loss, gradients, after), (rust_loss, rust_gradients, rust_after) = (
        step(model.train(training), MASKS[mask]) for model in pair
    )
    assert rust_loss == pytest.approx(loss, abs=2e-6)
    assert rust_after == after, "dropout must draw as many random numbers as stock"
    torch.testing.assert_close(rust_gradients, gradients, rtol=1e-4, atol=2e-6)


def test_a_row_without_any_token_is_that_of_eager_and_not_nan(pair):
    stock, _rust = pair
    stock.set_attn_implementation("eager")
    expected, found = (model.eval()(input_ids=IDS, attention_mask=MASKS["one row empty"]).logits for model in pair)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_thirty_training_steps_with_dropout_have_the_same_losses(pair):
    losses = []
    for model, kind in zip(pair, (torch.optim.AdamW, AdamW), strict=True):
        model.train()
        optimizer = kind(model.parameters(), lr=1e-3)
        losses.append([])
        for seed in range(30):
            losses[-1].append(step(model, seed=seed)[0])
            optimizer.step()
    assert losses[0][-1] < losses[0][0]
    assert max(abs(a - b) for a, b in zip(*losses, strict=True)) < 1e-4


@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.int64])
def test_four_dimensional_masks_are_taken(pair, kind):
    stock, rust = pair
    attend = PADDED.bool()[:, None, None, :].expand(4, 1, 19, 19)
    mask = attend if kind == torch.bool else torch.where(attend, 0, -10000).to(kind)
    expected_mask = mask if kind == torch.bool else mask.float()
    stock.eval(), rust.eval()
    expected = stock(input_ids=IDS, attention_mask=expected_mask).logits
    torch.testing.assert_close(rust(input_ids=IDS, attention_mask=mask).logits, expected, rtol=1e-5, atol=1e-6)


def test_attention_probabilities_are_returned_as_eager_does(pair):
    stock, _rust = pair
    stock.set_attn_implementation("eager")
    for model in pair:
        model.eval()
    expected, found = (m(input_ids=IDS, attention_mask=PADDED, output_attentions=True).attentions for m in pair)
    assert len(found) == 2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_causal_decoder_equals_stock():
    torch.manual_seed(0)
    stock = BertLMHeadModel(tiny_config(vocab_size=100, is_decoder=True)).eval()
    rust = use_custom_ops(copy.deepcopy(stock))
    with torch.no_grad():
        for mask in (PADDED, None):
            expected, found = (m(input_ids=IDS, attention_mask=mask, use_cache=False).logits for m in (stock, rust))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(
            rust.generate(IDS[:1, :5], max_new_tokens=4, do_sample=False),
            stock.generate(IDS[:1, :5], max_new_tokens=4, do_sample=False),
        )


def test_other_bert_classes_are_taken(stock):
    assert use_custom_ops(BertModel(tiny_config()))(IDS).last_hidden_state.shape == (4, 19, 32)
    assert use_custom_ops(BertForMaskedLM(tiny_config(vocab_size=100)))(IDS).logits.shape == (4, 19, 100)


def test_bf16_is_as_close_as_stock_bf16(pair):
    exact = pair[0].eval()(input_ids=IDS, attention_mask=PADDED).logits
    errors = []
    for model in pair:
        logits = model.eval().bfloat16()(input_ids=IDS, attention_mask=PADDED).logits
        assert logits.dtype == torch.bfloat16
        errors.append((logits.float() - exact).abs().max().item())
    assert errors[1] <= 2 * errors[0] + 1e-3


def test_autocast_trains(pair):
    losses = []
    for model in pair:
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(step(model.train())[0])
    assert losses[1] == pytest.approx(losses[0], abs=2e-2)


def test_chunked_feed_forward_and_checkpointing_equal_stock(stock):
    for layer in stock.bert.encoder.layer:
        layer.chunk_size_feed_forward = 1
    stock.gradient_checkpointing_enable()
    rust = use_custom_ops(copy.deepcopy(stock), STOCK_DROPOUT)
    expected, found = step(stock.train()), step(rust.train())
    assert found[0] == pytest.approx(expected[0], abs=2e-6)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=2e-6)


def test_the_call_is_idempotent_and_keeps_names_and_parameters(stock):
    names, parameters = list(stock.state_dict()), list(stock.parameters())
    config = stock.config
    assert use_custom_ops(use_custom_ops(stock)) is stock
    assert list(stock.state_dict()) == names
    assert all(a is b for a, b in zip(stock.parameters(), parameters, strict=True))
    assert config._attn_implementation == "sdpa", "a model built from the same configuration must stay stock"
    assert len({id(m) for m in stock.modules()}) == len(list(stock.modules()))


def test_a_deep_copy_uses_its_own_bias(pair):
    _, rust = pair
    before = rust.eval()(IDS).logits
    twin = copy.deepcopy(rust)
    with torch.no_grad():
        for layer in twin.bert.encoder.layer:
            layer.intermediate.dense.bias.add_(1.0)
    assert torch.equal(rust(IDS).logits, before)
    assert not torch.allclose(twin(IDS).logits, before)


@pytest.mark.parametrize("first", ["stock", "rust"])
def test_checkpoints_go_both_ways_without_a_warning(pair, first, tmp_path, caplog):
    saved, other = pair if first == "stock" else reversed(pair)
    saved.save_pretrained(tmp_path)
    logger = logging.getLogger("transformers")
    logger.propagate = True
    with caplog.at_level(logging.WARNING):
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    logger.propagate = False
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert type(loaded) is BertForSequenceClassification
    assert loaded.config._attn_implementation == "sdpa"
    assert "gpsimd" not in (tmp_path / "config.json").read_text()
    if first == "stock":
        loaded = use_custom_ops(loaded)
    torch.testing.assert_close(loaded.eval()(IDS).logits, saved.eval()(IDS).logits, rtol=1e-4, atol=1e-6)
    other.load_state_dict(saved.state_dict(), strict=True)


SMALL = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 80,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize("mask", ["padded", "none"])
@pytest.mark.parametrize(
    "kind",
    [
        transformers.RobertaForSequenceClassification,
        transformers.XLMRobertaForSequenceClassification,
        transformers.CamembertForSequenceClassification,
        transformers.ElectraForSequenceClassification,
    ],
    ids=lambda kind: kind.__name__.removesuffix("ForSequenceClassification"),
)
def test_models_with_the_same_layers_are_taken(kind, mask):
    torch.manual_seed(0)
    stock = kind(kind.config_class(**SMALL))
    rust = use_custom_ops(copy.deepcopy(stock), STOCK_DROPOUT)
    # In each of two layers the intermediate one, and the ends of both blocks; the embeddings. None has a pooler.
    assert sum(hasattr(type(module), "stock") for module in rust.modules()) == 7
    (loss, gradients, after), (rust_loss, rust_gradients, rust_after) = (
        step(model.train(), MASKS[mask]) for model in (stock, rust)
    )
    assert rust_loss == pytest.approx(loss, abs=2e-6)
    assert rust_after == after
    torch.testing.assert_close(rust_gradients, gradients, rtol=1e-4, atol=2e-6)


def test_a_compiled_model_is_refused(stock):
    with pytest.raises(TypeError, match=r"call use_custom_ops first, then torch\.compile"):
        use_custom_ops(torch.compile(stock))


def test_a_model_inside_of_another_is_found(pair):
    stock, rust = pair
    wrapper = nn.Sequential(copy.deepcopy(stock))
    assert use_custom_ops(wrapper, STOCK_DROPOUT) is wrapper
    assert torch.equal(wrapper[0].eval()(IDS).logits, rust.eval()(IDS).logits)


def test_a_pickled_model_works_in_a_process_that_has_loaded_nothing(pair, tmp_path):
    _, rust = pair
    torch.save(rust.eval(), tmp_path / "model.pt")
    program = (
        "import sys, torch; model = torch.load(sys.argv[1], weights_only=False);"
        "torch.save(model(torch.load(sys.argv[2])).logits, sys.argv[3])"
    )
    torch.save(IDS, tmp_path / "ids.pt")
    files = [str(tmp_path / name) for name in ("model.pt", "ids.pt", "logits.pt")]
    subprocess.run([sys.executable, "-c", program, *files], check=True, timeout=240)
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), rust(IDS).logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu"])
def test_another_activation_is_refused_and_the_model_stays_as_it_was(activation):
    model = tiny_bert(hidden_act=activation)
    with pytest.raises(ValueError, match=rf"expected hidden_act 'gelu' .* found '{activation}'"):
        use_custom_ops(model)
    assert model.config._attn_implementation == "sdpa"
    assert type(model.bert.encoder.layer[0].intermediate.dense) is nn.Linear


def test_an_activation_that_was_replaced_is_refused_before_and_after(stock):
    twin = copy.deepcopy(stock)
    twin.bert.encoder.layer[1].intermediate.intermediate_act_fn = nn.GELU(approximate="tanh")
    with pytest.raises(ValueError, match="expected the exact GELU, found GELU"):
        use_custom_ops(twin)
    assert type(twin.bert.encoder.layer[0].intermediate) is BertIntermediate
    use_custom_ops(stock).bert.encoder.layer[1].intermediate.intermediate_act_fn = nn.ReLU()
    with pytest.raises(ValueError, match="expected the exact GELU, found ReLU"):
        stock(IDS)


class LowRank(nn.Module):
    """What peft makes of a layer for LoRA."""

    def __init__(self, base_layer: nn.Linear):
        super().__init__()
        self.base_layer = base_layer
        self.down, self.up = nn.Linear(32, 4, bias=False), nn.Linear(4, 80, bias=False)

    def forward(self, x):
        return self.base_layer(x) + 2.0 * self.up(self.down(x))


class Scaled(nn.Module):
    """What peft makes of a layer for IA3: the bias is scaled as well."""

    def __init__(self, base_layer: nn.Linear):
        super().__init__()
        self.base_layer, self.scale = base_layer, nn.Parameter(torch.linspace(0.5, 2, 80))

    def forward(self, x):
        return self.scale * self.base_layer(x)


def low_rank_in_place(dense: nn.Linear) -> nn.Linear:
    dense.register_forward_hook(lambda module, inputs, output: output + inputs[0].mean(-1, keepdim=True))
    return dense


def without_bias(dense: nn.Linear) -> nn.Linear:
    plain = nn.Linear(32, 80, bias=False)
    plain.weight = dense.weight
    return plain


ADAPTERS = {
    "LoRA": LowRank,
    "IA3": Scaled,
    "hook": low_rank_in_place,
    "no bias": without_bias,
    "parametrized": lambda dense: torch.nn.utils.parametrizations.weight_norm(dense),
    "pruned": lambda dense: torch.nn.utils.prune.l1_unstructured(dense, "weight", 0.5),
}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_of_the_feed_forward_layer_trains_as_in_the_stock_model(stock, adapter, order):
    def adapt(model):
        torch.manual_seed(5)
        for layer in model.bert.encoder.layer:
            layer.intermediate.dense = ADAPTERS[adapter](layer.intermediate.dense)
        return model

    with torch.no_grad():
        for layer in stock.bert.encoder.layer:
            layer.intermediate.dense.bias.normal_()
    rust = copy.deepcopy(stock)
    rust = (
        adapt(use_custom_ops(rust, STOCK_DROPOUT)) if order == "after" else use_custom_ops(adapt(rust), STOCK_DROPOUT)
    )
    expected, found = step(adapt(stock).train()), step(rust.train())
    assert found[0] == pytest.approx(expected[0], abs=2e-6)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("use_dora", [False, True], ids=["LoRA", "DoRA"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_adapters_of_peft_train_as_in_the_stock_model(stock, order, use_dora):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["intermediate.dense"], r=4, use_dora=use_dora, init_lora_weights=False)

    def adapt(model):
        torch.manual_seed(5)
        return peft.get_peft_model(model, config)

    rust = copy.deepcopy(stock)
    rust = adapt(use_custom_ops(rust)) if order == "after" else use_custom_ops(adapt(rust))
    expected, found = (model.eval()(input_ids=IDS, attention_mask=PADDED).logits for model in (adapt(stock), rust))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.mark.parametrize("mask", ["padded", "none"])
@pytest.mark.parametrize("ops", ["all", "dropout", "norm", "softmax,dropout", "gelu,norm", "embeddings", "pooler"])
def test_a_step_without_dropout_equals_stock_whatever_the_ops(ops, mask):
    stock = tiny_bert(vocab_size=100, **NO_DROPOUT).train()
    rust = use_custom_ops(copy.deepcopy(stock), ops)
    (loss, gradients, after), (rust_loss, rust_gradients, rust_after) = (
        step(model, MASKS[mask]) for model in (stock, rust)
    )
    assert rust_loss == pytest.approx(loss, abs=1e-6)
    assert rust_after == after
    torch.testing.assert_close(rust_gradients, gradients, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("ops", ["gelu", "softmax", "norm", "gelu,softmax", "embeddings", STOCK_DROPOUT])
def test_ops_without_dropout_drop_what_stock_drops(stock, ops):
    rust = use_custom_ops(copy.deepcopy(stock), ops)
    expected, found = step(stock.train()), step(rust.train())
    assert found[0] == pytest.approx(expected[0], abs=2e-6)
    assert found[2] == expected[2]
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=2e-6)


def test_all_ops_drop_as_the_seed_says_and_only_in_training(stock):
    rust = use_custom_ops(stock).train()
    first, again, other = step(rust, seed=1), step(rust, seed=1), step(rust, seed=2)
    assert first[0] == again[0] != other[0]
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    rust.eval()
    assert torch.equal(rust(IDS).logits, rust(IDS).logits)


def test_a_layer_that_is_computed_again_drops_the_same(stock):
    # Not the embeddings: transformers hooks into them for this, which leaves them to the stock layer.
    rust = use_custom_ops(stock, "gelu,softmax,dropout,norm").train()
    expected = step(rust)
    rust.gradient_checkpointing_enable()
    found = step(rust)
    assert found[0] == expected[0]
    assert all(torch.equal(a, b) for a, b in zip(found[1], expected[1], strict=True))


def test_each_dropout_of_the_model_drops_its_share(stock):
    """Of ones, with a weight of one and no residual, what a layer makes of kept and of dropped elements is known."""
    rust = use_custom_ops(stock, "all").train()
    torch.manual_seed(0)
    layers = [module for module in rust.modules() if isinstance(module, nn.Dropout)]
    # Embeddings, two layers of three each, classifier.
    assert len(layers) == 8
    for layer in layers:
        layer.p = 0.25
        dropped = (layer(torch.ones(200, 500)) == 0).float().mean().item()
        # Of 100,000 elements: six standard deviations.
        assert dropped == pytest.approx(0.25, abs=6 * (0.25 * 0.75 / 1e5) ** 0.5)
    end = rust.bert.encoder.layer[0].output
    with torch.no_grad():
        end.dense.weight.zero_(), end.dense.bias.fill_(1.0)
    ends = end(torch.zeros(1000, 80), torch.zeros(1000, 32))
    # A row of which some are dropped is normalised to two values, the smaller of the dropped ones.
    dropped = (ends < ends.mean(-1, keepdim=True)).float().mean().item()
    assert dropped == pytest.approx(0.25, abs=6 * (0.25 * 0.75 / 32e3) ** 0.5)
    attention = rust.bert.encoder.layer[0].attention.self
    attention.dropout.p = 0.25
    p = attention(torch.zeros(16, 50, 32))[1]
    assert p.unique().tolist() == pytest.approx([0.0, 1 / 50 / 0.75])
    assert (p == 0).float().mean().item() == pytest.approx(0.25, abs=6 * (0.25 * 0.75 / p.numel()) ** 0.5)


def same_gradients(models, *arguments, **options):
    """Of the embeddings or the model, in training mode, from the same numbers; and what they return."""
    results = []
    for model in models:
        model.zero_grad()
        torch.manual_seed(3)
        y = model.train()(*arguments, **options)
        y = y if isinstance(y, torch.Tensor) else y.logits
        (y * torch.arange(y.numel()).reshape(y.shape).remainder(7)).sum().backward()
        results.append((y, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    return results


def test_embeddings_take_what_the_stock_layer_takes(stock):
    models = (stock.bert.embeddings, use_custom_ops(copy.deepcopy(stock), "embeddings").bert.embeddings)
    same_gradients(models, IDS, position_ids=torch.arange(19)[None] + 3)
    same_gradients(models, IDS, position_ids=torch.arange(4 * 19).reshape(4, 19) % 40)
    same_gradients(models, IDS, token_type_ids=IDS % 2, past_key_values_length=5)
    same_gradients(models, inputs_embeds=torch.randn(4, 19, 32))
    for table in (models[0].word_embeddings, models[1].word_embeddings):
        table.scale_grad_by_freq = True
    same_gradients(models, IDS)


def test_the_padding_token_has_no_gradient_and_no_table_loses_any(stock):
    rust = use_custom_ops(copy.deepcopy(stock), "embeddings")
    ids = IDS.where(PADDED.bool(), 0)
    same_gradients((stock, rust), ids, attention_mask=PADDED)
    words = rust.bert.embeddings.word_embeddings.weight.grad
    assert words[0].eq(0).all() and words[ids[0, 1]].ne(0).any()


def test_embeddings_of_ids_that_are_no_words_are_an_error(stock):
    rust = use_custom_ops(stock, "embeddings")
    with pytest.raises(Exception, match=r"index 1000, element 5 of `ids`, is out of range: `word` has \d+ rows"):
        rust(IDS.reshape(-1).index_fill(0, torch.tensor(5), 1000).reshape(4, 19))


def test_on_a_neuron_host_all_ops_are_of_one_library(stock, monkeypatch):
    monkeypatch.setattr("gpsimd_torch.models.families.is_neuron_host", lambda: True)
    libraries = {getattr(type(module), "library", None) for module in use_custom_ops(stock).modules()}
    assert libraries == {None, "training_ops"}


def test_a_model_with_all_ops_learns(stock):
    rust = use_custom_ops(stock).train()
    optimizer = AdamW(rust.parameters(), lr=1e-3)
    losses = []
    for seed in range(30):
        losses.append(step(rust, seed=seed)[0])
        optimizer.step()
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_second_call_chooses_anew(stock):
    twin = copy.deepcopy(stock)
    use_custom_ops(use_custom_ops(stock, "all"), "gelu")
    assert stock.config._attn_implementation == "sdpa"
    assert type(stock.dropout) is nn.Dropout
    assert step(stock.train())[0] == pytest.approx(step(twin.train())[0], abs=2e-6)


@pytest.mark.parametrize("ops", ["", "gelu,", "gelus", "all,gelu"])
def test_what_is_no_op_is_an_error(stock, ops):
    with pytest.raises(
        ValueError, match='expected "all" or some of gelu, softmax, dropout, norm, embeddings, pooler, with'
    ):
        use_custom_ops(stock, ops)


@pytest.mark.parametrize("ops", ["all", "softmax"])
def test_long_inference_is_left_to_sdpa_unless_probabilities_are_asked_for(ops):
    torch.manual_seed(0)
    stock = BertModel(tiny_config(max_position_embeddings=300)).eval()
    rust = use_custom_ops(copy.deepcopy(stock), ops)
    ids = torch.arange(2 * 300).reshape(2, 300) % 90
    layer, (query, key, value) = rust.encoder.layer[0].attention.self, torch.randn(3, 1, 4, 300, 8)
    with torch.no_grad():
        torch.testing.assert_close(rust(ids)[0], stock(ids)[0], rtol=1e-4, atol=1e-5)
        assert attentions.is_left_to_sdpa(layer, key, {})
        assert not attentions.is_left_to_sdpa(layer, key.bfloat16(), {})
        assert not attentions.is_left_to_sdpa(layer, key[:, :, :256], {})
        assert not attentions.is_left_to_sdpa(layer.train(), key, {})
        assert not attentions.is_left_to_sdpa(layer.eval(), key, {"output_attentions": True})
        assert attentions.attention("training_ops", fused_dropout=True)(layer, query, key, value, None)[1] is None
        assert rust(ids, output_attentions=True).attentions[0].shape == (2, 4, 300, 300)
    assert not attentions.is_left_to_sdpa(layer, key, {})
