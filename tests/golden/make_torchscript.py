#!/usr/bin/python3
"""Makes torchscript_denoiser.pt beside this file: a small convolutional denoiser f(x, sigma) -> D saved with torch.jit, which
carries as attributes an input, a cotangent and PyTorch's own D and vjp for them. Needs Debian's python3-torch."""

import os
from typing import List

import torch


class Denoiser(torch.nn.Module):
    shape: List[int]

    def __init__(self) -> None:
        super().__init__()
        self.shape = [1, 6, 6]
        self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.level = torch.nn.Linear(1, 8)
        self.norm = torch.nn.GroupNorm(2, 8)
        self.last = torch.nn.Conv2d(8, 1, 3, padding=1)
        for name in ("x", "sigma", "v", "mean", "vjp"):
            self.register_buffer("reference_" + name, torch.zeros(1))

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        s = sigma.reshape(-1, 1)
        total = (s * s + 0.25).reshape(-1, 1, 1, 1)
        h = self.first(x / total.sqrt()) + self.level(s.log() / 4)[:, :, None, None]
        h = self.last(torch.nn.functional.silu(self.norm(h)))
        return 0.25 / total * x + 0.5 * s.reshape(-1, 1, 1, 1) / total.sqrt() * h


torch.manual_seed(0)
model = Denoiser()
x = (3 * torch.randn(4, 1, 6, 6)).requires_grad_()
v = torch.randn(4, 1, 6, 6)
sigma = torch.tensor([0.02, 0.5, 3.0, 40.0])
mean = model(x, sigma)
(vjp,) = torch.autograd.grad(mean, x, v)
for name, value in (("x", x), ("sigma", sigma), ("v", v), ("mean", mean), ("vjp", vjp)):
    setattr(model, "reference_" + name, value.detach())
torch.jit.script(model).save(os.path.join(os.path.dirname(os.path.abspath(__file__)), "torchscript_denoiser.pt"))
