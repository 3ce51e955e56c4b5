#!/usr/bin/python3
"""What tweedie bench measures, as a user of plain PyTorch would write it: the same names of work and fields of JSON.

A row is the best of what was tried for a dtype, and says which memory format and batch that was; "tried" has all.

  *.sample   D(x; 1) of a network without gradients
  *.train    a step of Karras et al. 2022 with Adam, clipped gradients and an average of the weights; here a row's
             batch is what goes through the network at once, gradients adding up to the step's
  *.guided   one MMPS denoising on a quarter of the pixels: three conjugate gradients, a vjp each
  *.dps      one DPS denoising on the same: one vjp
  *.draw     a draw of 50 steps of Karras et al. 2022, algorithm 1
  mixture.*  the score, by autograd through torch.distributions; *_closed and score_full in closed form
  mcgdiff.*  Cardoso et al. 2024: 1,000 particles of one chain, or chains of 128 side by side, of which the batch is
             how many at once; *_closed with the score in closed form

An item is a row, of mcgdiff.* a particle's step. bf16 is autocast's, networks only. --check holds a model file's
network in PyTorch against `tweedie denoise`."""

import argparse
import copy
import ctypes
import ctypes.util
import gc
import json
import math
import os
import statistics
import sys
import time


def wake_blas():
    """An OpenBLAS older than the processor takes it for one without AVX: names it a better one, as tweedie does."""
    library = ctypes.util.find_library("openblas")
    if library is None or "OPENBLAS_CORETYPE" in os.environ:
        return
    core_name = ctypes.CDLL(library).openblas_get_corename
    core_name.restype = ctypes.c_char_p
    with open("/proc/cpuinfo") as info:
        flags = info.read().split()
    if core_name() == b"Prescott" and "avx2" in flags:
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX" if "avx512vl" in flags else "Haswell"
        os.execv(sys.executable, [sys.executable, *sys.argv])


if __name__ == "__main__":
    # Threads that spin while they wait take the core from those they wait for, if other work has the rest.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    wake_blas()

import torch
from torch_mixture import ClosedFullMixture, ClosedMixture, FullMixture, Measurement, Mixture, mcgdiff
from torch_unet import Denoiser, Mlp, UNet, flops, load_denoiser

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SIGMA, NOISE_STD, STEPS = 1.0, 0.05, 50


class Case:
    """A network, the shape of its data, the batch of a training step, and the batches to try."""

    def __init__(self, network, shape, train_batch, batches, **options):
        self.make = lambda: network(shape, **options)
        self.shape, self.train_batch, self.batches = shape, train_batch, batches

    def denoiser(self, dtype, memory_format):
        return Denoiser(self.make(), bf16=dtype == "bf16").to(memory_format=FORMATS[memory_format])

    def rows(self, count, memory_format):
        x = torch.randn(count, *self.shape)
        return x.contiguous(memory_format=FORMATS[memory_format]) if x.dim() == 4 else x


CASES = {
    "unet": Case(UNet, (1, 32, 32), 64, (1, 16, 64), channels=64, multipliers=(1, 2, 2), blocks=2, attention=(8,)),
    "unet64": Case(UNet, (3, 64, 64), 4, (1, 4, 16), channels=128, multipliers=(1, 2, 3, 4), blocks=2, attention=(8,)),
    "demo": Case(UNet, (1, 28, 28), 64, (1, 16, 64), channels=64, multipliers=(1, 2), blocks=1, patch=2),
    "mlp": Case(Mlp, (64,), 1024, (16, 64, 1024), width=256, depth=4),
    "mlp2d": Case(Mlp, (2,), 1024, (64, 1024, 4096), width=128, depth=3),
}


def sample(case, dtype, memory_format, batch):
    denoiser = case.denoiser(dtype, memory_format).requires_grad_(False)
    x = case.rows(batch, memory_format)

    @torch.inference_mode()
    def call():
        return denoiser(x, SIGMA)

    return call, batch


def train(case, dtype, memory_format, batch):
    denoiser = case.denoiser(dtype, memory_format)
    average = copy.deepcopy(denoiser).requires_grad_(False)
    data = case.rows(4 * case.train_batch, memory_format)
    optimiser = torch.optim.Adam(denoiser.parameters(), lr=1e-3)

    def call():
        chosen = data[torch.randint(len(data), (case.train_batch,))]
        for x in chosen.split(batch):
            sigma = (1.2 * torch.randn(len(x)) - 1.2).exp()
            rows = sigma.reshape(-1, *[1] * (x.dim() - 1))
            error = denoiser(x + rows * torch.randn_like(x), sigma) - x
            ((rows**2 + 1) / rows**2 * error**2).sum().div(chosen.numel()).backward()
        torch.nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            for mean, parameter in zip(average.parameters(), denoiser.parameters()):
                mean.lerp_(parameter, 0.01)

    return call, case.train_batch


