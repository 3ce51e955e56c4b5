"""The mixture's scores and MCGdiff in plain PyTorch, in float32: what src/run/bench_mixture.cpp measures."""

import math

import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

DIMENSION, MEASUREMENTS, STEPS, ETA = 80, 2, 100, 0.85


def grid():
    """25 means (-8 i, -8 j), repeated, and weights proportional to squared normals."""
    coordinate = -8.0 * torch.arange(-2, 3)
    squares = torch.randn(25) ** 2
    return torch.cartesian_prod(coordinate, coordinate).repeat(1, DIMENSION // 2), squares / squares.sum()


class AutogradScore:
    """The gradient of the log density that torch.distributions computes."""

    def score(self, x, sigma):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self.at(sigma).log_prob(x).sum(), x)[0]


class Mixture(AutogradScore):
    """Components of covariance I."""

    def __init__(self):
        self.means, self.weights = grid()

    def at(self, sigma):
        """The law of x + sigma n."""
        std = torch.full_like(self.means, math.sqrt(1 + sigma * sigma))
        return MixtureSameFamily(Categorical(self.weights), Independent(Normal(self.means, std), 1))


class ClosedMixture(Mixture):
    """The same with the score in closed form: two products. |x|^2 is the same in all components."""

    def __init__(self):
        super().__init__()
        self.half_squares, self.log_weights = 0.5 * self.means.square().sum(1), self.weights.log()

    @torch.inference_mode()
    def score(self, x, sigma):
        variance = 1 + sigma * sigma
        logits = self.log_weights + (x @ self.means.T - self.half_squares) / variance
        return (logits.softmax(1) @ self.means - x) / variance


class FullMixture(AutogradScore):
    """Components of covariances with eigenvalues about 0.6 to 2.6. What depends on sigma alone is kept."""

    def __init__(self):
        self.means, self.weights = grid()
        factor = torch.randn(len(self.means), DIMENSION, DIMENSION) / math.sqrt(2 * DIMENSION)
        self.covariance = 0.6 * torch.eye(DIMENSION) + factor @ factor.mT
        self.kept = {}

    def at(self, sigma):
        if sigma not in self.kept:
            factor = torch.linalg.cholesky(self.covariance + sigma * sigma * torch.eye(DIMENSION))
            self.kept[sigma] = MixtureSameFamily(Categorical(self.weights),
                                                 MultivariateNormal(self.means, scale_tril=factor))
        return self.kept[sigma]


class ClosedFullMixture(FullMixture):
    """The same in closed form: one batched product with the precisions gives densities and gradients."""

    def __init__(self):
        super().__init__()
        self.kept_precisions = {}

    @torch.inference_mode()
    def score(self, x, sigma):
        if sigma not in self.kept_precisions:
            factor = torch.linalg.cholesky(self.covariance + sigma * sigma * torch.eye(DIMENSION))
            logarithms = factor.diagonal(dim1=1, dim2=2).log().sum(1)
            self.kept_precisions[sigma] = torch.cholesky_inverse(factor), self.weights.log() - logarithms
        precision, constant = self.kept_precisions[sigma]
        r = x - self.means[:, None]
        pull = r @ precision
        weight = (constant[:, None] - 0.5 * (r * pull).sum(2)).softmax(0)
        return -(weight[:, :, None] * pull).sum(0)


class Measurement:
    """y = A x + std n in the singular coordinates of A: <v_i, x> was measured as target_i with noise level_i."""

    def __init__(self, prior):
        u, _, vt = torch.linalg.svd(torch.randn(MEASUREMENTS, DIMENSION), full_matrices=False)
        s = torch.rand(MEASUREMENTS).sort(descending=True).values
        std = torch.rand(()) * s[0]
        y = (u * s) @ vt @ prior.at(0).sample() + std * torch.randn(MEASUREMENTS)
        self.v, self.target, self.level = vt.T, (u.T @ y) / s, std / s


def noise_levels(measured):
    """DDPM's linear beta, 100 of its 1000 steps, with the measurements' levels; and the std of the start."""
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    kept = alpha_bar[torch.arange(STEPS, 0, -1) * 10 - 1]
    levels = ((1 - kept) / kept).sqrt().tolist() + [0.0]
    passed = [level for level in measured.level.tolist() if 0 < level < levels[0]]
    return sorted(set(levels + passed), reverse=True), (1 / kept[0]).sqrt().item()


def resample(log_weight):
    """Systematic, in each chain: (chains, particles) to the place of each one's parent among all."""
    chains, particles = log_weight.shape
    u = (torch.arange(particles) + torch.rand(chains, 1)) / particles
    parent = torch.searchsorted(log_weight.softmax(1).cumsum(1), u).clamp_max(particles - 1)
    return (parent + particles * torch.arange(chains)[:, None]).flatten()


def mcgdiff(prior, measured, particles, chains=1):
    """Cardoso et al. 2024, independent chains side by side: x (chains x particles, d), and the number of steps."""
    levels, start = noise_levels(measured)
    active_at = lambda s: (measured.level <= s * (1 + 1e-6)) & (measured.level < levels[0])
    variance_at = lambda s: (s * s - measured.level**2).clamp_min(0)
    log_normal = lambda r, v: -0.5 * (r * r / v + torch.log(2 * math.pi * v))

    x = start * torch.randn(chains * particles, DIMENSION)
    active = active_at(levels[0])
    v, target, variance = measured.v[:, active], measured.target[active], variance_at(levels[0])[active]
    gain = start**2 / (start**2 + variance)
    wanted = gain * target + (variance * gain).sqrt() * torch.randn(len(x), len(target))
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
        m = m[resample(log_weight.view(chains, particles))]
        z = torch.randn_like(m)
        x = m + c * z
        if len(target):
            total = c * c + variance
            gain = torch.where(total > 0, c * c / total, torch.ones_like(total))
            shift = gain * (target - m @ v) + ((variance * gain).sqrt() - c) * (z @ v)
            x = x + shift @ v.T
    return x, len(levels) - 1
