"""What the machine code of a kernel's main loop consists of: see ptxas.sh."""

import os
import re
import subprocess
import tempfile

import nvidia.cu13

NVDISASM = os.path.join(list(nvidia.cu13.__path__)[0], "bin/nvdisasm")


def instructions(ptxas, path, arch):
    """kernel -> its lines: ("label", name) or ("instruction", text)."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = os.path.join(folder, "kernels.cubin")
        subprocess.run([ptxas, f"-arch={arch}", "-o", cubin, path], check=True)
        command = [NVDISASM, "-c", cubin]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, lines = {}, None
    for line in text.splitlines():
        if match := re.match(r"\s*\.text\.(\w+):", line):
            lines = found[match[1]] = []
        elif lines is not None and (match := re.match(r"\s*(\.L\w+):", line)):
            lines.append(("label", match[1]))
        elif lines is not None and (match := re.match(r"\s*/\*[0-9a-f]+\*/\s+(.*?);", line)):
            lines.append(("instruction", match[1]))
    return found


def main_loop(lines):
    """Tensor instructions and all instructions of the shortest loop that has the former, or None."""
    labels = {text: at for at, (kind, text) in enumerate(lines) if kind == "label"}
    loops = []
    for end, (kind, text) in enumerate(lines):
        jump = kind == "instruction" and re.search(r"\bBRA\b.*?(\.L\w+)", text)
        start = labels.get(jump[1], end) if jump else end
        if start >= end:
            continue
        body = [text for kind, text in lines[start : end + 1] if kind == "instruction"]
        tensor = sum("HMMA" in text for text in body)
        if tensor:
            loops.append((len(body), tensor))
    return min(loops, default=None)


def table(ptxas, paths, archs):
    """A row for each kernel that has tensor instructions in a loop."""
    heads = " / ".join(archs)
    lines = [
        "| kernel | instructions of the main loop | of them on tensor cores | share |",
        "|---|---|---|---|",
        f"| | {heads} | {heads} | {heads} |",
    ]
    for path in paths:
        by_arch = [instructions(ptxas, path, arch) for arch in archs]
        for kernel in sorted(by_arch[0]):
            loops = [main_loop(found[kernel]) for found in by_arch]
            if all(loops):
                sizes = " / ".join(str(size) for size, _ in loops)
                tensor = " / ".join(str(tensor) for _, tensor in loops)
                shares = " / ".join(f"{100 * tensor / size:.0f} %" for size, tensor in loops)
                lines.append(f"| {kernel} | {sizes} | {tensor} | {shares} |")
    return lines
