"""What every encoder keeps; `bench.support.published_networks` has the counts of published ones."""

import pytest
import torch

from spkmodel.config import TDNN, MultiHead
from spkmodel.nn import encoders
from tests.support.models import field_networks, log_networks, trainer_networks
from tests.support.models.simulated_gpu import moved_to_simulated_gpu, simulated_gpu

SMALL = {
    **trainer_networks.SMALL,
    "tdnn": TDNN(channels=8, embedding_dim=16),
    "tdnn_asp": TDNN(channels=8, embedding_dim=16, pooling="asp", dropout=0.2),
    "tdnn_heads": TDNN(channels=8, embedding_dim=16, pooling=MultiHead(heads=4, deviation=True)),
    "log_net": log_networks.SMALL,
    **field_networks.SMALL,
}
EVERY = SMALL | trainer_networks.POOLINGS | log_networks.EVERY


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


@pytest.mark.parametrize("name", ["resnet_sap", "resnet_v2_asp", "resnet34"])
def test_maps_over_mels_are_contiguous_on_a_cpu_and_have_channels_innermost_on_a_gpu(name):
    encoder = seeded(SMALL[name])
    seen = []
    hook = encoder.stages.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    encoder(waveforms())
    with simulated_gpu():
        moved_to_simulated_gpu(encoder)(torch.randn(4, 8_000, device="cuda"))
    hook.remove()
    on_cpu, on_gpu = seen
    assert on_cpu.is_contiguous()
    assert on_gpu.is_contiguous(memory_format=torch.channels_last)
