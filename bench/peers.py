#!/usr/bin/env python3
"""The work of `tweedie bench`, as one would write it in plain PyTorch, under the same names.

Needs python3-torch. Prints {"machine", "results": [{"name", "dtype", "batch", "items_per_s", "gflops",
"peak_memory_bytes"}]}. PyTorch is given what is best for it: all cores inside each operation, channels-last,
and of the batch sizes named, the one that is fastest. bf16 is autocast.
"""

import argparse
import contextlib
import json
import os
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

SIGMA_DATA = 1.0


def sinusoids(c_noise, size):
    frequencies = torch.logspace(0, 3, size // 2)
    phase = c_noise.float()[:, None] * frequencies
    return torch.cat([phase.cos(), phase.sin()], -1)


def group_norm(channels):
    groups = max(1, min(32, channels // 4))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    def __init__(self, into, out, embedding):
        super().__init__()
        self.norm1, self.conv1 = group_norm(into), nn.Conv2d(into, out, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * out)
        self.norm2, self.conv2 = group_norm(out), nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x, embedding):
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(x) + h


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        mixed = (q @ k.transpose(1, 2) / x.shape[1] ** 0.5).softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).reshape(x.shape))


class Stage(nn.Module):
    def __init__(self, into, out, embedding, attends):
        super().__init__()
        self.block = ResidualBlock(into, out, embedding)
        self.attention = Attention(out) if attends else nn.Identity()

    def forward(self, x, embedding):
        return self.attention(self.block(x, embedding))


class UNet(nn.Module):
    """src/network/unet.cpp, layer by layer."""

    def __init__(self, shape, channels, multipliers, blocks, attention, patch=1):
        super().__init__()
        self.channels, self.patch = channels, patch
        size, height = 4 * channels, shape[1] // patch
        self.embed1, self.embed2 = nn.Linear(channels, size), nn.Linear(size, size)
        folded = shape[0] * patch * patch
        self.stem = nn.Conv2d(folded, channels, 3, padding=1)
        skips, width = [], channels
        self.down = nn.ModuleList()
        for level, multiplier in enumerate(multipliers):
            stages = nn.ModuleList()
            for _ in range(blocks):
                out = channels * multiplier
                stages.append(Stage(width, out, size, height >> level in attention))
                width = out
                skips.append(out)
            self.down.append(stages)
        self.middle = nn.ModuleList([Stage(width, width, size, True), Stage(width, width, size, False)])
        self.up = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            stages = nn.ModuleList()
            for _ in range(blocks):
                out = channels * multiplier
                stages.append(Stage(width + skips.pop(), out, size, height >> level in attention))
                width = out
            self.up.append(stages)
        self.head_norm, self.head = group_norm(width), nn.Conv2d(width, folded, 3, padding=1)

    def forward(self, x, c_noise):
        embedding = F.silu(self.embed2(F.silu(self.embed1(sinusoids(c_noise, self.channels)))))
        x = F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for level, stages in enumerate(self.down):
            h = F.avg_pool2d(h, 2) if level else h
            for stage in stages:
                h = stage(h, embedding)
                skips.append(h)
        for stage in self.middle:
            h = stage(h, embedding)
        for level, stages in enumerate(self.up):
            for stage in stages:
                h = stage(torch.cat([h, skips.pop()], 1), embedding)
            if level + 1 < len(self.up):
                h = F.interpolate(h, size=skips[-1].shape[2:], mode="nearest")
        h = self.head(F.silu(self.head_norm(h)))
        return F.pixel_shuffle(h, self.patch) if self.patch > 1 else h


class Mlp(nn.Module):
    """src/network/mlp.cpp"""

    def __init__(self, size, width, depth):
        super().__init__()
        self.stem, self.head = nn.Linear(size, width), nn.Linear(width, size)
        self.layers = nn.ModuleList(
            nn.ModuleList([nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, width)])
            for _ in range(depth)
        )

    def forward(self, x, c_noise):
        embedding = sinusoids(c_noise, 64)
        h = self.stem(x)
        for embed, into, out in self.layers:
            h = h + out(F.silu(into(h) + embed(embedding)))
        return self.head(F.silu(h))


def scaling(sigma):
    total = sigma**2 + SIGMA_DATA**2
    return SIGMA_DATA**2 / total, sigma * SIGMA_DATA / total**0.5, 1 / total**0.5, sigma.log() / 4


def denoise(network, x, sigma):
    c_skip, c_out, c_in, c_noise = scaling(sigma)
    return c_skip * x + c_out * network(c_in * x, c_noise.reshape(1)).float()


def sampling(network, shape, batch, dtype):
    x, sigma = torch.randn(batch, *shape), torch.tensor(1.0)

    def call():
        with torch.inference_mode():
            denoise(network, x, sigma)

    return call


def autocast(dtype):
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16")


