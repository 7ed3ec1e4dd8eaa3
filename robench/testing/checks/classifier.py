"""Rules that a classifier must keep."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from robench.api import PluginError, UsageError
from robench.testing.checks.check import checks
from robench.testing.checks.common import is_offered, takes_its_defaults

if TYPE_CHECKING:
    from robench.testing.benches.classifier import ClassifierBench

_IMAGES = 12
_SHAPES = ((1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 17, 23))


def trains(bench: ClassifierBench) -> None:
    """One epoch on a task that is learnt in a second lowers its loss."""
    from robench.engine.seeding import isolated_default_generator

    trained = bench.train()
    with isolated_default_generator():
        fresh = bench.network().build().to(bench.device)
    before, after = bench.loss(fresh), bench.loss(trained.module)
    if not after < before:
        message = f"its loss on clean images was {before:.4g} before an epoch of training and is {after:.4g} after it"
        raise PluginError(message, "look at the loss, the learning rate and what of the module requires a gradient")


def answers_with_logits(bench: ClassifierBench) -> None:
    """It answers with finite float32 logits, one row for each image."""
    bench.ask(bench.images(_IMAGES))


def leaves_images_alone(bench: ClassifierBench) -> None:
    """It does not write to the images that it is asked about."""
    images = bench.images(_IMAGES)
    bench.ask(images)
    if not bool((images == bench.images(_IMAGES)).all()):
        message = "it wrote to the images"
        raise PluginError(message, "use no in-place operation on what forward is given")


def answers_a_single_image(bench: ClassifierBench) -> None:
    """It answers a batch of one."""
    bench.ask(bench.images(1))


def answers_alike_in_any_batch(bench: ClassifierBench) -> None:
    """Its answer about an image does not depend on the other images of the batch."""
    from robench.testing.benches.bench import nearly

    images = bench.images(_IMAGES)
    together = bench.ask(images)
    for size in (1, 5):
        for start in range(0, _IMAGES, size):
            part = slice(start, start + size)
            if not nearly(together[part], bench.ask(images[part])):
                message = f"image {start} gets another answer in a batch of {size}"
                raise PluginError(message, "let no image see another: no statistics over the batch in evaluation mode")


def repeats_itself(bench: ClassifierBench) -> None:
    """In evaluation mode the same images get the same answer, whatever the global generators hold."""
    from robench.testing.benches.bench import nearly
    from robench.testing.guards import disturb

    images = bench.images(_IMAGES)
    first = bench.ask(images)
    disturb(1)
    if not nearly(first, bench.ask(images)):
        message = "asked again, it answers differently"
        raise PluginError(message, "a classifier may not be random in evaluation mode: let dropout ask self.training")


def reloads(bench: ClassifierBench) -> None:
    """Loaded from the cache, it gives the same answers."""
    from robench.engine.weights import TrainedNetwork
    from robench.testing.benches.bench import nearly
    from robench.testing.guards import disturb

    images = bench.images(_IMAGES)
    first = bench.ask(images)
    disturb(3)
    again = bench.open_workshop(bench.workshop.splits.spec.shape).train_classifier(bench.offer)
    if isinstance(again, TrainedNetwork) and again.trained_now:
        message = "its weights are not found again"
        raise PluginError(message, "describe the same network at each call: same name, architecture and recipe")
    if not nearly(first, bench.ask(images, again.module)):
        message = "with its weights from the cache, it answers differently"
        raise PluginError(message, "keep whatever it learns in parameters and buffers")


def moves_to_a_device(bench: ClassifierBench) -> None:
    """All its tensors are parameters or buffers, which move with it."""
    from torch import nn

    from robench.testing.moving import stray_tensors

    stray = stray_tensors(bench.trained.module, nn.Identity())
    if stray:
        message = f"these tensors stay behind when it moves to another device: {', '.join(stray)}"
        raise PluginError(message, "use register_buffer, nn.Parameter, nn.ModuleList or nn.ModuleDict")


def passes_a_gradient(bench: ClassifierBench) -> None:
    """Its logits have a finite gradient at most images, and not of zero."""
    import torch

    images = bench.images(_IMAGES).requires_grad_(True)
    with torch.enable_grad():
        best = bench.trained.module(images).topk(2, dim=1).values
    if not best.requires_grad:
        message = "its logits have no gradient"
        raise PluginError(message, "avoid detach, no_grad and numpy")
    (gradient,) = torch.autograd.grad((best[:, 0] - best[:, 1]).sum(), images, materialize_grads=True)
    flat = gradient.flatten(1)
    alive = int((flat.isfinite().all(1) & (flat != 0).any(1)).sum())
    if 2 * alive < _IMAGES:
        message = f"at {_IMAGES - alive} of {_IMAGES} images the gradient of its logits is zero or not finite"
        raise PluginError(message, "look for rounding and saturation")


def refuses_what_does_not_fit(bench: ClassifierBench) -> None:
    """For images of another shape it works, or raises UsageError before anything is trained."""
    import torch

    from robench.engine.seeding import isolated_default_generator
    from robench.testing.benches.classifier import checked

    for shape in _SHAPES:
        context = dataclasses.replace(bench.workshop.context(bench.offer), shape=shape)
        try:
            with torch.no_grad(), isolated_default_generator():
                module = bench.offer.spec.network(context).build().eval()
                checked(module(torch.full((2, *shape), 0.5)), 2, bench.classes)
        except UsageError:
            continue
        except Exception as error:
            message = f"for images of shape {shape} it raises {type(error).__name__}: {error}"
            raise PluginError(message, "raise UsageError from network, saying which shapes fit") from error


def leaves_global_state_alone(bench: ClassifierBench) -> None:
    """Answering changes no random generator and no setting of the process."""
    from robench.testing.guards import untouched

    _ = bench.trained
    with untouched("it"):
        bench.ask(bench.images(_IMAGES), bench.train().module)


def prints_nothing(bench: ClassifierBench) -> None:
    """Loading and asking it print nothing on stdout."""
    from robench.testing.guards import silent

    _ = bench.trained
    with silent("it"):
        bench.ask(bench.images(_IMAGES), bench.train().module)


CLASSIFIER_CHECKS = checks(
    is_offered,
    takes_its_defaults,
    trains,
    answers_with_logits,
    leaves_images_alone,
    answers_a_single_image,
    answers_alike_in_any_batch,
    repeats_itself,
    reloads,
    moves_to_a_device,
    passes_a_gradient,
    refuses_what_does_not_fit,
    leaves_global_state_alone,
    prints_nothing,
)