class Masked:
    """x, y = x on a quarter of the pixels with noise, and D with its vjps."""

    def __init__(self, case, dtype, memory_format, batch):
        self.denoiser = case.denoiser(dtype, memory_format).requires_grad_(False)
        self.x = case.rows(batch, memory_format)
        self.mask = (torch.rand(case.shape[1:]) < 0.25).float()
        self.y = torch.randn_like(self.x) * self.mask

    def linearise(self):
        x = self.x.detach().requires_grad_()
        mean = self.denoiser(x, SIGMA)
        return mean.detach(), lambda v: torch.autograd.grad(mean, x, v, retain_graph=True)[0]


def dot(a, b):
    return (a * b).flatten(1).sum(1)[:, None, None, None]


def guided(case, dtype, memory_format, batch):
    problem = Masked(case, dtype, memory_format, batch)

    def call():
        mean, vjp = problem.linearise()
        p = r = problem.y - problem.mask * mean
        rr = dot(r, r)
        for _ in range(3):
            v = SIGMA**2 * vjp(problem.mask * p)
            q = NOISE_STD**2 * p + problem.mask * v
            curvature = dot(p, q)
            step = torch.where(curvature > 0.5 * NOISE_STD**2 * dot(p, p), rr / curvature, torch.zeros_like(rr))
            mean = mean + step * v
            r = r - step * q
            rr, before = dot(r, r), rr
            p = r + rr / before * p
        return mean

    return call, batch


def dps(case, dtype, memory_format, batch):
    problem = Masked(case, dtype, memory_format, batch)

    def call():
        mean, vjp = problem.linearise()
        return mean + SIGMA**2 / NOISE_STD**2 * vjp(problem.mask * (problem.y - problem.mask * mean))

    return call, batch


