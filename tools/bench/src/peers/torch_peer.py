"""PyTorch's side of torch.ts: a request is a line of JSON on standard input, with the tensors that it announces behind it;
so is every answer on standard output. Tensors are float32 in this machine's byte order. A run is timed in here, around
the run alone: what the pipe takes is in no time."""

import json
import os
import resource
import signal
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    def __init__(self, main, shortcut):
        super().__init__()
        self.main = main
        self.shortcut = shortcut

    def forward(self, x):
        return torch.relu(self.main(x) + self.shortcut(x))


LAYERS = {
    "conv2d": lambda s: nn.Conv2d(s["in"], s["out"], s["kernel"], s["stride"], s["padding"], bias=s["bias"]),
    "linear": lambda s: nn.Linear(s["in"], s["out"], bias=s["bias"]),
    "batchNorm2d": lambda s: nn.BatchNorm2d(s["features"]),
    "maxPool2d": lambda s: nn.MaxPool2d(s["kernel"]),
    "relu": lambda s: nn.ReLU(),
    "gelu": lambda s: nn.GELU(),
    "globalAvgPool2d": lambda s: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "flatten": lambda s: nn.Flatten(),
    "residual": lambda s: Residual(chain(s["main"]), chain(s["shortcut"])),
}


def chain(specs):
    return nn.Sequential(*(LAYERS[spec["type"]](spec) for spec in specs))


class OpTask:
    def __init__(self, problem, tensors):
        op = problem["op"]
        if op == "matmul":
            self.compute = lambda: torch.mm(tensors["a"], tensors["b"])
            return
        padding = problem["padding"]
        image = [problem["batch"], problem["in"], problem["image"], problem["image"]]
        weight = [problem["out"], problem["in"], problem["kernel"], problem["kernel"]]
        self.compute = {
            "conv2d": lambda: F.conv2d(tensors["x"], tensors["w"], padding=padding),
            "conv2dGradInput": lambda: nn.grad.conv2d_input(image, tensors["w"], tensors["gy"], padding=padding),
            "conv2dGradWeight": lambda: nn.grad.conv2d_weight(tensors["x"], weight, tensors["gy"], padding=padding),
        }[op]

    def run(self):
        with torch.no_grad():
            self.result = self.compute()

    def outputs(self):
        return {"y": self.result}


class TrainTask:
    def __init__(self, problem, tensors):
        self.images = tensors.pop("images")
        self.labels = torch.tensor(problem["labels"], dtype=torch.int64)
        self.model = chain(problem["layers"])
        missing, unexpected = self.model.load_state_dict(tensors, strict=False)
        missing = [name for name in missing if name.split(".")[-1] in ("weight", "bias")]
        if missing or unexpected:
            raise ValueError(f"parameters missing: {missing}, unexpected: {unexpected}")
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=problem["learningRate"], momentum=problem["momentum"]
        )

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.item()

    def outputs(self):
        state = {name: t for name, t in self.model.state_dict().items() if t.dtype == torch.float32}
        return {"loss": torch.tensor([self.loss]), **state}


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def blas():
    """The library behind matrix products and linear layers, as far as Linux tells."""
    try:
        with open("/proc/self/maps") as maps:
            paths = {line.split()[-1] for line in maps if "blas" in line or "mkl" in line}
    except OSError:
        return ""
    return min(paths, key=lambda path: ("openblas" not in path, "mkl" not in path, path), default="")


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of standard input is the end
    torch.set_num_threads(int(sys.argv[1]))
    stdin = sys.stdin.buffer
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints does not disturb the answers
    tasks = {}

    def answer(header, tensors=()):
        stdout.write(json.dumps(header).encode() + b"\n")
        for t in tensors:
            stdout.write(t.detach().contiguous().numpy().tobytes())
        stdout.flush()

    def read_tensor(shape):
        count = torch.Size(shape).numel()
        return torch.frombuffer(bytearray(stdin.read(4 * count)), dtype=torch.float32).reshape(shape).clone()

    def prepare(request):
        tensors = {name: read_tensor(shape) for name, shape in request["tensors"]}
        problem = request["problem"]
        tasks[request["task"]] = (TrainTask if problem["op"] == "train" else OpTask)(problem, tensors)
        answer({})

    def run(request):
        task = tasks[request["task"]]
        wall, cpu = time.perf_counter(), processor_time()
        task.run()
        answer({"wall": time.perf_counter() - wall, "cpu": processor_time() - cpu})

    def outputs(request):
        found = tasks[request["task"]].outputs()
        answer({"outputs": [[name, t.numel()] for name, t in found.items()]}, found.values())

    def dispose(request):
        del tasks[request["task"]]
        answer({})

    commands = {"prepare": prepare, "run": run, "outputs": outputs, "dispose": dispose}
    answer({"version": torch.__version__, "threads": torch.get_num_threads(), "blas": blas()})
    for line in stdin:
        request = json.loads(line)
        try:
            commands[request["command"]](request)
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


main()
