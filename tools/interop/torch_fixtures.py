"""Writes the .pt files that the tests read (packages/checkpoint/src/testing/fixtures) and, beside them, what is in them.

    python3 tools/interop/torch_fixtures.py

With Debian's python3-torch (1.13). Each file has a .json with the tensors as PyTorch reads them: dtype, shape, and the
elements in row-major order (floats as their bits in hexadecimal, so that NaN and -0 count).
"""

import collections
import json
import pathlib

import numpy as np
import torch

folder = pathlib.Path(__file__).parents[2] / "packages/checkpoint/src/testing/fixtures"
names = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def describe(t):
    t = t.detach().contiguous()
    size = t.element_size()
    bits = t.view(torch.int16) if t.dtype == torch.bfloat16 else t
    return {"dtype": names[t.dtype], "shape": list(t.shape), "hex": bits.numpy().tobytes().hex(), "size": size}


def save(name, value, tensors, **options):
    torch.save(value, folder / f"{name}.pt", **options)
    (folder / f"{name}.json").write_text(json.dumps({k: describe(t) for k, t in tensors.items()}, indent=1) + "\n")


torch.manual_seed(1)

every = collections.OrderedDict(
    double=torch.tensor([1.5, -0.0, float("nan"), float("inf")], dtype=torch.float64),
    float=torch.randn(2, 3),
    half=torch.tensor([[1.0, -2.5], [65504.0, 6e-8]], dtype=torch.float16),
    bfloat16=torch.tensor([1.0, -3.0, 1e38], dtype=torch.bfloat16),
    long=torch.tensor([2**62, -1, 0]),
    int=torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32),
    short=torch.tensor([-5, 300], dtype=torch.int16),
    char=torch.tensor([-128, 127], dtype=torch.int8),
    byte=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(3.25),
    empty=torch.zeros(0, 4),
)
save("dtypes", every, every)

base = torch.arange(24, dtype=torch.float32)
views = collections.OrderedDict(
    base=base,
    transposed=base.view(4, 6).t(),
    permuted=base.view(2, 3, 4).permute(2, 0, 1),
    rows=base.view(4, 6)[1:3],
    columns=base.view(4, 6)[:, 2::3],
    tail=base[20:],
    tied=base,
    one=base.view(4, 6)[2:3, 5:6],
    channels_last=torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2).to(memory_format=torch.channels_last),
)
save("views", views, views)

net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(16, 2)
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[3, 5, 5])
for _ in range(2):
    optimizer.zero_grad()
    net(torch.randn(5, 3, 4, 4)).sum().backward()
    optimizer.step()
    schedule.step()
save("state-dict", net.state_dict(), net.state_dict())
save(
    "checkpoint",
    {
        "epoch": 2,
        "best": 0.75,
        "big": 2**70,
        "negative": -(2**40),
        "name": "réseau",
        "raw": b"\x00\xff",
        "nothing": None,
        "flags": (True, False),
        "losses": [0.5, -1.25, float("nan")],
        "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "state_dict": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "rng": torch.get_rng_state()[:8].clone(),
    },
    net.state_dict(),
)
save("parameters", {"weight": torch.nn.Parameter(torch.ones(2, 2)), "frozen": torch.nn.Parameter(torch.zeros(2), requires_grad=False)},
     {"weight": torch.ones(2, 2), "frozen": torch.zeros(2)})  # fmt: skip
save("protocol4", every, every, pickle_protocol=4)

# What has to be refused.
torch.save(net.state_dict(), folder / "legacy.pt", _use_new_zipfile_serialization=False)
torch.save(net, folder / "module.pt")
torch.save({"a": torch.zeros(2, dtype=torch.complex64)}, folder / "complex.pt")
torch.save({"a": torch.zeros(1).expand(1000)}, folder / "expanded.pt")
torch.save({"a": np.float64(1.0)}, folder / "numpy.pt")
torch.save({"a": torch.eye(2).to_sparse()}, folder / "sparse.pt")
torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), folder / "script.pt")
