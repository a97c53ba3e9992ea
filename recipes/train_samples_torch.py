#!/usr/bin/env python3
"""Trains the networks of the sample models: gray images, 8-bit and 16-bit speech.

    recipes/train_samples_torch.py prepare DATA WORK        pieces of samples out of DATA/{images,audio}/{train,dev}
    cargo run --release -p lmic --example sample_views -- gray:64 2048 WORK/gray.train.raw WORK/gray.train.views
    recipes/train_samples_torch.py train WORK gray --minutes 10
    recipes/train_samples_torch.py export WORK gray crates/lmic/src/predict/samples/pretrained/gray.network

`prepare` decodes JPEG and FLAC into raw pieces, each coded alone: patches of 32 rows x 64 samples as in "Language
Modeling Is Compression", larger crops, and chunks of 2048 bytes or more of speech. The example `sample_views` runs
the sample model over the pieces and writes what its network would see before each sample (336 bytes a sample: take the head of
the pieces where that is too much), so that training and coding look at the same numbers. `train` reads {KIND,KIND.large}.train.views and
KIND.dev.views and fits a network of two hidden layers whose output is a mixture of bells, by the
length of the code in bits. Needs torch, numpy, pillow, soundfile. Runs on CUDA where there is a device.
"""
import argparse
import pathlib
import struct
import time

import numpy as np

# name of a set -> how `lmic --as` calls its content, bytes of a piece
SETS = {
    "gray": ("gray:64", 2048),
    "gray.large": ("gray:192", 192 * 128),
    "pcm8": ("pcm8:1", 2048),
    "pcm8.large": ("pcm8:1", 32768),
    "pcm16": ("pcm16:1", 2048),
    "pcm16.large": ("pcm16:1", 65536),
}


# ---------------------------------------------------------------- prepare