def training(network, shape, batch, dtype):
    data = torch.randn(4 * batch, *shape)
    parameters = list(network.parameters())
    averages = [p.detach().clone() for p in parameters]
    adam = torch.optim.Adam(parameters, lr=1e-3)

    def call():
        x = data[torch.randint(len(data), (batch,))]
        sigma = (torch.randn(batch, *[1] * len(shape)) * 1.2 - 1.2).exp()
        noisy = x + sigma * torch.randn_like(x)
        c_skip, c_out, c_in, c_noise = scaling(sigma)
        with autocast(dtype):
            output = network(c_in * noisy, c_noise.flatten())
        error = output.float() - (x - c_skip * noisy) / c_out
        adam.zero_grad(set_to_none=True)
        error.square().mean().backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        with torch.no_grad():
            for average, p in zip(averages, parameters):
                average.lerp_(p, 0.001)

    return call


def guiding(network, shape, batch, dtype):
    """Moment matching (src/posterior/mmps.cpp): three conjugate gradients, on a quarter of the pixels."""
    mask = (torch.rand(shape[1:]) < 0.25).float()
    start, y = torch.randn(batch, *shape), mask * torch.randn(batch, *shape)
    sigma, noise_variance = torch.tensor(1.0), 0.05**2
    for p in network.parameters():
        p.requires_grad_(False)

    def dot(a, b):
        return (a * b).flatten(1).sum(1)[:, None, None, None]

    def call():
        x = start.clone().requires_grad_()
        with autocast(dtype):
            mean = denoise(network, x, sigma)
        r = y - mask * mean.detach()
        p, rr, shift = r, dot(r, r), torch.zeros_like(r)
        for _ in range(3):
            direction = sigma**2 * torch.autograd.grad(mean, x, mask * p, retain_graph=True)[0]
            q = noise_variance * p + mask * direction
            alpha = rr / dot(p, q)
            shift = shift + alpha * direction
            r = r - alpha * q
            rr, before = dot(r, r), rr
            p = r + rr / before * p
        return mean.detach() + shift

    return call


def rate(call, seconds):
    """Calls per second: the median of five intervals after a warm-up, as `tweedie bench` has it."""

    def interval():
        begin, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - begin < seconds / 5:
            call()
            calls += 1
        return calls / (time.perf_counter() - begin)

    interval()
    return statistics.median(interval() for _ in range(5))


def peak_memory():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def forget_peak_memory():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


# name: network, shape, batches of sampling and guiding (the faster counts), batch of training
NETWORKS = {
    "unet": (lambda: UNet((1, 32, 32), 64, [1, 2, 2], 2, [8]), (1, 32, 32), (16, 64), 64),
    "demo": (lambda: UNet((1, 28, 28), 64, [1, 2], 1, [], 2), (1, 28, 28), (16, 64), 64),
    "mlp": (lambda: Mlp(64, 256, 4), (64,), (1024,), 1024),
}
WORK = {"sample": (sampling, 1), "train": (training, 3), "guided": (guiding, 4)}  # and passes of the network


def flops(network, shape):
    """Of one forward pass of one row, dense layers only; a multiply-add is 2."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            total += 2 * module.weight.numel() * (output[0, 0].numel() if output.dim() == 4 else 1)
        elif isinstance(module, Attention):
            pixels = output[0, 0].numel()
            total += 4 * pixels**2 * output.shape[1]

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network(torch.zeros(1, *shape), torch.zeros(1))
    for hook in hooks:
        hook.remove()
    return total


def measure(name, dtype, seconds):
    group, work = name.split(".")
    make, shape, batches, train_batch = NETWORKS[group]
    setup, passes = WORK[work]
    best = None
    for batch in (train_batch,) if work == "train" else batches:
        torch.manual_seed(1)
        network = make().to(memory_format=torch.channels_last)
        forget_peak_memory()
        call = setup(network, shape, batch, dtype)
        # Around all steps of sampling, so that the weights are cast once.
        with autocast(dtype) if work == "sample" else contextlib.nullcontext():
            items_per_s = batch * rate(call, seconds)
        if best is None or items_per_s > best["items_per_s"]:
            best = {
                "name": name,
                "dtype": dtype,
                "batch": batch,
                "items_per_s": items_per_s,
                "gflops": 1e-9 * items_per_s * passes * flops(network, shape),
                "peak_memory_bytes": peak_memory(),
            }
    return best


def main():
    names = [f"{group}.{work}" for group in NETWORKS for work in WORK if (group, work) != ("mlp", "guided")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=", ".join(names))
    parser.add_argument("--dtype", choices=["f32", "bf16"], help="both, if not given")
    parser.add_argument("--seconds", type=float, default=2, help="to measure each for, at least (2)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="all cores")
    arguments = parser.parse_args()
    for only in arguments.only:
        if not any(name == only or name.startswith(only + ".") for name in names):
            parser.error(f"--only {only}: one of {', '.join(names)} is meant")
    chosen = [n for n in names if not arguments.only or {n, n.split(".")[0]} & set(arguments.only)]

    torch.set_num_threads(arguments.threads)
    results = [
        measure(name, dtype, arguments.seconds)
        for name in chosen
        for dtype in ([arguments.dtype] if arguments.dtype else ["f32", "bf16"])
    ]
    machine = {"threads": arguments.threads, "torch": torch.__version__}
    print(json.dumps({"machine": machine, "results": results}, indent=2))


if __name__ == "__main__":
    main()