def draw(case, dtype, memory_format, batch):
    denoiser = case.denoiser(dtype, memory_format).requires_grad_(False)
    place = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    levels = ((80 ** (1 / 7) + place * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7).tolist() + [0.0]

    @torch.inference_mode()
    def call():
        x = levels[0] * case.rows(batch, memory_format)
        for t, s in zip(levels, levels[1:]):
            slope = (x - denoiser(x, t)) / t
            euler = x + (s - t) * slope
            x = euler if s == 0 else x + (s - t) / 2 * (slope + (euler - denoiser(euler, s)) / s)
        return x

    return call, batch


def score(prior, dtype, memory_format, batch):
    x = prior.means[torch.multinomial(prior.weights, batch, replacement=True)]
    x = x + math.sqrt(1 + SIGMA**2) * torch.randn_like(x)
    return lambda: prior.score(x, SIGMA), batch


def one_chain(prior, dtype, memory_format, batch):
    measured = Measurement(prior)
    steps = mcgdiff(prior, measured, 1)[1]
    return lambda: mcgdiff(prior, measured, batch), batch * steps


def chains(prior, dtype, memory_format, batch):
    measured = Measurement(prior)
    steps = mcgdiff(prior, measured, 1)[1]
    return lambda: mcgdiff(prior, measured, 128, batch), 128 * batch * steps


class Work:
    """make(subject(), dtype, memory_format, batch) gives what to call and its number of items."""

    def __init__(self, make, subject, passes, batches, network=True, formats=tuple(FORMATS)):
        self.make, self.subject, self.passes, self.batches = make, subject, passes, batches
        self.network, self.formats = network, formats
        self.dtypes = ("f32", "bf16") if network else ("f32",)

    def flops(self):
        """Of an item."""
        if not self.network:
            return self.passes
        case = self.subject()
        return self.passes * flops(case.make(), case.shape)


def all_works():
    works = {}
    for name, case in CASES.items():
        subject = lambda case=case: case
        images = len(case.shape) == 3
        formats = tuple(FORMATS) if images else ("contiguous",)
        parts = sorted({min(part, case.train_batch) for part in ((16,) if images else (128,))} | {case.train_batch})
        works[f"{name}.sample"] = Work(sample, subject, 1, case.batches, formats=formats)
        works[f"{name}.train"] = Work(train, subject, 3, parts, formats=formats)
        if images:
            works[f"{name}.guided"] = Work(guided, subject, 4, case.batches, formats=formats)
            works[f"{name}.dps"] = Work(dps, subject, 2, case.batches, formats=formats)
    works["mlp2d.draw"] = Work(draw, lambda: CASES["mlp2d"], 2 * STEPS - 1, CASES["mlp2d"].batches,
                               formats=("contiguous",))
    rows, products = (256, 1024, 4096), 4 * 25 * 80
    mixture = {"network": False, "formats": ("contiguous",)}
    works["mixture.score"] = Work(score, Mixture, products, rows, **mixture)
    works["mixture.score_closed"] = Work(score, ClosedMixture, products, rows, **mixture)
    works["mixture.score_full"] = Work(score, ClosedFullMixture, products * 40, rows, **mixture)
    works["mixture.score_full_autograd"] = Work(score, FullMixture, products * 40, rows, **mixture)
    for suffix, prior in (("", Mixture), ("_closed", ClosedMixture)):
        works[f"mcgdiff.run{suffix}"] = Work(one_chain, prior, products, (1000,), **mixture)
        works[f"mcgdiff.chains{suffix}"] = Work(chains, prior, products, (10, 100, 1000), **mixture)
    return works


def rate(call, seconds):
    """Calls a second: the median of intervals, each of a fifth of the time and at least one call."""
    rates, begin = [], time.perf_counter()
    while not rates or time.perf_counter() - begin < seconds:
        calls, start = 0, time.perf_counter()
        while calls == 0 or time.perf_counter() - start < seconds / 5:
            call()
            calls += 1
        rates.append(calls / (time.perf_counter() - start))
    return statistics.median(rates)


def reset_peak_memory():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


def peak_memory_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def try_all(work, dtype, options):
    """Items a second of each memory format and batch, as a short look has them. A batch whose call would take longer
    than the limit is left out, judged by the batch before."""
    tried = []
    for memory_format in work.formats:
        if options.memory_format not in (None, memory_format):
            continue
        per_second = None
        for batch in options.batch or work.batches:
            call, items = work.make(work.subject(), dtype, memory_format, batch)
            if per_second is not None and items / per_second > options.limit:
                break
            call()
            per_second = items * rate(call, options.seconds / 5)
            tried.append({"memory_format": memory_format, "batch": batch, "items_per_s": per_second})
    return tried


def measure(name, work, dtype, options):
    tried = try_all(work, dtype, options)
    if not tried:
        raise SystemExit(f"{name}: has none of the memory formats asked for")
    best = max(tried, key=lambda one: one["items_per_s"])
    reset_peak_memory()
    call, items = work.make(work.subject(), dtype, best["memory_format"], best["batch"])
    call()
    per_second = items * rate(call, options.seconds)
    return {"name": name, "dtype": dtype, "items_per_s": per_second, "gflops": 1e-9 * per_second * work.flops(),
            "memory_format": best["memory_format"], "batch": best["batch"], "peak_memory_bytes": peak_memory_bytes(),
            "tried": tried}


def chosen(only, works):
    wanted = {name: [work for work in works if work == name or work.startswith(name + ".")] for name in only}
    for name, found in wanted.items():
        if not found:
            raise SystemExit(f"--only {name}: one of {', '.join(works)}, or what comes before a point, is meant")
    return [work for work in works if not only or any(work in found for found in wanted.values())]


def check(model, x_file, sigma, out, against):
    """D(x; sigma) in float32, into `out`; its relative L2 distance from the array in `against`."""
    import numpy
    x = torch.from_numpy(numpy.load(x_file)).float()
    with torch.inference_mode():
        denoised = load_denoiser(model)(x, float(sigma))
    result = {"rows": len(x), "norm": denoised.norm().item()}
    if out:
        numpy.save(out, denoised.numpy())
    if against:
        other = torch.from_numpy(numpy.load(against)).float()
        result["relative_l2"] = ((denoised - other).norm() / other.norm()).item()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a work or its family; repeatable")
    parser.add_argument("--seconds", type=float, default=2, help="to measure each for; a fifth of it for each tried")
    parser.add_argument("--limit", type=float, default=10, help="seconds that a call may take; one always is allowed")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--dtype", choices=("f32", "bf16"), help="this alone")
    parser.add_argument("--memory-format", choices=FORMATS, help="this alone")
    parser.add_argument("--batch", type=int, action="append", help="instead of those of the work; repeatable, ascending")
    parser.add_argument("--list", action="store_true", help="the names")
    parser.add_argument("--check", nargs=3, metavar=("MODEL", "X.npy", "SIGMA"), help="D(x; sigma) of a model file")
    parser.add_argument("--out", metavar="D.npy", help="of --check")
    parser.add_argument("--against", metavar="D.npy", help="of --check: gives the relative L2 distance")
    options = parser.parse_args()
    works = all_works()
    torch.set_num_threads(options.threads)
    if options.list:
        print("\n".join(works))
        return
    if options.check:
        print(json.dumps(check(*options.check, options.out, options.against)))
        return
    results = []
    for name in chosen(options.only, works):
        for dtype in works[name].dtypes:
            if options.dtype in (None, dtype):
                torch.manual_seed(1)
                results.append(measure(name, works[name], dtype, options))
    json.dump({"machine": {"threads": options.threads, "torch": torch.__version__}, "results": results}, sys.stdout,
              indent=2)
    print()


if __name__ == "__main__":
    main()
