#!/usr/bin/env python3
"""Times steps of lmic-train and of PyTorch on the CPU, in turn, into records/tables/training.csv.

    scripts/measure_training.py [--model byte-200k ...] [--batch 2] [--threads 2] [--steps 5]
    scripts/measure_training.py --model recurrent-1m --batch 8 --output records/tables/training-recurrent.csv

Run it with a Python that has torch. Both train the same network of a recipe in f32 with its optimizer and
clipping, on noise: what the bytes are does not change the time. While one computes a step, the other is stopped.
A step is [wall seconds, CPU seconds of user and system]; the first of each is left out. On a machine that does
other things, compare CPU seconds.
"""
import argparse
import datetime
import importlib.util
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

# Threads that wait for each other shall sleep: their spinning is no work, and the machine may be busy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch  # reads that variable when loaded

import record
from record import ROOT


def torch_recipe_module(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "recipes" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class RecurrentTorchSteps:
    """Steps of PyTorch in this process, of a recurrent model."""

    def __init__(self, recipe, batch, folder):
        data = {"train": [{"path": "noise", "weight": 1}]}
        recipe = {**recipe, "data": data, "optim": {**recipe["optim"], "rows": batch}}
        self.trainer = torch_recipe_module("train_recurrent").Trainer(recipe, recipe["model"], folder, "cpu", False)
        self.model = self.trainer.model

    def step(self):
        wall, cpu = time.perf_counter(), time.process_time()
        self.trainer.step(1.0)
        self.trainer.loss.item()
        return time.perf_counter() - wall, time.process_time() - cpu


class TorchSteps:
    """Steps of PyTorch in this process, of a transformer."""

    def __init__(self, recipe, batch):
        module = torch_recipe_module("train_torch")
        config = {"rms_norm_eps": 1e-5, "rope_theta": 10000.0, **recipe["model"]}
        config.setdefault("kv_heads", config["heads"])
        config.setdefault("head_dim", config["hidden_size"] // config["heads"])
        self.model = module.Llama(config)
        optim = recipe["optim"]
        groups = module.groups(self.model, optim["weight_decay"])
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=tuple(optim["betas"]), fused=True)
        self.shape = (batch, config["context"])

    def step(self):
        wall, cpu = time.perf_counter(), time.process_time()
        loss = self.model.loss(torch.randint(0, 256, self.shape))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        loss.item()
        return time.perf_counter() - wall, time.process_time() - cpu


class TrainerSteps:
    """Steps of lmic-train, a process that is stopped between them."""

    def __init__(self, binary, recipe, rows_key, batch, threads, steps, folder):
        sets = ["data.train=[{path='noise'}]", "data.validation={fraction=0.1}", "data.validation_windows=1",
                "log.every=1", "log.validate_every=1000000", "log.checkpoint_every=1000000", f"optim.{rows_key}={batch}"]
        if rows_key == "rows":
            sets.append("optim.int8_part=0")
        words = [binary, "run", "--config", recipe, "--data", folder, "--out", folder / "run", "--threads", threads,
                 "--steps", steps + 2, *(word for s in sets for word in ("--set", s))]
        self.child = subprocess.Popen([str(w) for w in words], stderr=subprocess.PIPE, text=True)
        self.clock = self.cpu()

    def step(self):
        begun = time.perf_counter()
        self.child.send_signal(signal.SIGCONT)
        for line in self.child.stderr:
            if re.match(r"step \d+", line):
                break
        else:
            sys.exit("lmic-train ended too early")
        self.child.send_signal(signal.SIGSTOP)
        wall, before, self.clock = time.perf_counter() - begun, self.clock, self.cpu()
        return wall, self.clock - before

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.child.kill()
        self.child.wait()


def measure(binary, name, args):
    recipe_path = ROOT / "recipes" / f"{name}.toml"
    recipe = tomllib.loads(recipe_path.read_text(encoding="utf-8"))
    recurrent = "mixer" in recipe["model"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "noise").write_bytes(os.urandom(1 << 22))
        theirs = RecurrentTorchSteps(recipe, args.batch, folder) if recurrent else TorchSteps(recipe, args.batch)
        rows_key = "rows" if recurrent else "batch"
        ours = TrainerSteps(binary, recipe_path, rows_key, args.batch, args.threads, args.steps, folder)
        runs = {"lmic-train": ours, "PyTorch": theirs}
        seconds = {codec: [] for codec in runs}
        for number in range(args.steps + 1):
            for codec, run in runs.items():
                taken = [round(s, 3) for s in run.step()]
                if number > 0:
                    seconds[codec].append(taken)
        ours.end()
    step_bytes = args.batch * recipe["model"]["segment" if recurrent else "context"]
    return {"step_bytes": step_bytes, **seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="recipe [default: all byte-*]")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--binary", type=pathlib.Path, help="this lmic-train [default: build it]")
    parser.add_argument("--output", type=pathlib.Path, default=record.TABLES / "training.csv")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    binary = args.binary
    if binary is None:
        subprocess.run(["cargo", "build", "--profile", "train", "--package", "lmic-train"], cwd=ROOT, check=True)
        binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "train" / "lmic-train"
    models = {name: measure(binary, name, args) for name in args.model or ["byte-200k", "byte-800k", "byte-3m"]}
    rows = []
    for name, model in models.items():
        seconds = (statistics.median(step[i] for step in model[trainer]) for trainer in ("lmic-train", "PyTorch") for i in (0, 1))
        rows.append([name, *(f"{model['step_bytes'] / s:,.0f}" for s in seconds)])
    head = ["bytes per second", "lmic-train", "per CPU second", "PyTorch", "per CPU second"]
    record.write(args.output, head, rows,
                 f"Medians of {args.steps} steps in turn, f32, {args.batch} sequences a step, {args.threads} threads, PyTorch "
                 f"{torch.__version__}. {datetime.date.today()}, {record.machine()}: {record.commit()}.")


main()
