"""Equal but faster forms of torch's own layers, so that plugins can be written in plain torch.

Each form computes the same sum in another order. A layer gets one only where it was measured to pay
(``docs/performance.md``); everything else keeps torch's form. The judge never uses them: it asks the layers themselves.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FEW_CHANNELS = 4
_MANY_CHANNELS = 16
"""Between so few and so many channels torch's kernels leave vectors empty; between few and few, nothing is better."""

_LARGE_PRODUCT = 2**18
"""Weights of a dense layer from which the detour through a convolution is worth its fixed cost."""


@contextmanager
def faster_layers(*modules: nn.Module) -> Iterator[None]:
    """Give the layers of modules their faster forms for as long as the context is open; weights stay where they are."""
    with ExitStack() as stack:
        for module in modules:
            for layer in use_faster_layers(module):
                stack.callback(delattr, layer, "forward")
        yield


def use_faster_layers(module: nn.Module) -> list[nn.Module]:
    """Give the layers of a module their faster forms for good and return those that have one now.

    Only exact types of torch count, since a subclass may mean something else; and only layers without a ``forward`` of
    their own.
    """
    changed = []
    for layer in module.modules():
        form = _FORMS.get(type(layer))
        if form is not None and "forward" not in vars(layer) and (forward := form(layer)) is not None:
            layer.forward = forward
            changed.append(layer)
    for container in module.modules():
        if type(container) is nn.Sequential:
            changed += _write_in_place(container)
    return changed


def _write_in_place(container: nn.Sequential) -> list[nn.Module]:
    """Let each ReLU overwrite what the layer before it has made and nobody else sees."""
    layers = list(container)
    changed: list[nn.Module] = []
    for before, layer in itertools.pairwise(layers):
        fresh = type(before) in _FRESH and not before._forward_hooks  # noqa: SLF001 (no public way to ask)
        if fresh and type(layer) is nn.ReLU and "forward" not in vars(layer):
            layer.forward = functional.relu_  # type: ignore[method-assign]
            changed.append(layer)
    return changed


def _dense(layer: nn.Linear) -> Callable[[Tensor], Tensor] | None:
    """A frozen float32 layer on the CPU: its products go through oneDNN instead of MKL, which is slow on many CPUs."""
    weight = layer.weight
    small = weight.numel() < _LARGE_PRODUCT
    if small or weight.requires_grad or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    transposed = weight.T.contiguous()

    def forward(inputs: Tensor) -> Tensor:
        if inputs.ndim != 2 or inputs.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):  # noqa: PLR2004
            return functional.linear(inputs, weight, layer.bias)
        result: Tensor = _FrozenProduct.apply(inputs, weight, transposed, layer.bias)  # type: ignore[no-untyped-call]
        return result

    return forward


