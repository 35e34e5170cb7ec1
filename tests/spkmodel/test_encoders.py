"""The encoders: parameter counts of the lab report and of the log, and what all encoders keep."""

import math

import field_networks
import pytest
import torch

from spkmodel import encoders
from spkmodel.config import (
    TDNN,
    LinearMel,
    LogMel,
    LogNet,
    MultiHead,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)
from spkmodel.encoders import log_net

HALF = (32, 64, 128, 256)

MODEL1 = LogNet(
    merge="add",
    bottleneck=False,
    in_channels=16,
    in_kernel=3,
    in_resblock=True,
    channels=(22, 32, 45, 64, 90, 128, 180, 256, 360, 512),
    resblocks=(1,) * 10,
    kernel=4,
    activation="relu",
    se_resblock=False,
    se_eblock=False,
    out_dim=256,
)
MODEL2 = LogNet(
    in_resblock=True,
    channels=(16, 16, 32, 32, *(64,) * 6),
    resblocks=(1,) * 10,
    kernel=4,
    activation="relu",
    out_dim=256,
)
WIDER = {
    "kernel": 3,
    "in_channels": 64,
    "channels": (32, 32, *(48,) * 8),
    "activation": "swish",
}
BLOCKS = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
SQUEEZED = {"se_resblock": True, "se_eblock": True}
NORMLESS = {"resblock_norm": "none"}

# The log's own totals: `out_dim` is the OutBlock, its classes or, from 100 to 111, its embedding.
# Of 14 the log leaves open which convolutions are wider, of 34 to 36 what the norms hold: counted
# as built here, kernels of 7 in InBlock and EBlocks and norms with an offset and no scale, which
# in 35 stands for the bias of the 1x1 convolution. 01.1 is 01.2 with biases instead of norms.
ENTRIES = {
    "01.1": (
        MODEL1,
        {"resblock_norm": "none", "skip": False, "dense_skip": False},
        5_267_121,
    ),
    "01.2": (MODEL1, {"eblock_norm": "batch", "skip": False, "dense_skip": False}, 5_268_826),
    "02.1": (MODEL1, {"eblock_norm": "batch", "dense_skip": False}, 5_268_826),
    "02.2": (MODEL1, {"dense_skip": False}, 5_268_826),
    "03": (MODEL1, {}, 5_268_826),
    "04": (MODEL1, {"skip_pooling": "max"}, 5_268_826),
    "06": (MODEL1, {"dropout": 0.5}, 5_268_826),
    "07": (MODEL1, {"dense": (512,)}, 5_006_170),
    "08": (MODEL1, {"dense": (1024, 512)}, 5_793_626),
    "09": (MODEL1, {"se_resblock": True}, 6_316_334),
    "10": (MODEL1, SQUEEZED, 7_363_298),
    "11": (MODEL1, SQUEEZED | {"se_first_conv": True}, 8_410_262),
    "14": (MODEL1, SQUEEZED | {"in_kernel": 7, "kernel": 7}, 8_468_130),
    "15": (MODEL2, {}, 1_166_464),
    "16": (MODEL2, {"kernel": 3}, 1_139_328),
    "17": (MODEL2, {"kernel": 3, "bottleneck": False}, 1_291_424),
    "19": (MODEL2, WIDER | {"activation": "relu"}, 1_079_296),
    "20": (MODEL2, WIDER, 1_079_296),
    "26": (MODEL2, WIDER | {"in_resblock": False, "order": "O3"}, 1_046_208),
    "27": (
        MODEL2,
        WIDER | {"in_resblock": False, "order": "O3", "resblocks": BLOCKS},
        1_243_248,
    ),
    "28": (
        LogNet(),
        {"channels": (16, 32, 32, 48, 48, 48, *(64,) * 4), "order": "O3", "out_dim": 256},
        1_430_368,
    ),
    "29": (LogNet(), {"order": "O3", "out_dim": 256}, 1_381_456),
    "30": (LogNet(), {"order": "O3", "out_dim": 512}, 1_512_784),
    "34": (
        LogNet(),
        {"eblock_norm": "batch", "eblock_norm_place": "first", "out_dim": 512},
        1_514_928,
    ),
    "35": (
        LogNet(),
        {"eblock_norm": "batch", "eblock_norm_place": "between", "out_dim": 512},
        1_512_784,
    ),
    "36": (LogNet(), {"resblock_norm": "batch_renorm", "out_dim": 512}, 1_512_784),
    "38": (LogNet(), NORMLESS | {"out_dim": 512}, 1_511_712),
    "101": (
        LogNet(channels=(32,) * 7, resblocks=(0, 1, 1, 2, 2, 3, 3), dense=(256, 256)),
        NORMLESS | {"out_dim": 128},
        328_928,
    ),
    "103": (LogNet(), NORMLESS | {"out_dim": 256}, 1_380_384),
    "106": (LogNet(), NORMLESS | {"out_dim": 64}, 1_281_888),
    "116": (LogNet(), {}, 1_250_128),
}

