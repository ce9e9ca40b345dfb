"""Small networks of the kinds that people publish, each with what is peculiar to its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def layer(inputs: int, outputs: int, kernel: Any = 3, stride: int = 1, groups: int = 1) -> Any:
    """A convolution that keeps the size, its norm and ReLU."""
    pad = kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Inception(nn.Module):
    """Branches with kernels of one row and of one column, pools beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one = layer(3, 8, 3, 2), layer(8, 6, 1)
        self.seven = nn.Sequential(layer(8, 6, 1), layer(6, 6, (1, 7)), layer(6, 6, (7, 1)))
        self.rows, self.columns = layer(8, 6, (1, 3)), layer(8, 6, (3, 1))
        self.less, self.head = nn.Conv2d(32, 12, 3, 2), nn.Linear(44, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        apart = torch.cat([self.rows(x), self.columns(x)], 1)
        pooled = functional.avg_pool2d(x, 3, 1, 1)
        x = torch.cat([self.one(x), self.seven(x), apart, pooled], 1)
        x = torch.cat([self.less(x), functional.max_pool2d(x, 3, 2)], 1)
        return self.head(functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Dense(nn.Module):
    """Every layer reads all before it; norms come first."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 4, 3, padding=1))
            for c in (8, 12, 16)
        )
        self.head = nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for part in self.layers:
            found.append(part(torch.cat(found, 1)))
        return self.head(functional.avg_pool2d(torch.cat(found, 1), 2).mean((2, 3)))


class Ghost(nn.Module):
    """Half of the channels are cheap copies, of which some are cut off; a gate of sixths."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cheap = layer(3, 8), layer(8, 8, groups=8)
        self.down, self.up, self.out = nn.Conv2d(15, 4, 1), nn.Conv2d(4, 15, 1), layer(15, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = torch.cat([x, self.cheap(x)], 1)[:, :15, :, :]
        gate = self.up(functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1))))
        return self.out(x * functional.relu6(gate + 3.0) / 6.0).mean([2, 3])


