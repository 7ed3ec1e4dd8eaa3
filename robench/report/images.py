"""Images as they stand in pages and figures."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GREY = 127


def difference(clean: NDArray[np.uint8], attacked: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what an attack changed, grey where nothing: half of it, for the full range is twice as wide as a byte.

    Args:
        clean: Shape (C, H, W).
        attacked: Of the same shape.
    """
    return (_GREY + (attacked.astype(np.int16) - clean) // 2).astype(np.uint8)


def png_url(image: NDArray[np.uint8]) -> str:
    """Return an image, shape (C, H, W) with one or three channels, as a data URL."""
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
