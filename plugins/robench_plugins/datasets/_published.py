"""What is known of published files before they are opened. Light: the specs are built from it."""

from __future__ import annotations

from dataclasses import dataclass

VALIDATION_IMAGES = 6_000
"""The first so many training images are the validation split, in every built-in data set."""

OWN_COPY = "--data-dir or ROBENCH_DATA"
"""How a user supplies files of their own; ends up in hints."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: File name, without a folder.
        sha256: Digest of the file as it is served, as hexadecimal text.
        size: Bytes.
        urls: Where it is served, in the order to try. All serve the same bytes.
    """

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class IdxFile:
    """An IDX file of unsigned bytes.

    Attributes:
        name: File name without ``.gz``.
        shape: Shape of the array in it.
        sha256: Digest of the decompressed file, header included, as hexadecimal text. Mirrors differ in the headers
            of their archives, so this and not the digest of an archive decides.
        remote: The gzip archive to download; None for a file that ships with robench.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str
    remote: RemoteFile | None = None


@dataclass(frozen=True, kw_only=True)
class IdxPair:
    """Images, shape (N, H, W), and their labels, shape (N,)."""

    images: IdxFile
    labels: IdxFile


@dataclass(frozen=True, kw_only=True)
class IdxDataset:
    """A data set in the format of MNIST.

    Attributes:
        name: Of the data set and of its folder.
        train: The published training images; the first of them are the validation split.
        test: The published test images.
        validation: Number of images of the validation split.
    """

    name: str
    train: IdxPair
    test: IdxPair
    validation: int = VALIDATION_IMAGES


@dataclass(frozen=True, kw_only=True)
class CifarDataset:
    """A data set in the binary format of CIFAR-10.

    Attributes:
        name: Of the data set and of its folder.
        archive: The tar archive.
        folder: Name of the folder in the archive.
        train: Names of the files with training images, in their order.
        test: Names of the files with test images.
        records: Number of images of each file.
        shape: Channels, height and width of an image.
        classes: Number K of classes.
        validation: Number of images of the validation split.
    """

    name: str
    archive: RemoteFile
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    records: int
    shape: tuple[int, int, int]
    classes: int
    validation: int = VALIDATION_IMAGES
