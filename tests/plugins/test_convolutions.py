"""The fast layers equal torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from robench_plugins._convolutions import DoublingConvolution, GreyConvolution


def test_the_frozen_grey_convolution_equals_torch_forward_and_backward() -> None:
    torch.manual_seed(0)
    layer = GreyConvolution(6, 5).requires_grad_(False)
    images = torch.rand(3, 1, 12, 10)
    results = []
    for plain in (True, False):
        inputs = images.clone().requires_grad_(True)
        output = functional.conv2d(inputs, layer.weight, layer.bias) if plain else layer(inputs)
        output.square().sum().backward()
        assert inputs.grad is not None
        results.append((output.detach(), inputs.grad))
    torch.testing.assert_close(results[1][0], results[0][0])
    torch.testing.assert_close(results[1][1], results[0][1], atol=1e-5, rtol=1e-5)


def test_the_grey_convolution_still_trains() -> None:
    layer = GreyConvolution(2, 3)
    layer(torch.rand(1, 1, 5, 5, requires_grad=True)).sum().backward()
    assert layer.weight.grad is not None
    assert float(layer.weight.grad.abs().sum()) > 0


def test_the_frozen_grey_convolution_works_under_autocast() -> None:
    layer = GreyConvolution(4, 3).requires_grad_(False)
    images = torch.rand(2, 1, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(images)
    output.float().sum().backward()
    assert output.dtype == torch.bfloat16
    assert images.grad is not None
    assert images.grad.dtype == torch.float32
    expected = functional.conv_transpose2d(torch.ones(2, 4, 6, 6), layer.weight)
    torch.testing.assert_close(images.grad, expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 1), (4, 3)])
def test_the_doubling_convolution_equals_the_transposed_one(inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    fast = DoublingConvolution(inputs, outputs)
    plain = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
    plain.load_state_dict(fast.state_dict())
    images = torch.rand(2, inputs, 7, 6)
    gradients = []
    for layer in (plain, fast):
        values = images.clone().requires_grad_(True)
        output = layer(values)
        assert output.shape == (2, outputs, 14, 12)
        output.square().sum().backward()
        assert values.grad is not None
        assert layer.weight.grad is not None
        gradients.append((output.detach(), values.grad, layer.weight.grad))
    for fast_part, plain_part in zip(gradients[1], gradients[0], strict=True):
        torch.testing.assert_close(fast_part, plain_part, atol=1e-4, rtol=1e-4)