SMALL_RESNET = ResNetSE34L(channels=(8,) * 4, blocks=(1,) * 4, embedding_dim=16)
SMALL_TDNN = TDNN(channels=8, embedding_dim=16)
SMALL_LOG_NET = LogNet(
    in_channels=4, channels=(4, 5, 6), resblocks=(0, 1, 2), dense=(19, 19), embedding_norm="none"
)
SMALL = {
    "resnet_sap": SMALL_RESNET,
    "resnet_asp": SMALL_RESNET.model_copy(update={"pooling": "asp", "dropout": 0.2}),
    "resnet_linear_mels": ResNetSE34L(
        channels=(8,) * 4, blocks=(1,) * 4, embedding_dim=16, features=LinearMel()
    ),
    "resnet_half": ResNetSE34Half(channels=(8,) * 4, blocks=(1,) * 4, embedding_dim=16),
    "resnet_v2_sap": ResNetSE34V2(
        channels=(8,) * 4, blocks=(1,) * 4, attention_dim=8, embedding_dim=16
    ),
    "resnet_v2_asp": ResNetSE34V2(
        channels=(8,) * 4,
        blocks=(1,) * 4,
        attention_dim=8,
        embedding_dim=16,
        pooling="asp",
        dropout=0.2,
        features=LogMel(mels=24, normalisation="instance", pre_emphasis=0.97),
    ),
    "vgg_vox": VGGVox(channels=(8,) * 6, embedding_dim=16, pooling="sap"),
    "vgg_vox_mean": VGGVox(channels=(8,) * 6, embedding_dim=16, pooling="mean", dropout=0.2),
    "vgg_vox_max": VGGVox(channels=(8,) * 6, embedding_dim=16, pooling="max"),
    "raw_net3": RawNet3(channels=16, scale=4, summary_dim=12, attention_dim=8, embedding_dim=16),
    "raw_net3_asp": RawNet3(
        channels=16,
        scale=2,
        summary_dim=12,
        attention_dim=8,
        embedding_dim=16,
        pooling="asp",
        dropout=0.2,
        sinc_stride=16,
    ),
    "tdnn_heads": TDNN(channels=8, embedding_dim=16, pooling=MultiHead(heads=4, deviation=True)),
    "tdnn": SMALL_TDNN,
    "tdnn_asp": SMALL_TDNN.model_copy(update={"pooling": "asp", "dropout": 0.2}),
    "log_net": SMALL_LOG_NET,
    **field_networks.SMALL,
}


def altered(config: LogNet, **fields) -> LogNet:
    return LogNet.model_validate(config.model_dump() | fields)


