#!/usr/bin/python3
"""What tweedie bench measures, as a user of PyTorch would write it: the same names and JSON fields.

mixture.score: the score of a mixture from torch.distributions, by autograd. mcgdiff.run: Cardoso et al. 2024 in a
plain batched loop on that score. Both in float32 on the CPU, 25 components in 80 dimensions."""

import argparse
import json
import math
import os
import statistics
import sys
import time

import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

DIMENSION, MEASUREMENTS, STEPS, PARTICLES, ETA = 80, 2, 100, 1000, 0.85


class Mixture:
    """25 components of covariance I with means (-8 i, -8 j), repeated, and weights proportional to squared normals."""

    def __init__(self):
        grid = -8.0 * torch.arange(-2, 3)
        self.means = torch.cartesian_prod(grid, grid).repeat(1, DIMENSION // 2)
        squares = torch.randn(len(self.means)) ** 2
        self.weights = squares / squares.sum()

    def at(self, sigma):
        """The law of x + sigma n."""
        std = torch.full_like(self.means, math.sqrt(1 + sigma * sigma))
        return MixtureSameFamily(Categorical(self.weights), Independent(Normal(self.means, std), 1))

    def score(self, x, sigma):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self.at(sigma).log_prob(x).sum(), x)[0]


class Measurement:
    """y = A x + std n in the singular coordinates of A: <v_i, x> was measured as target_i with noise level_i."""

    def __init__(self, prior):
        u, _, vt = torch.linalg.svd(torch.randn(MEASUREMENTS, DIMENSION), full_matrices=False)
        s = torch.rand(MEASUREMENTS).sort(descending=True).values
        std = torch.rand(()) * s[0]
        y = (u * s) @ vt @ prior.at(0).sample() + std * torch.randn(MEASUREMENTS)
        self.v, self.target, self.level = vt.T, (u.T @ y) / s, std / s


def noise_levels():
    """DDPM's linear beta, 100 of its 1000 steps."""
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    kept = alpha_bar[torch.arange(STEPS, 0, -1) * 10 - 1]
    return ((1 - kept) / kept).sqrt().tolist() + [0.0], (1 / kept[0]).sqrt().item()


def resample(log_weight):
    """Systematic."""
    weight = torch.softmax(log_weight, 0)
    u = (torch.arange(len(weight)) + torch.rand(())) / len(weight)
    return torch.searchsorted(weight.cumsum(0), u).clamp_max(len(weight) - 1)


def mcgdiff(prior, measured):
    """Draws, and the number of steps."""
    levels, start = noise_levels()
    passed = [level for level in measured.level.tolist() if 0 < level < levels[0]]
    levels = sorted(set(levels + passed), reverse=True)
    active_at = lambda s: (measured.level <= s * (1 + 1e-6)) & (measured.level < levels[0])
    variance_at = lambda s: (s * s - measured.level**2).clamp_min(0)
    log_normal = lambda r, v: -0.5 * (r * r / v + torch.log(2 * math.pi * v))

    x = start * torch.randn(PARTICLES, DIMENSION)
    active = active_at(levels[0])
    v, target, variance = measured.v[:, active], measured.target[active], variance_at(levels[0])[active]
    gain = start**2 / (start**2 + variance)
    wanted = gain * target + (variance * gain).sqrt() * torch.randn(PARTICLES, len(target))
    x = x + (wanted - x @ v) @ v.T
    for t, s in zip(levels, levels[1:]):
        c = ETA * s / t * math.sqrt(t * t - s * s)
        keep = math.sqrt(s * s - c * c) / t
        denoised = x + t * t * prior.score(x, t)
        m = denoised + keep * (x - denoised)
        active = active_at(s)
        v, target, variance = measured.v[:, active], measured.target[active], variance_at(s)[active]
        predicted = torch.where(c * c + variance > 0, c * c + variance, torch.full_like(variance, t * t))
        log_weight = (log_normal(m @ v - target, predicted)
                      - log_normal(x @ v - target, variance_at(t)[active])).sum(1)
        m = m[resample(log_weight)]
        z = torch.randn_like(m)
        x = m + c * z
        if len(target):
            total = c * c + variance
            gain = torch.where(total > 0, c * c / total, torch.ones_like(total))
            shift = gain * (target - m @ v) + ((variance * gain).sqrt() - c) * (z @ v)
            x = x + shift @ v.T
    return x, len(levels) - 1


def rate(work, seconds):
    """Calls per second: after a warm-up, the median over five intervals."""
    def interval():
        calls, begin = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - begin < seconds / 5:
            work()
            calls += 1
        return calls / (time.perf_counter() - begin)

    interval()
    return statistics.median(interval() for _ in range(5))


def sgemm_gflops(seconds):
    a, b, c = torch.full((2048, 2048), 0.5), torch.full((2048, 2048), 0.25), torch.empty(2048, 2048)
    return rate(lambda: torch.mm(a, b, out=c), seconds) * 2e-9 * 2048**3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    prior = Mixture()
    measured = Measurement(prior)
    ceiling = sgemm_gflops(options.seconds)

    x = prior.at(1).sample((1024,))
    works = {"mixture.score": (lambda: prior.score(x, 1.0), len(x)),
             "mcgdiff.run": (lambda: mcgdiff(prior, measured), PARTICLES * mcgdiff(prior, measured)[1])}
    results = []
    for name, (work, rows) in works.items():
        per_second = rows * rate(work, options.seconds)
        gflops = 1e-9 * per_second * 4 * len(prior.means) * DIMENSION
        with open("/proc/self/status") as status:
            peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
        results.append({"name": name, "dtype": "f32", "items_per_s": per_second, "gflops": gflops,
                        "fraction_of_ceiling": gflops / ceiling, "peak_memory_bytes": peak})
    json.dump({"machine": {"threads": options.threads, "torch": torch.__version__},
               "ceilings": {"sgemm_gflops": ceiling}, "results": results, "warnings": []}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