def gray_images(folder, luma=False, shrink=1):
    """Gray images of a folder: the mean of the colours, or luma, perhaps shrunk (which removes what JPEG left)."""
    from PIL import Image
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            image = image.convert("RGB")
            if shrink != 1:
                size = [round(side / shrink) for side in image.size]
                image = image.resize(size, Image.LANCZOS)
            if luma:
                yield path, np.asarray(image.convert("L"))
            else:
                yield path, (np.asarray(image).astype(np.uint16).sum(axis=2) // 3).astype(np.uint8)


def tiles(image, rows, columns, count, aligned, random):
    """`count` tiles of an image, without repetition; aligned ones come from the grid of tiles from its top left."""
    height, width = image.shape
    if aligned:
        places = [(y, x) for y in range(0, height - rows + 1, rows) for x in range(0, width - columns + 1, columns)]
    else:
        if height < rows or width < columns:
            return
        places = [(random.integers(height - rows + 1), random.integers(width - columns + 1)) for _ in range(count)]
    for i in random.permutation(len(places))[:count]:
        y, x = places[i]
        yield image[y:y + rows, x:x + columns]


def prepare_images(data, work):
    random = np.random.default_rng(1)
    train, dev = data / "images/train", data / "images/dev"

    def write(name, parts):
        every = [tile.tobytes() for part in parts for tile in part]
        order = random.permutation(len(every))
        (work / name).write_bytes(b"".join(every[i] for i in order))
        print(name, len(every), "pieces")

    def part(folder, rows, columns, count, aligned, keep=lambda path: True, **form):
        for path, image in gray_images(folder, **form):
            if keep(path):
                yield from tiles(image, rows, columns, count, aligned, random)

    jpeg = lambda path: path.suffix != ".png"
    write("gray.dev.raw", [part(dev, 32, 64, 9, True, jpeg)])
    write("gray.dev.anywhere.raw", [part(dev, 32, 64, 9, False, jpeg)])
    write("gray.dev.kodak.raw", [part(dev, 32, 64, 43, True, lambda path: not jpeg(path))])
    write("gray.train.raw", [
        part(train, 32, 64, 20, True), part(train, 32, 64, 8, True, luma=True),
        part(train, 32, 64, 6, False), part(train, 32, 64, 5, True, shrink=2.3), part(train, 32, 64, 2, True, shrink=1.6),
    ])
    write("gray.large.train.raw", [
        part(train, 128, 192, 1, True), part(train, 128, 192, 1, False, shrink=1.7)])


def recordings(folder):
    import soundfile
    for path in sorted(folder.iterdir()):
        yield soundfile.read(path, dtype="int16")[0]


def prepare_audio(data, work):
    random = np.random.default_rng(2)
    eight = lambda x: ((x >> 8) + 128).astype(np.uint8)
    for part, chunks, long in [("train", 9000, 150), ("dev", 512, 0)]:
        every = list(recordings(data / "audio" / part))
        for kind, form, width in [("pcm8", eight, 1), ("pcm16", lambda x: x, 2)]:
            for name, count, bytes_ in [(kind, chunks, 2048), (f"{kind}.large", long, SETS[f"{kind}.large"][1])]:
                length = bytes_ // width
                fit = [x for x in every if len(x) >= length]
                odds = np.array([len(x) for x in fit], float)
                with open(work / f"{name}.{part}.raw", "wb") as file:
                    for i in random.choice(len(fit), count, p=odds / odds.sum()):
                        start = random.integers(len(fit[i]) - length + 1)
                        file.write(form(fit[i][start:start + length]).tobytes())
                print(name, part, count, "pieces")


def prepare(args):
    args.work.mkdir(parents=True, exist_ok=True)
    prepare_images(args.data, args.work)
    prepare_audio(args.data, args.work)


def correlations(args):
    """Mean autocorrelations over 2^16 that the least-squares filters of audio expect (audio.rs)."""
    for kind, form in (("pcm8", np.uint8), ("pcm16", "<i2")):
        signal = np.fromfile(args.work / f"{kind}.train.raw", form).astype(float) - (128 if kind == "pcm8" else 0)
        stretches = signal.reshape(-1, 512)[:20_000]
        by_lag = np.array([(stretches[:, lag:] * stretches[:, :512 - lag]).sum(1) for lag in range(33)])
        heard = by_lag[0] > 0
        print(kind, np.rint((by_lag[:, heard] / by_lag[0, heard]).mean(1) * 65536).astype(int).tolist())


# ---------------------------------------------------------------- train

RECORD = np.dtype([("inputs", "<i2", 160), ("centre", "<i4"), ("unit", "<u4"), ("sample", "<i4"), ("place", "<u4")])
INPUTS = 160
PLACES = 64
INPUT_FRACTION = 6
LEAST_MOST = {"gray": (0, 255), "pcm8": (-128, 127), "pcm16": (-32768, 32767)}
# Of kind: places told apart; of the first layer units that all places share and units that each has of its own;
# width of the second layer, bells of the mixture.
SHAPES = {"gray": (64, 160, 32, 96, 4), "pcm8": (1, 192, 0, 96, 4), "pcm16": (1, 192, 0, 96, 4)}
HIDDEN_MAX = 31.0  # a hidden number is stored in 16 bits, 10 of them fractional


def load(paths):
    """Records of views as tensors: inputs, place, centre, unit, sample."""
    import torch
    parts = [np.memmap(path, RECORD, "r") for path in paths]
    total = sum(map(len, parts))
    inputs = torch.empty(total, INPUTS, dtype=torch.int16)
    rest = torch.empty(total, 4, dtype=torch.int32)
    at = 0
    for part in parts:
        for start in range(0, len(part), 1 << 18):
            rows = np.asarray(part[start:start + (1 << 18)])
            inputs[at:at + len(rows)] = torch.from_numpy(rows["inputs"].copy())
            for i, name in enumerate(["centre", "unit", "sample", "place"]):
                rest[at:at + len(rows), i] = torch.from_numpy(rows[name].astype(np.int32))
            at += len(rows)
    return inputs, rest


def network(kind, inputs):
    """Hidden layers of clipped rectifiers over inputs of unit variance. Some units of the first have weights that depend on
    the place. Batches hold as many samples of each place, in the order of places."""
    import torch
    from torch import nn
    places, shared, own, narrow, bells = SHAPES[kind]

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            sample = inputs[torch.randperm(len(inputs))[:200_000]].float() / (1 << INPUT_FRACTION)
            self.register_buffer("mean", sample.mean(0))
            self.register_buffer("deviation", sample.std(0).clamp(min=0.5))
            self.first = nn.Linear(INPUTS, shared)
            self.place = nn.Parameter(torch.randn(places, 1, shared) * 0.05)
            if own:
                self.own = nn.Parameter((torch.rand(places, INPUTS, own) * 2 - 1) / INPUTS**0.5)
                self.own_bias = nn.Parameter(torch.zeros(places, 1, own))
            self.second = nn.Linear(shared + own, narrow)
            self.last = nn.Linear(narrow, 3 * bells)
            nn.init.normal_(self.last.weight, std=0.01)
            with torch.no_grad():
                self.last.bias.zero_()
                self.last.bias[2 * bells:] = torch.linspace(-1.5, 1.0, bells)

        def forward(self, inputs):
            x = (inputs.float() / (1 << INPUT_FRACTION) - self.mean) / self.deviation
            x = x.view(places, -1, INPUTS)
            h = self.first(x) + self.place
            if own:
                h = torch.cat([h, torch.baddbmm(self.own_bias.to(h.dtype), x.to(h.dtype), self.own.to(h.dtype))], dim=2)
            h = self.second(h.clamp(0, HIDDEN_MAX)).clamp(0, HIDDEN_MAX)
            return self.last(h).float().view(-1, 3 * bells)

    return Network()


def code_length(out, rest, kind):
    """Bits of each sample under the mixture of bells that `out` describes: shares, offsets, widths."""
    import torch
    least, most = LEAST_MOST[kind]
    share, offset, width = out.chunk(3, dim=1)
    unit = rest[:, 1:2].float() / 256
    sample = rest[:, 2:3]
    distance = (sample * 256 - rest[:, 0:1]).float() / 256 - offset * unit
    scale = (unit * torch.exp2(width.clamp(-8, 8))).clamp(min=1 / 16)
    low, high = (distance - 0.5) / scale, (distance + 0.5) / scale
    low = torch.where(sample == least, -1e4, low)
    high = torch.where(sample == most, 1e4, high)
    # Tails are exact where they are small: measure on the lower side.
    flip = low + high > 0
    low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
    below = lambda t: 0.9 * torch.sigmoid(t) + 0.1 * torch.sigmoid(t / 3)
    mass = ((below(high) - below(low)) * torch.softmax(share * 0.6931472, dim=1)).sum(1)
    return -torch.log2(mass + 2e-6)


def train(args):
    import torch
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = args.kind
    inputs, rest = load([args.work / f"{kind}{part}.train.views" for part in ("", ".large")])
    dev_inputs, dev_rest = load([args.work / f"{kind}.dev.views"])
    places = SHAPES[kind][0]

    def by_place(rest):
        place = rest[:, 3].long() % places
        order = torch.argsort(place, stable=True)
        return order.view(places, -1)  # every place occurs as often

    order, dev_order = by_place(rest), by_place(dev_rest)
    dev_order = dev_order[:, torch.randperm(dev_order.shape[1])[:args.dev // places]]
    model = network(kind, inputs).to(device)
    if device == "cuda":
        inputs, rest, order = inputs.to(device), rest.to(device), order.to(device)
    if args.start:
        model.load_state_dict(torch.load(args.start))
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=args.decay)
    bits = 16 if kind == "pcm16" else 8
    print(kind, len(inputs), "samples,", sum(p.numel() for p in model.parameters()), "parameters", flush=True)

    def measure():
        total, each = 0.0, 8192 // places
        with torch.no_grad():
            for i in range(0, dev_order.shape[1], each):
                pick = dev_order[:, i:i + each].reshape(-1)
                r = dev_rest[pick].to(device)
                total += code_length(model(dev_inputs[pick].to(device)), r, kind).sum().item()
        return total / dev_order.numel() / bits

    begin, spent, step, mean = time.time(), 0.0, 0, None
    while spent < 1:
        spent = (time.time() - begin) / (60 * args.minutes)
        warm = min(1.0, (step + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = args.rate * warm * (0.5 + 0.5 * np.cos(np.pi * min(1.0, spent))) + 1e-6
        which = torch.randint(order.shape[1], (places, args.batch // places), device=order.device)
        pick = order.gather(1, which).reshape(-1)
        x, r = inputs[pick].to(device), rest[pick].to(device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=args.half):
            out = model(x)
        loss = code_length(out, r, kind).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        mean = loss.detach() if mean is None else mean * 0.99 + loss.detach() * 0.01
        step += 1
        if step % args.every == 0:
            print(f"step {step} {time.time() - begin:.0f} s  train {mean.item() / bits:.5f}  dev {measure():.5f}", flush=True)
    print(f"end: step {step}  dev {measure():.5f}", flush=True)
    torch.save(model.state_dict(), args.work / (args.name or f"{kind}.pt"))


# ---------------------------------------------------------------- export

def export(args):
    """The network in integers, as crates/lmic/src/predict/samples/network.rs reads it."""
    import torch
    state = torch.load(args.work / (args.name or f"{args.kind}.pt"), map_location="cpu")
    state = {name: tensor.double().numpy() for name, tensor in state.items()}
    places, shared, own, narrow, bells = SHAPES[args.kind]
    hidden, out = 10, 8  # fractional bits
    # The normalisation of the inputs becomes part of the first layer.
    fold = lambda weights, biases: (weights / state["deviation"], biases - weights / state["deviation"] @ state["mean"])
    first, first_bias = fold(state["first.weight"], state["first.bias"])
    place = state["place"][:, 0]
    first_bias, place = first_bias + place.mean(0), place - place.mean(0)

    def layer(weights, biases, fraction_in, fraction_out):
        scale = np.abs(weights).max(axis=1, keepdims=True) / 127
        rows = np.rint(weights / scale).astype(np.int8)
        multipliers = np.rint(scale[:, 0] * 2.0 ** (fraction_out - fraction_in + 24)).astype("<i4")
        return rows.tobytes() + multipliers.tobytes() + np.rint(biases * 2**fraction_out).astype("<i4").tobytes()

    places_16 = np.clip(np.rint(place * 2**hidden), -32768, 32767).astype("<i2")
    file = struct.pack("<5H", places, shared, own, narrow, bells)
    file += layer(first, first_bias, INPUT_FRACTION, hidden) + places_16.tobytes()
    for i in range(places if own else 0):
        file += layer(*fold(state["own"][i].T, state["own_bias"][i, 0]), INPUT_FRACTION, hidden)
    file += layer(state["second.weight"], state["second.bias"], hidden, hidden)
    file += layer(state["last.weight"], state["last.bias"], hidden, out)
    args.output.write_bytes(file)
    print(args.output, len(file), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("prepare")
    command.add_argument("data", type=pathlib.Path)
    command.add_argument("work", type=pathlib.Path)
    command.set_defaults(run=prepare)
    command = commands.add_parser("correlations")
    command.add_argument("work", type=pathlib.Path)
    command.set_defaults(run=correlations)
    command = commands.add_parser("train")
    command.add_argument("work", type=pathlib.Path)
    command.add_argument("kind", choices=LEAST_MOST)
    command.add_argument("--minutes", type=float, default=10)
    command.add_argument("--rate", type=float, default=3e-3)
    command.add_argument("--batch", type=int, default=4096)
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--half", action="store_true", help="bfloat16 products")
    command.add_argument("--start", help="parameters to start from")
    command.add_argument("--name", help="file to write")
    command.add_argument("--every", type=int, default=1000, help="steps between measurements on dev")
    command.add_argument("--decay", type=float, default=1e-3)
    command.add_argument("--dev", type=int, default=300_000, help="samples of dev to measure on")
    command.set_defaults(run=train)
    command = commands.add_parser("export")
    command.add_argument("work", type=pathlib.Path)
    command.add_argument("kind", choices=LEAST_MOST)
    command.add_argument("output", type=pathlib.Path)
    command.add_argument("--name", help="file to read")
    command.set_defaults(run=export)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
