"""The faster forms equal torch's own layers, and nothing else is touched."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robench.engine.layers import faster_layers, use_faster_layers

CASES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense": (nn.Linear(1100, 300), (5, 1100)),
    "from one channel": (nn.Conv2d(1, 16, 5), (2, 1, 9, 11)),
    "from one channel, dilated": (nn.Conv2d(1, 16, 7, dilation=2, padding=6), (2, 1, 14, 12)),
    "from three channels, uneven": (nn.Conv2d(3, 16, (3, 5), padding=(1, 3), dilation=(2, 1)), (2, 3, 9, 11)),
    "to two channels": (nn.Conv2d(16, 2, (3, 5), padding=(1, 3), dilation=(2, 1)), (3, 16, 7, 9)),
    "without bias": (nn.Conv2d(16, 3, 2, bias=False), (3, 16, 7, 9)),
    "transposed to one channel": (nn.ConvTranspose2d(16, 1, 3, padding=1), (3, 16, 7, 6)),
    "transposed, dilated": (nn.ConvTranspose2d(16, 2, (3, 5), padding=(1, 3), dilation=(2, 1)), (3, 16, 7, 7)),
    "doubling, kernel 4": (nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1), (3, 16, 7, 6)),
    "doubling, kernel 7": (nn.ConvTranspose2d(16, 3, 7, stride=2, padding=3, output_padding=1), (3, 16, 5, 6)),
    "doubling, uneven": (nn.ConvTranspose2d(16, 2, (4, 6), stride=2, padding=(1, 2)), (2, 16, 4, 4)),
    "from one pixel": (nn.ConvTranspose2d(16, 8, 7, stride=2), (3, 16, 1, 1)),
    "from one pixel, given four": (nn.ConvTranspose2d(16, 8, 7, stride=2), (3, 16, 2, 2)),
}


def answers(layer: nn.Module, images: Tensor, gradient: Tensor | None) -> tuple[Tensor, ...]:
    """Output and all gradients."""
    inputs = images.clone().requires_grad_(True)
    output = layer(inputs)
    wanted = [inputs, *(parameter for parameter in layer.parameters() if parameter.requires_grad)]
    upstream = torch.linspace(-1, 1, output.numel()).view(output.shape) if gradient is None else gradient
    return output.detach(), *torch.autograd.grad(output, wanted, upstream.to(output.dtype))


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_a_faster_form_equals_torch_in_answers_and_gradients(case: str, frozen: bool) -> None:
    torch.manual_seed(0)
    layer, shape = CASES[case]
    layer.requires_grad_(not frozen)
    images = torch.randn(shape)
    expected = answers(layer, images, None)
    with faster_layers(layer):
        assert ("forward" in vars(layer)) or (case == "dense" and not frozen)
        for fast, plain in zip(answers(layer, images, None), expected, strict=True):
            torch.testing.assert_close(fast, plain, atol=3e-5, rtol=1e-4)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("case", CASES)
def test_a_faster_form_bears_autocast(case: str) -> None:
    torch.manual_seed(0)
    layer, shape = CASES[case]
    layer.requires_grad_(False)
    images = torch.randn(shape)
    expected = answers(layer, images, None)
    with faster_layers(layer), torch.autocast("cpu", dtype=torch.bfloat16):
        for fast, plain in zip(answers(layer, images, None), expected, strict=True):
            scale = float(plain.abs().max())
            torch.testing.assert_close(fast.float(), plain, atol=0.02 * scale, rtol=0.02)


def test_a_relu_overwrites_only_what_a_layer_has_made() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Sigmoid(), nn.ReLU())
    images = torch.randn(2, 1, 6, 6)
    before = images.clone()
    expected = network(images)
    changed = use_faster_layers(network)
    assert network[2] in changed
    assert network[0] not in changed
    assert network[4] not in changed
    torch.testing.assert_close(network(images), expected)
    assert torch.equal(images, before)


def test_subclasses_hooked_layers_and_own_forwards_keep_their_meaning() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
            return 2 * super().forward(input)

    network = nn.Sequential(Doubled(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU())
    seen: list[Tensor] = []
    network[2].register_forward_hook(lambda layer, inputs, output: seen.append(output))
    images = torch.randn(2, 1, 8, 8)
    expected = network(images)
    use_faster_layers(network)
    torch.testing.assert_close(network(images), expected)
    torch.testing.assert_close(seen[1], seen[0])


def test_layers_with_few_channels_on_both_sides_stay_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Sigmoid(), nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1))
    assert use_faster_layers(network) == []


def test_weights_stay_where_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1))
    names = list(network.state_dict())
    with faster_layers(network):
        assert list(network.state_dict()) == names
        network(torch.randn(1, 1, 6, 6)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_dropout_keeps_its_share_scale_and_gradient(share: float) -> None:
    torch.manual_seed(0)
    layer = nn.Dropout(share)
    inputs = torch.ones(200, 500, requires_grad=True)
    with faster_layers(layer):
        output = layer(inputs)
        output.sum().backward()
        layer.eval()
        assert torch.equal(layer(inputs), inputs)
    dropped = (output == 0).float().mean()
    assert abs(float(dropped) - share) < 0.01
    torch.testing.assert_close(output[output != 0].unique(), torch.tensor([1 / (1 - share)]))
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, output)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_dropout_of_nothing_or_everything_stays_as_it_is(share: float) -> None:
    layer = nn.Dropout(share)
    assert use_faster_layers(layer) == []
