"""The library's networks in plain PyTorch, with its names of parameters, and a reader of its model files.

The U-Net is that of src/network/unet.cpp, the MLP that of src/network/mlp.cpp; Denoiser puts the preconditioning of
Karras et al. 2022 around either."""

import json
import math
import pathlib
import struct
import tomllib

import torch
import torch.nn.functional as F
from torch import nn


def convolution(inputs, outputs, kernel=3):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class GroupNorm(nn.GroupNorm):
    """In x's dtype: PyTorch 1.13 refuses float32 weights for the bfloat16 that autocast hands on."""

    def __init__(self, channels):
        groups = max(1, min(32, channels // 4))
        while channels % groups:
            groups -= 1
        super().__init__(groups, channels)

    def forward(self, x):
        return F.group_norm(x, self.num_groups, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


def sinusoids(c_noise, size):
    phase = c_noise[:, None] * torch.logspace(0, 3, size // 2)
    return torch.cat([phase.cos(), phase.sin()], -1)


class Attention(nn.Module):
    """One head over the pixels."""

    def __init__(self, channels):
        super().__init__()
        self.norm = GroupNorm(channels)
        self.qkv = convolution(channels, 3 * channels, 1)
        self.out = convolution(channels, channels, 1)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        weight = (q @ k.transpose(1, 2) / math.sqrt(x.shape[1])).softmax(-1)
        return x + self.out((weight @ v).transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    """Two convolutions, the second modulated by the noise level; attention after them where asked for."""

    def __init__(self, inputs, outputs, embedding, attention=False):
        super().__init__()
        self.norm1 = GroupNorm(inputs)
        self.conv1 = convolution(inputs, outputs)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.norm2 = GroupNorm(outputs)
        self.conv2 = convolution(outputs, outputs)
        self.skip = convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = Attention(outputs) if attention else nn.Identity()

    def forward(self, x, embedding):
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.attention(self.skip(x) + h)


class UNet(nn.Module):
    def __init__(self, shape, channels=64, multipliers=(1, 2, 2), blocks=2, attention=(), patch=1):
        super().__init__()
        colours, height = shape[0] * patch * patch, shape[1] // patch
        self.channels, self.patch, self.levels = channels, patch, len(multipliers)
        self.embed1 = nn.Linear(channels, 4 * channels)
        self.embed2 = nn.Linear(4 * channels, 4 * channels)
        self.stem = convolution(colours, channels)
        width, skips = channels, []
        for level, multiplier in enumerate(multipliers):
            stages = nn.ModuleList()
            for _ in range(blocks):
                stages.append(Block(width, channels * multiplier, 4 * channels, height >> level in attention))
                width = channels * multiplier
                skips.append(width)
            self.add_module(f"down{level}", stages)
        self.middle = nn.ModuleDict({"0": Block(width, width, 4 * channels), "attention": Attention(width),
                                     "1": Block(width, width, 4 * channels)})
        for level, multiplier in reversed(list(enumerate(multipliers))):
            stages = nn.ModuleList()
            for _ in range(blocks):
                stages.append(Block(width + skips.pop(), channels * multiplier, 4 * channels,
                                    height >> level in attention))
                width = channels * multiplier
            self.add_module(f"up{level}", stages)
        self.head = nn.ModuleDict({"norm": GroupNorm(width), "conv": convolution(width, colours)})

    def forward(self, x, c_noise):
        embedding = F.silu(self.embed2(F.silu(self.embed1(sinusoids(c_noise, self.channels)))))
        h, skips = self.stem(F.pixel_unshuffle(x, self.patch)), []
        for level in range(self.levels):
            if level > 0:
                h = F.avg_pool2d(h, 2)
            for stage in getattr(self, f"down{level}"):
                h = stage(h, embedding)
                skips.append(h)
        h = self.middle["attention"](self.middle["0"](h, embedding))
        h = self.middle["1"](h, embedding)
        for level in reversed(range(self.levels)):
            for stage in getattr(self, f"up{level}"):
                h = stage(torch.cat([h, skips.pop()], 1), embedding)
            if level > 0:
                h = F.interpolate(h, size=skips[-1].shape[2:])
        return F.pixel_shuffle(self.head["conv"](F.silu(self.head["norm"](h))), self.patch)


class Mlp(nn.Module):
    def __init__(self, shape, width=256, depth=4):
        super().__init__()
        size = math.prod(shape)
        self.depth = depth
        self.stem = nn.Linear(size, width)
        for i in range(depth):
            self.add_module(f"layer{i}", nn.ModuleDict({"embed": nn.Linear(64, width), "in": nn.Linear(width, width),
                                                        "out": nn.Linear(width, width)}))
        self.head = nn.Linear(width, size)

    def forward(self, x, c_noise):
        embedding, h = sinusoids(c_noise, 64), self.stem(x.flatten(1))
        for i in range(self.depth):
            layer = getattr(self, f"layer{i}")
            h = h + layer["out"](F.silu(layer["in"](h) + layer["embed"](embedding)))
        return self.head(F.silu(h)).reshape(x.shape)


class Denoiser(nn.Module):
    """D(x; sigma), sigma one number or one a row; the network in bfloat16 by autocast, or in float32."""

    def __init__(self, network, sigma_data=1.0, bf16=False):
        super().__init__()
        self.network, self.sigma_data, self.bf16 = network, sigma_data, bf16

    def forward(self, x, sigma):
        sigma = torch.as_tensor(sigma, dtype=x.dtype).expand(len(x))
        rows = sigma.reshape(-1, *[1] * (x.dim() - 1))
        total = rows**2 + self.sigma_data**2
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            f = self.network(x * total.rsqrt(), sigma.log() / 4)
        return self.sigma_data**2 / total * x + rows * self.sigma_data * total.rsqrt() * f.float()


def read_safetensors(path):
    """Arrays by name, and the metadata: 8 bytes of the header's length, a JSON header, the numbers."""
    types = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    content = bytearray(pathlib.Path(path).read_bytes())
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        arrays[name] = torch.frombuffer(content[begin:end], dtype=types[entry["dtype"]]).reshape(entry["shape"])
    return arrays, metadata


def load_denoiser(path):
    """The denoiser in a model file that `tweedie train` wrote, in float32."""
    arrays, metadata = read_safetensors(path)
    card = tomllib.loads(metadata["tweedie.model"])
    options = card["network"]
    network = {"unet": UNet, "mlp": Mlp}[options.pop("kind")](card["shape"], **options)
    network.load_state_dict({name: array.float() for name, array in arrays.items()})
    return Denoiser(network, card["sigma_data"]).requires_grad_(False)


def flops(network, shape):
    """Multiplications and additions of dense layers in one row's forward pass."""
    total = 0.0

    def count(layer, inputs, output):
        nonlocal total
        if isinstance(layer, Attention):
            pixels = output[0, 0].numel()
            total += 4.0 * pixels**2 * output.shape[1]
        else:
            total += 2.0 * layer.weight.numel() * (output[0, 0].numel() if output.dim() == 4 else 1)

    counted = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear, Attention))]
    hooks = [layer.register_forward_hook(count) for layer in counted]
    with torch.inference_mode():
        network(torch.zeros(1, *shape), torch.zeros(1))
    for hook in hooks:
        hook.remove()
    return total
