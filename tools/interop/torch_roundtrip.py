"""PyTorch's half of torch-roundtrip.mjs: `write FOLDER` saves a network and its logits, `read FOLDER` loads ours."""

import collections
import json
import pathlib
import struct
import sys

import numpy as np
import torch

dtypes = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(data[8 + length :][slice(*info["data_offsets"])], dtypes[info["dtype"]])
            .reshape(info["shape"])
            .copy()
        )
        for name, info in header.items()
    }


def write_safetensors(path, state):
    header, chunks, at = {}, [], 0
    for name, t in state.items():
        chunk = t.contiguous().numpy().tobytes()
        dtype = next(key for key, value in dtypes.items() if np.dtype(value) == t.numpy().dtype)
        header[name] = {"dtype": dtype, "shape": list(t.shape), "data_offsets": [at, at + len(chunk)]}
        chunks.append(chunk)
        at += len(chunk)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def network():
    return torch.nn.Sequential(
        collections.OrderedDict(
            conv=torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
            bn=torch.nn.BatchNorm2d(8),
            relu=torch.nn.ReLU(),
            pool=torch.nn.MaxPool2d(2),
            flatten=torch.nn.Flatten(),
            fc=torch.nn.Linear(8 * 4 * 4, 10),
        )
    )


act, folder = sys.argv[1], pathlib.Path(sys.argv[2])
net = network()
if act == "write":
    torch.manual_seed(5)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(net(torch.randn(16, 3, 8, 8)), torch.randint(10, (16,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Strides of another order in memory must not matter.
    net.conv.weight.data = net.conv.weight.data.contiguous(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 8, 8)
    (folder / "input.bin").write_bytes(x.numpy().tobytes())
    (folder / "logits.bin").write_bytes(net.eval()(x).detach().numpy().tobytes())
    torch.save(net.state_dict(), folder / "state.pt")
    torch.save({"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict()}, folder / "checkpoint.pt")
    torch.save({f"module.{k}": v for k, v in net.state_dict().items()}, folder / "parallel.pt", pickle_protocol=4)
    write_safetensors(folder / "torch.safetensors", net.state_dict())
else:
    x = torch.from_numpy(np.fromfile(folder / "input.bin", np.float32).reshape(4, 3, 8, 8))
    expected = torch.from_numpy(np.fromfile(folder / "ours.bin", np.float32).reshape(4, 10))
    index = json.loads((folder / "ours.safetensors.index.json").read_text())["weight_map"]
    sharded = {}
    for file in sorted(set(index.values())):
        sharded.update(read_safetensors(folder / file))
    for name, state in {"ours.safetensors": read_safetensors(folder / "ours.safetensors"), "shards": sharded}.items():
        net.load_state_dict(state, strict=True)
        logits = net.eval()(x).detach()
        error = float((logits - expected).norm() / expected.norm())
        print(f"{name} in PyTorch, strict: relative error of the logits {error:.1e}")
        assert error < 1e-5
