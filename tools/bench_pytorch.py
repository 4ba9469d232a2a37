"""Times CARP's training step in eager PyTorch, on the CPU or a card: the counterpart of `carp bench`.

    python tools/bench_pytorch.py --width 16 --batch 128 --prototypes 1024 --partition-size 128

Random data, drawn before the clock starts. Prints the median seconds per step and the peak memory.
"""

import argparse
import resource
import statistics
import time

import torch

import reference


def arguments(words=None):
    """The settings that these words choose, or those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", choices=reference.ARCHITECTURES, default="resnet18")
    parser.add_argument("--stem", choices=("cifar", "imagenet"), default="cifar")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--in-channels", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--global-size", type=int, default=32)
    parser.add_argument("--local-views", type=int, default=4)
    parser.add_argument("--local-size", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--bottleneck", type=int, default=64)
    parser.add_argument("--prototypes", type=int, default=1024)
    parser.add_argument("--partition-size", type=int, default=128)
    parser.add_argument("--optimizer", choices=("lars", "sgd"), default="lars")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--numerics", choices=("f32", "tf32", "bf16"), default="f32")
    return parser.parse_args(words)


def prepared(args):
    """A function that makes one step on random data and waits for it -> its losses; the student."""
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    torch.backends.cuda.matmul.allow_tf32 = args.numerics == "tf32"
    torch.backends.cudnn.allow_tf32 = args.numerics == "tf32"
    torch.backends.cudnn.benchmark = True
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    settings = vars(args) | {"weight_decay": 1e-6, "momentum": 0.9, "eta": 1e-3}
    student = reference.network(settings).to(device, memory_format=layout)
    trainer = reference.Trainer(student, settings)
    sizes = [args.global_size] * 2 + [args.local_size] * args.local_views
    views = [
        torch.randn(args.batch, args.in_channels, size, size).to(device, memory_format=layout)
        for size in sizes
    ]

    def step():
        permutation = torch.randperm(args.prototypes, device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.numerics == "bf16"):
            losses = trainer.step(views, permutation, 0.1, 0.99)
        losses = [loss.item() for loss in losses]
        if device.type == "cuda":
            torch.cuda.synchronize()
        return losses

    return step, student


def peak_mib(args):
    """The most memory that was in use at a time: on the card, or of the process."""
    if args.device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return torch.cuda.max_memory_allocated() / 2**20


def main():
    args = arguments()
    step, student = prepared(args)
    seconds = []
    for number in range(args.warmup + args.steps):
        start = time.perf_counter()
        loss, consistency, entropy = step()
        if number >= args.warmup:
            seconds.append(time.perf_counter() - start)
    parameters = sum(w.numel() for w in student.parameters())
    where = f"{args.threads} threads" if args.device == "cpu" else torch.cuda.get_device_name()
    print(f"PyTorch {torch.__version__}, {where}, {args.numerics}, {parameters} parameters")
    print(f"loss {loss:.4f} = consistency {consistency:.4f} + entropy {entropy:.4f}")
    print(f"median {statistics.median(seconds):.4f} s a step of {args.steps}", end="")
    print(f" (least {min(seconds):.4f}, most {max(seconds):.4f})")
    print(f"peak memory {peak_mib(args):.0f} MiB")


if __name__ == "__main__":
    main()