LOG_NET_AXES = {
    "no_skip": {"skip": False},
    "max_skip": {"skip_pooling": "max"},
    "in_resblock": {"in_resblock": True, "in_kernel": 3},
    "kernel_4": {"kernel": 4},
    "kernel_7": {"kernel": 7},
    "o2": {"order": "O2"},
    "o3": {"order": "O3"},
    "no_bottleneck": {"bottleneck": False},
    "relu_no_norm": {"activation": "relu", "resblock_norm": "none"},
    "eblock_norm": {"eblock_norm": "batch"},
    "eblock_layer_norm": {"eblock_norm": "layer", "eblock_norm_place": "first"},
    "norm_between": {"eblock_norm": "batch", "eblock_norm_place": "between", "order": "O2"},
    "batch_renorm": {
        "resblock_norm": "batch_renorm",
        "renorm": {"hold_batches": 0, "r_batches": 0, "d_batches": 0},
    },
    "layer_norm": {"resblock_norm": "layer", "in_resblock": True},
    "lecun": {"init": "lecun"},
    "act_first": {"dense_act_first": True, "dense": (19,), "dropout": 0.2},
    "no_se": {"se_resblock": False, "se_eblock": False},
    "se_first_conv": {"se_first_conv": True},
    "max_pooling": {"global_pooling": "max"},
    "no_dense_skip": {"dense_skip": False, "dense": (10, 7)},
    "wide_dense_skip": {"dense": (30,)},
    "out_block": {"out_dim": 9, "dropout": 0.3},
    "batch": {"embedding_norm": "batch"},
    "layer": {"embedding_norm": "layer"},
    "l2": {"embedding_norm": "l2"},
    "add": {"merge": "add"},
    "add_falling": {"merge": "add", "channels": (8, 5, 3), "skip_pooling": "max"},
}
EVERY = SMALL | {name: altered(SMALL_LOG_NET, **axis) for name, axis in LOG_NET_AXES.items()}


def waveforms(batch: int = 4, samples: int = 8_000) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(3))


def trained(encoder: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [
        (name, weights) for name, weights in encoder.named_parameters() if weights.requires_grad
    ]


def seeded(config) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return encoders.build(config)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ResNetSE34L(), 1_437_078),
        (ResNetSE34L(pooling="asp"), 1_502_614),
        (ResNetSE34L(embedding_dim=256), 1_404_054),
        (ResNetSE34L(channels=HALF), 5_602_988),
        (ResNetSE34L(channels=HALF, pooling="asp"), 5_734_060),
        (ResNetSE34L(features=LogMel(mels=64)), 1_437_078),
    ],
)
def test_resnets_have_the_weights_of_the_trainer_that_the_lab_used(config, count):
    assert encoders.parameter_count(config) == count


@pytest.mark.parametrize("entry", ENTRIES)
def test_log_net_has_the_weights_of_the_entry(entry):
    base, delta, count = ENTRIES[entry]
    assert encoders.parameter_count(altered(base, **delta)) == count


def test_entry_116_with_its_classes_has_the_total_of_the_log():
    classes, embedding_dim = 5_994, LogNet().embedding_dim
    out_block = embedding_dim * classes + classes
    assert encoders.parameter_count(LogNet()) + out_block == 4_325_050


def test_a_tdnn_of_64_channels_has_150_000_weights():
    assert encoders.parameter_count(TDNN(channels=64)) == pytest.approx(150_000, rel=0.01)


@pytest.mark.parametrize("name", EVERY)
def test_counting_agrees_with_building_and_draws_no_chance(name):
    before = torch.get_rng_state()
    count = encoders.parameter_count(EVERY[name])
    assert torch.equal(before, torch.get_rng_state())
    built = seeded(EVERY[name])
    assert count == sum(weights.numel() for weights in built.parameters())


@pytest.mark.parametrize("name", EVERY)
def test_no_weight_is_frozen_but_those_that_a_published_network_never_applies(name):
    frozen = {
        n for n, weights in seeded(EVERY[name]).named_parameters() if not weights.requires_grad
    }
    idle = {f"idle.{norm}.{weights}" for norm in (0, 1) for weights in ("weight", "bias")}
    assert frozen == (idle if EVERY[name].kind == "rawnet3" else set())


@pytest.mark.parametrize("name", EVERY)
def test_every_weight_gets_a_finite_gradient(name):
    encoder = seeded(EVERY[name])
    embeddings = encoder(waveforms())
    assert embeddings.shape == (4, EVERY[name].embedding_dim)
    (
        embeddings * torch.linspace(-1, 1, embeddings.numel()).reshape(embeddings.shape)
    ).sum().backward()
    for weights_name, weights in trained(encoder):
        assert weights.grad is not None, weights_name
        assert torch.isfinite(weights.grad).all(), weights_name


