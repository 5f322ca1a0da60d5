"""Train the feature network on simulated images: ``python -m pretraining.train OUT.safetensors``.

Pixels of one class are to have like features anywhere in their image, pixels of different classes
unlike ones (supervised contrastive loss, each class counting alike); a second head says where
things end. ``--start`` goes on from weights that are there.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from napari_diffseg.core.features.network import FIRST_LAYER, FeatureNet
from pretraining.images import simulate_images
from pretraining.scenes import N_CLASSES

_EDGE_WEIGHT = 0.5
_WARM_UP = 100  # steps


def contrastive_loss(features: Tensor, classes: Tensor, m: int = 640, tau: float = 0.1) -> Tensor:
    """Supervised contrastive loss on ``m`` pixels of each image; each class counts alike.

    Parameters
    ----------
    features : Tensor, b p y x
    classes : Tensor of int, b y x
    m : int
        How many pixels are drawn of each image.
    tau : float
        Temperature.
    """
    b, p = features.shape[:2]
    at = torch.randint(0, classes[0].numel(), (b, m), device=features.device)
    flat = functional.normalize(features.float(), dim=1).flatten(2)
    chosen = torch.gather(flat, 2, at[:, None].expand(b, p, m)).transpose(1, 2)
    label = torch.gather(classes.flatten(1), 1, at)
    itself = torch.eye(m, dtype=torch.bool, device=features.device)
    alike = (chosen @ chosen.transpose(1, 2) / tau).masked_fill(itself, -1e4)
    counts = functional.one_hot(label, N_CLASSES).sum(1).float()
    weight = 1 / torch.gather(counts, 1, label).clamp_min(1)
    log_p = alike - torch.logsumexp(alike + weight.log()[:, None], 2, keepdim=True)
    same = (label[:, :, None] == label[:, None]) & ~itself
    per_pixel = (log_p * same).sum(2) / same.sum(2).clamp_min(1)
    weight = weight * (same.sum(2) > 0)
    return -(per_pixel * weight).sum() / weight.sum()


def edge_loss(logits: Tensor, edges: Tensor) -> Tensor:
    """Cross-entropy of the edge head, ``b 1 y x``; an edge counts three times a pixel of none."""
    weight = torch.tensor(3.0, device=logits.device)
    return functional.binary_cross_entropy_with_logits(
        logits[:, 0].float(), edges.float(), pos_weight=weight
    )


def train_step(
    net: FeatureNet, optimiser: torch.optim.Optimizer, batch: int, side: int, device: str
) -> tuple[float, float]:
    """Take one step on images made for it; return the two losses."""
    with torch.no_grad():
        images, classes, edges = simulate_images(batch, side, device)
    with torch.autocast(device, torch.bfloat16):
        features, logits = net(images.to(memory_format=torch.channels_last))
    contrast, edge = contrastive_loss(features, classes), edge_loss(logits, edges)
    optimiser.zero_grad(set_to_none=True)
    (contrast + _EDGE_WEIGHT * edge).backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    return contrast.item(), edge.item()


def load_start(net: FeatureNet, path: str) -> None:
    """Take weights from a file; those of a network of fewer input channels see the first ones."""
    weights = {name: value.float() for name, value in load_file(path).items()}
    known, first = weights[FIRST_LAYER], torch.zeros_like(net.state_dict()[FIRST_LAYER])
    first[:, : known.shape[1]] = known
    net.load_state_dict({**net.state_dict(), **weights, FIRST_LAYER: first})


def save(net: FeatureNet, path: str, facts: dict[str, str]) -> None:
    """Write the weights in half precision; batch norms' counters are left out."""
    weights = {
        name: value.half().cpu().contiguous()
        for name, value in net.state_dict().items()
        if value.is_floating_point()
    }
    save_file(weights, path, facts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train for some seconds, or some steps, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--seconds", type=float, default=530)
    parser.add_argument("--steps", type=int, help="stop after so many, whatever the time")
    parser.add_argument("--start", help="weights to go on from")
    parser.add_argument("--batch", type=int, default=44)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    torch.manual_seed(args.seed)
    net = FeatureNet()
    if args.start:
        load_start(net, args.start)
    net.to(args.device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), args.rate, weight_decay=1e-4)
    start, step, done = time.monotonic(), 0, 0.0
    means = [0.0, 0.0]
    while done < 1:
        warm = min(1.0, step / _WARM_UP + 0.01)
        for group in optimiser.param_groups:
            group["lr"] = args.rate * warm * 0.5 * (1 + math.cos(math.pi * done))
        losses = train_step(net, optimiser, args.batch, args.side, args.device)
        pairs = zip(means, losses, strict=True)
        means = [0.98 * mean + 0.02 * loss if step else loss for mean, loss in pairs]
        step += 1
        seconds = time.monotonic() - start
        done = step / args.steps if args.steps else seconds / args.seconds
        if step % 100 == 0 or done >= 1:
            print(f"step {step}, {seconds:.0f} s: {means[0]:.3f}, {means[1]:.3f}", flush=True)
    save(net, args.output, {"steps": str(step), "batch": f"{args.batch} of {args.side}²"})


if __name__ == "__main__":
    main()