class Attention(nn.Module):
    """Heads of one product, scores with a bias and a mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        rows, count, width = x.shape
        split = self.qkv(x).reshape(rows, count, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            windows = mask.shape[0]
            scores = scores.view(rows // windows, windows, self.heads, count, count)
            scores = (scores + mask.unsqueeze(1).unsqueeze(0)).view(-1, self.heads, count, count)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, count, width))


class Windows(nn.Module):
    """Attention in windows that are shifted around the edge, positions relative; patches merge."""

    def __init__(self, width: int = 8, size: int = 8, window: int = 4, shift: int = 2) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.patches, self.norm = nn.Conv2d(3, width, 2, 2), nn.LayerNorm(width)
        self.attention, self.merged = Attention(width, 2), nn.Linear(4 * width, 6, bias=False)
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, 2) * 0.2)
        grid = torch.stack(torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij")).flatten(1)
        apart = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", apart[..., 0] * (2 * window - 1) + apart[..., 1])
        image = torch.zeros(1, size, size, 1)
        cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
        for number, (rows, columns) in enumerate((r, c) for r in cuts for c in cuts):
            image[:, rows, columns] = number
        flat = self._split(image).squeeze(-1)
        self.register_buffer("mask", (flat[:, None] != flat[:, :, None]) * -100.0)

    def _split(self, x: Tensor) -> Tensor:
        rows, high, wide, width = x.shape
        x = x.view(rows, high // self.window, self.window, wide // self.window, self.window, width)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.window**2, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        rows, high, wide, width = x.shape
        moved = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2))
        bias = self.table[self.index.view(-1)]  # type: ignore[operator]
        bias = bias.view(self.window**2, self.window**2, 2).permute(2, 0, 1).unsqueeze(0)
        y = self.attention(self._split(moved), bias, self.mask)
        y = y.view(rows, high // self.window, wide // self.window, self.window, self.window, width)
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(rows, high, wide, width)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.merged(torch.cat(parts, -1)).mean((1, 2))


class Unfolded(nn.Module):
    """Attention between places of patches: an image unfolded and folded again by views."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.attention, self.back = nn.Conv2d(3, 8, 1), Attention(8, 2), layer(11, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.into(x)
        rows, width, high, wide = y.shape
        count = high * wide // 4
        y = y.reshape(rows * width * high // 2, 2, wide // 2, 2).transpose(1, 2)
        y = y.reshape(rows, width, count, 4).transpose(1, 3).reshape(rows * 4, count, width)
        y = self.attention(y).view(rows, 4, count, width).transpose(1, 3)
        y = y.reshape(rows * width * high // 2, wide // 2, 2, 2).transpose(1, 2)
        return self.back(torch.cat((x, y.reshape(rows, width, high, wide)), 1)).mean((2, 3))


class Anchors(nn.Module):
    """A detector that decodes boxes by a grid made of the sizes of its maps."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.outputs = classes + 5
        self.body, self.down = layer(3, 8, 3, 2), layer(8, 8, 3, 2)
        self.heads = nn.ModuleList(nn.Conv2d(c, 2 * self.outputs, 1) for c in (16, 8))
        sizes = torch.tensor([[[10.0, 13], [16, 30]], [[30, 61], [62, 45]]])
        self.register_buffer("anchors", sizes.view(2, 1, 2, 1, 1, 2))

    def forward(self, x: Tensor) -> Tensor:
        large = self.body(x)
        small = self.down(large)
        pooled = functional.max_pool2d(small, 5, 1, 2)
        wide = torch.cat([functional.interpolate(pooled, scale_factor=2.0), large], 1)
        found = []
        for index, (head, part) in enumerate(zip(self.heads, (wide, small), strict=True)):
            y = head(part)
            rows, _, high, across = y.shape
            y = y.view(rows, 2, self.outputs, high, across).permute(0, 1, 3, 4, 2).contiguous()
            grid = torch.meshgrid(torch.arange(high), torch.arange(across), indexing="ij")
            places = torch.stack(grid[::-1], 2).view(1, 1, high, across, 2).float() - 0.5
            xy, size, score = y.sigmoid().split((2, 2, self.outputs - 4), 4)
            size = (size * 2) ** 2 * self.anchors[index]  # type: ignore[index]
            box = torch.cat(((xy * 2 + places) * (2 << index), size, score), 4)
            found.append(box.view(rows, -1, self.outputs))
        return torch.cat(found, 1)


class Peaks(nn.Module):
    """Keypoints: of each neighbourhood the largest alone is left; the mean place of each map."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.up = layer(3, 8, 3, 2), nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.register_buffer("across", torch.linspace(-1, 1, 12).view(1, 1, 1, 12))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.up(self.body(x))
        heat = y.sigmoid()
        best = functional.max_pool2d(heat, 3, 1, 1)
        shares = functional.softmax(y.flatten(2), -1).view_as(y)
        return heat * (best == heat).float(), (shares * self.across).sum((2, 3))


class Pyramid(nn.Module):
    """Segmentation: dilated branches, one of the whole image, and what was skipped over."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = layer(3, 4, 3, 2), layer(4, 8, 3, 2)
        self.parts = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=d, dilation=d) for d in (1, 2))
        self.whole, self.out = nn.Conv2d(8, 4, 1), nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(x)
        y = self.high(low)
        whole = self.whole(functional.adaptive_avg_pool2d(y, 1))
        whole = functional.interpolate(whole, size=y.shape[-2:], mode="bilinear")
        y = torch.cat([*(part(y) for part in self.parts), whole], 1)
        y = functional.interpolate(y, size=low.shape[-2:], mode="bilinear", align_corners=True)
        return self.out(torch.cat([y, low], 1)).argmax(1).float()


class Causal(nn.Module):
    """Gated causal convolutions, dilated more and more, and the sum of what they skip to."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=2**i) for i in range(3))
        self.back, self.skip = nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        total: Any = 0
        for level, gate in enumerate(self.gates):
            y = functional.glu(gate(functional.pad(x, (2**level, 0))), 1)
            total = self.skip(y) + total
            x = self.back(y) + x
        return functional.log_softmax(functional.relu(total)[:, :, -1], 1)


class Broadcasted(nn.Module):
    """Keywords: a norm for each band of the spectrum, means of frequency broadcast again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 5, (2, 1), 2)
        self.across = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4)
        self.bands, self.along = nn.BatchNorm2d(4 * 5), nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
        self.head = nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.across(x)
        rows, channels, bands, frames = y.size()
        y = self.bands(y.view(rows, channels * 5, bands // 5, frames))
        y = y.view(rows, channels, bands, frames)
        mean = functional.silu(self.along(y.mean(2, keepdim=True)))
        return self.head(functional.relu(y + mean + x).mean(2, keepdim=True)).mean(-1).squeeze(2)


class Speaker(nn.Module):
    """Channels in a ladder; attentive means and deviations over time."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(10, 8, 5, padding=2)
        self.steps = nn.ModuleList(nn.Conv1d(2, 2, 3, padding=2, dilation=2) for _ in range(3))
        self.weigh, self.out = nn.Conv1d(24, 8, 1), nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = torch.split(functional.relu(self.first(x)), 2, 1)
        found = [first]
        for step, part in zip(self.steps, rest, strict=True):
            found.append(functional.relu(step(part + found[-1])))
        x = torch.cat(found, 1)
        count = x.size(-1)
        spread = torch.sqrt(x.var(2, keepdim=True).clamp(1e-4)).repeat(1, 1, count)
        shares = self.weigh(torch.cat((x, x.mean(2, keepdim=True).repeat(1, 1, count), spread), 1))
        shares = shares.tanh().softmax(2)
        mean = (x * shares).sum(2)
        deviation = torch.sqrt((x**2 * shares).sum(2) - mean**2 + 1e-3)
        return self.out(torch.cat((mean, deviation), 1))


class Reading(nn.Module):
    """Text: columns of an image as a sequence, in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(layer(1, 4), nn.MaxPool2d(2), nn.Conv2d(4, 6, (4, 1)))
        self.lstm, self.out = nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, 7)

    def forward(self, x: Tensor) -> Tensor:
        found, _ = self.lstm(self.body(x).squeeze(2).permute(2, 0, 1))
        count, rows, width = found.size()
        letters = self.out(found.view(count * rows, width)).view(count, rows, -1)
        return functional.log_softmax(letters, 2)


class Turned(nn.Module):
    """Attention whose positions turn pairs of values, and its sums without a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        angles = torch.arange(6.0)[:, None] * 0.3 ** torch.arange(4.0)
        self.register_buffer("cosine", torch.cat([angles.cos()] * 2, -1))
        self.register_buffer("sine", torch.cat([angles.sin()] * 2, -1))

    def _turn(self, x: Tensor) -> Tensor:
        first, second = x[..., :4], x[..., 4:]
        return x * self.cosine + torch.cat((-second, first), -1) * self.sine

    def forward(self, x: Tensor) -> Tensor:
        q, k = (functional.elu(self._turn(part(x))) + 1 for part in (self.q, self.k))
        sums = torch.einsum("nld,nlm->ndm", k, self.v(x))
        scale = 1 / (torch.einsum("nld,nd->nl", q, k.sum(1)) + 1e-6)
        return torch.einsum("nld,ndm,nl->nlm", q, sums, scale)


class Moving(nn.Module):
    """Video: windows over time and place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(2, 4, 3, padding=1), nn.Conv3d(4, 4, (1, 3, 3))
        self.pool, self.out = nn.MaxPool3d(2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.second(self.pool(functional.relu(self.first(x)))))
        return self.out(functional.adaptive_avg_pool3d(x, 1).flatten(1))


class Straightened(nn.Module):
    """An image sampled at places of a turned grid."""

    def __init__(self) -> None:
        super().__init__()
        turn = torch.tensor([[[0.9, 0.2, 0.0], [-0.2, 0.9, 0.1]]])
        grid = functional.affine_grid(turn, [1, 1, 6, 6], align_corners=False)
        self.body = layer(1, 4)
        self.register_buffer("grid", grid)

    def forward(self, x: Tensor) -> Tensor:
        grid = self.grid.expand(x.shape[0], -1, -1, -1)  # type: ignore[operator]
        return self.body(functional.grid_sample(x, grid, align_corners=False))


class Twins(nn.Module):
    """The same layers for two inputs, and the distance of what they find."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(layer(1, 4, 3, 2), nn.Flatten(), nn.Linear(64, 8))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.body(a), self.body(b)
        return functional.pairwise_distance(a, b), functional.cosine_similarity(a, b)


CLASSICS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "inception": (Inception, ((1, 3, 17, 17),)),
    "dense": (Dense, ((1, 3, 8, 8),)),
    "ghost": (Ghost, ((1, 3, 8, 8),)),
    "windows": (Windows, ((1, 3, 16, 16),)),
    "unfolded": (Unfolded, ((1, 3, 8, 8),)),
    "anchors": (Anchors, ((1, 3, 16, 16),)),
    "peaks": (Peaks, ((1, 3, 12, 12),)),
    "pyramid": (Pyramid, ((1, 3, 16, 16),)),
    "causal": (Causal, ((1, 4, 20),)),
    "broadcasted": (Broadcasted, ((1, 1, 20, 8),)),
    "speaker": (Speaker, ((1, 10, 12),)),
    "reading": (Reading, ((1, 1, 8, 16),)),
    "turned": (Turned, ((1, 6, 8),)),
    "moving": (Moving, ((1, 2, 4, 8, 8),)),
    "straightened": (Straightened, ((1, 1, 8, 8),)),
    "twins": (Twins, ((1, 1, 8, 8), (1, 1, 8, 8))),
}


def classic(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network in eval mode, with seeded weights, and an input for it."""
    torch.manual_seed(0)
    make, shapes = CLASSICS[name]
    module = make().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return module, tuple(torch.randn(*shape) for shape in shapes)