@pytest.mark.parametrize(
    ("name", "samples"),
    [*((name, 3_201) for name in EVERY), *((name, 3_200) for name in SMALL)],
)
def test_an_utterance_alone_has_the_embedding_it_has_in_a_batch(name, samples):
    encoder = seeded(EVERY[name]).eval()
    with torch.no_grad():
        together = encoder(waveforms(samples=samples))
        alone = encoder(waveforms(samples=samples)[1:2])
    assert torch.isfinite(together).all()
    torch.testing.assert_close(alone, together[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_equal_seeds_give_equal_embeddings_and_gradients(name):
    gradients = []
    for _ in range(2):
        encoder = seeded(SMALL[name])
        with torch.random.fork_rng():
            torch.manual_seed(0)  # for the dropout
            encoder(waveforms()).square().sum().backward()
        gradients.append([weights.grad for _, weights in trained(encoder)])
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("name", SMALL)
def test_embeddings_have_a_length_of_their_own(name):
    lengths = seeded(SMALL[name])(waveforms()).norm(dim=1)
    assert (lengths - 1).abs().max() > 0.01


def test_l2_embeddings_have_unit_length():
    embeddings = seeded(EVERY["l2"])(waveforms())
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("name", EVERY)
def test_silence_gives_finite_embeddings_and_gradients(name):
    encoder = seeded(EVERY[name])
    embeddings = encoder(torch.zeros(2, 3_200))
    embeddings.sum().backward()
    assert torch.isfinite(embeddings).all()
    assert all(torch.isfinite(weights.grad).all() for _, weights in trained(encoder))


@pytest.mark.parametrize("name", EVERY)
def test_encoders_run_under_autocast(name):
    encoder = seeded(EVERY[name])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = encoder(waveforms())
    assert torch.isfinite(embeddings).all()
    embeddings.float().sum().backward()
    assert all(torch.isfinite(weights.grad).all() for _, weights in trained(encoder))


@pytest.mark.parametrize("kernel", [1, 3, 4, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("samples", [4, 5, 8, 9])
def test_same_convolution_divides_the_length_and_rounds_up(kernel, stride, samples):
    conv = log_net.SameConv(1, 1, kernel, stride=stride)
    assert conv(torch.zeros(1, 1, 1, samples)).shape[3] == math.ceil(samples / stride)


def test_same_convolution_puts_the_odd_zero_at_the_end():
    conv = log_net.SameConv(1, 1, 3, stride=2, bias=False)
    torch.nn.init.constant_(conv.weight, 1.0)
    even, odd = torch.arange(1.0, 5).reshape(1, 1, 1, 4), torch.arange(1.0, 6).reshape(1, 1, 1, 5)
    assert conv(even).tolist() == [[[[6.0, 7.0]]]]
    assert conv(odd).tolist() == [[[[3.0, 9.0, 9.0]]]]


def test_the_skip_averages_only_samples_that_are_there():
    shortcut = seeded(SMALL_LOG_NET).eblocks[0].shortcut
    assert shortcut(torch.tensor([[[[1.0, 3.0, 5.0]]]])).tolist() == [[[[2.0, 5.0]]]]


def test_ten_eblocks_take_two_seconds_to_32_frames():
    config = altered(
        LogNet(), in_channels=2, channels=(2,) * 10, resblocks=(0,) * 10, dense=(4, 22)
    )
    encoder = seeded(config)
    maps = encoder.eblocks(encoder.in_block(encoder.front_end(waveforms(1, 32_000)).unsqueeze(2)))
    assert maps.shape == (1, 22, 1, 32)


def test_an_added_skip_pads_the_new_channels_with_zeros():
    widened = log_net.WidenChannels(3)(torch.ones(1, 2, 1, 4))
    assert widened.sum(dim=(2, 3)).tolist() == [[4.0, 4.0, 0.0]]


@pytest.mark.parametrize("merge", ["add", "concatenate"])
def test_the_signal_neither_vanishes_nor_explodes_through_a_fresh_log_net(merge):
    encoder = seeded(altered(LogNet(), merge=merge, dense=(64, 64), resblock_norm="none"))
    with torch.no_grad():
        assert 1e-2 < encoder(waveforms(4, 3_200)).std().item() < 1e2


def test_what_vanished_in_entry_01_1_is_kept_by_weights_of_twice_the_variance():
    plain = {"skip": False, "dense_skip": False, "resblock_norm": "none"}
    spreads = {}
    for init in ("he", "lecun"):
        encoder = seeded(altered(MODEL1, **plain, init=init, out_dim=None))
        with torch.no_grad():
            spreads[init] = encoder(waveforms(4, 3_200)).std(dim=0).mean().item()
    assert spreads["lecun"] < spreads["he"] / 100