class _FrozenProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, transposed: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ANN401 (has any attribute)
        ctx.transposed = transposed
        return _product(inputs, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        return _product(gradient, ctx.transposed, None), None, None, None


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``rows @ weight.T + bias`` as a 1 x 1 convolution over the rows.

    The shape (1, columns, rows, 1), in channels-last order, lies in memory just as (rows, columns) does.
    """
    outputs = functional.conv2d(rows.contiguous().T[None, :, :, None], weight[:, :, None, None], bias)
    return outputs[0, :, :, 0].T.contiguous()


def _convolution(layer: nn.Conv2d) -> Callable[[Tensor], Tensor] | None:
    """A convolution without stride, of few channels (where its input gradient gets the form) or to few channels."""
    plain = layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if layer.stride != (1, 1) or layer.weight.device.type != "cpu" or not plain:
        return None
    (height, width), (down, across) = layer.kernel_size, layer.dilation
    cut = down * (height - 1) - int(layer.padding[0]), across * (width - 1) - int(layer.padding[1])
    if min(cut) < 0 or not _uneven(layer):
        return None

    def forward(images: Tensor) -> Tensor:
        if images.ndim == 4:  # noqa: PLR2004
            if layer.out_channels <= _FEW_CHANNELS:
                mirrored = layer.weight.flip(2, 3).transpose(0, 1)
                return _add_bias(_row_by_row(images, mirrored, cut, layer.dilation), layer.bias)
            if images.requires_grad and not layer.weight.requires_grad:
                result: Tensor = _FewChannels.apply(images, layer)  # type: ignore[no-untyped-call]
                return result
        return functional.conv2d(images, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)

    return forward


def _uneven(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    fewer, more = sorted((layer.in_channels, layer.out_channels))
    return fewer <= _FEW_CHANNELS and more >= _MANY_CHANNELS


class _FewChannels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, layer: nn.Conv2d) -> Tensor:  # noqa: ANN401 (has any attribute)
        ctx.layer, ctx.dtype = layer, images.dtype
        return functional.conv2d(images, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        layer: nn.Conv2d = ctx.layer
        weight, padding = layer.weight.to(gradient.dtype), (int(layer.padding[0]), int(layer.padding[1]))
        return _row_by_row(gradient, weight, padding, layer.dilation).to(ctx.dtype), None


def _row_by_row(images: Tensor, weight: Tensor, cut: tuple[int, int], dilation: tuple[int, ...]) -> Tensor:
    """Return the transposed convolution, without stride, to few channels.

    Torch's kernels sum over the taps for one channel at a time, which fills no vector. Here one convolution along the
    width has an output for each row of the kernel; shifted by their rows, they are added.

    Args:
        images: Shape (N, inputs, H, W).
        weight: Shape (inputs, outputs, rows, columns).
        cut: Rows and columns to leave out at each border.
        dilation: Distances of neighbouring rows and columns of the kernel.
    """
    outputs, rows, columns = weight.shape[1:]
    kernels = weight.flip(3).permute(2, 1, 0, 3).flatten(0, 1)[:, :, None, :]
    parts = functional.conv2d(
        images,
        kernels.contiguous(memory_format=torch.channels_last),
        dilation=(1, dilation[1]),
        padding=(0, dilation[1] * (columns - 1) - cut[1]),
    ).float()
    count, _, height, width = parts.shape
    summed = parts.new_zeros(count, outputs, height + dilation[0] * (rows - 1), width)
    for row in range(rows):
        begin = row * dilation[0]
        summed[:, :, begin : begin + height] += parts[:, row * outputs : (row + 1) * outputs]
    return summed[:, :, cut[0] : summed.shape[2] - cut[0]].to(images.dtype)


def _add_bias(images: Tensor, bias: Tensor | None) -> Tensor:
    return images if bias is None else images + bias[:, None, None].to(images.dtype)


def _transposed(layer: nn.ConvTranspose2d) -> Callable[[Tensor], Tensor] | None:
    """Three forms of a transposed convolution: of a single pixel, to few channels, and the same at doubled resolution.

    Source: of the last, Shi et al. (2016), "Is the deconvolution layer the same as a convolutional layer?".
    """
    if layer.groups != 1 or isinstance(layer.padding, str):
        return None
    plain = layer.padding == (0, 0) and layer.output_padding == (0, 0) and layer.dilation == (1, 1)
    if plain and layer.stride != (1, 1):
        return partial(_from_one_pixel, layer)
    if layer.out_channels > _FEW_CHANNELS or not _uneven(layer) or layer.weight.device.type != "cpu":
        return None
    cut = int(layer.padding[0]), int(layer.padding[1])
    if layer.stride == (1, 1) and layer.output_padding == (0, 0):
        dilation = layer.dilation
        return lambda images: _add_bias(_row_by_row(images, layer.weight, cut, dilation), layer.bias)
    doubling = layer.stride == (2, 2) and all(
        size + extra == 2 * padding + 2
        for size, extra, padding in zip(layer.kernel_size, layer.output_padding, cut, strict=True)
    )
    return _SubpixelKernels(layer).convolve if doubling and layer.dilation == (1, 1) else None


def _from_one_pixel(layer: nn.ConvTranspose2d, images: Tensor) -> Tensor:
    """The kernel, weighted by the channels of the only pixel: a dense layer with outputs in channels-last order."""
    if images.shape[2:] != (1, 1):
        return functional.conv_transpose2d(images, layer.weight, layer.bias, layer.stride)
    height, width = layer.kernel_size
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = None if layer.bias is None else layer.bias.repeat(height * width)
    outputs = functional.linear(images.flatten(1), weight, bias)
    return outputs.view(-1, height, width, layer.out_channels).permute(0, 3, 1, 2)


class _SubpixelKernels:
    """Each of the four output pixels of an input pixel sees its own part of the kernel, in an ordinary convolution.

    Output row 2q + a takes input row q + d through kernel row a + padding - 2d, where that exists.
    """

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        self._layer = layer
        size, padding = layer.kernel_size, layer.padding
        rows, columns = (_offsets(size[axis], int(padding[axis])) for axis in range(2))
        self._padding = (-columns[0], columns[-1], -rows[0], rows[-1])
        self._taps = _subpixel_taps(layer, rows, columns).to(layer.weight.device)

    def convolve(self, images: Tensor) -> Tensor:
        layer = self._layer
        with_zero = functional.pad(layer.weight.flatten(2), (0, 1))
        kernels = with_zero[:, :, self._taps].permute(1, 2, 3, 0, 4, 5).flatten(0, 2)
        bias = None if layer.bias is None else layer.bias.repeat_interleave(4)
        return functional.pixel_shuffle(functional.conv2d(functional.pad(images, self._padding), kernels, bias), 2)


def _offsets(size: int, padding: int) -> range:
    """Return the offsets d of the input rows that any of two neighbouring output rows sees."""
    return range((padding - size + 2) // 2, (1 + padding) // 2 + 1)


def _subpixel_taps(layer: nn.ConvTranspose2d, rows: range, columns: range) -> Tensor:
    """Return the kernel's tap (or the zero behind them) of each sub-pixel and offset, shape (2, 2, rows, columns)."""
    height, width = layer.kernel_size
    zero = height * width

    def along(offsets: range, size: int, padding: int) -> Tensor:
        taps = torch.arange(2)[:, None] + padding - 2 * torch.tensor(offsets)[None, :]
        return torch.where((taps >= 0) & (taps < size), taps, zero)

    down = along(rows, height, int(layer.padding[0]))[:, None, :, None]
    across = along(columns, width, int(layer.padding[1]))[None, :, None, :]
    return torch.where((down == zero) | (across == zero), zero, down * width + across)


def _dropout(layer: nn.Dropout) -> Callable[[Tensor], Tensor] | None:
    """On a CPU, comparing uniform draws is three times as fast as drawing from the Bernoulli distribution."""
    if not 0 < layer.p < 1 or layer.inplace:
        return None

    def forward(inputs: Tensor) -> Tensor:
        if not layer.training or inputs.device.type != "cpu":
            return functional.dropout(inputs, layer.p, layer.training)
        kept = torch.rand(inputs.shape) >= layer.p
        return inputs * kept.to(inputs.dtype).mul_(1 / (1 - layer.p))

    return forward


_FORMS: dict[type[nn.Module], Callable[[Any], Callable[[Tensor], Tensor] | None]] = {
    nn.Linear: _dense,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    nn.Dropout: _dropout,
}

_FRESH = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
"""Layers whose output is a new tensor that their backward pass does not need."""
