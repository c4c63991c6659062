"""PyTorch's side of gpu.ts: the same product and the same training step, on the same card. One line of JSON.

usage: gpu_torch.py DEVICE MATMUL_SIZE BATCH WIDTH ROUNDS
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        plain = stride == 1 and inputs == outputs
        shortcut = [] if plain else [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet18(width):
    widths = [width * 2**stage for stage in range(4)]
    blocks = []
    inputs = width
    for stage, outputs in enumerate(widths):
        for i in range(2):
            blocks.append(Block(inputs, outputs, 2 if i == 0 and stage > 0 else 1))
            inputs = outputs
    stem = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width * 8, 10))


def seconds(run, rounds, wait):
    for _ in range(3):
        run()
    wait()
    started = time.perf_counter()
    for _ in range(rounds):
        run()
    wait()
    return (time.perf_counter() - started) / rounds


def main():
    device = sys.argv[1]
    size, batch, width, rounds = (int(n) for n in sys.argv[2:6])
    cuda = device == "cuda"
    wait = torch.cuda.synchronize if cuda else lambda: None
    torch.backends.cudnn.benchmark = True

    a = torch.full((size, size), 0.5, device=device)
    b = torch.full((size, size), 0.25, device=device)
    net = resnet18(width).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    images = torch.sin(torch.arange(batch * 3072, dtype=torch.float32)).reshape(batch, 3, 32, 32).to(device)
    labels = (torch.arange(batch) % 10).to(device)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()

    def measure(tf32):
        # float32 as written, or products of numbers with ten bits of fraction, which convolutions have by default.
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        product = seconds(lambda: torch.mm(a, b), rounds, wait)
        trained = seconds(step, rounds, wait)
        return {"matmulTeraflops": 2 * size**3 / product / 1e12, "imagesPerSecond": batch / trained}

    name = torch.cuda.get_device_name(0) if cuda else "cpu"
    print(json.dumps({"version": torch.__version__, "device": name, "float32": measure(False), "tf32": measure(True)}))


main()
