#!/usr/bin/env python3
"""Reads a run's event files with TensorBoard's own reader and compares them with metrics.jsonl.

    pip install -r tools/requirements-look.txt
    carp train --tensorboard; tools/read_events.py runs/shapes-1

Exits with 1 if a number differs.
"""

import json
import pathlib
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main():
    folder = pathlib.Path(sys.argv[1])
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    compared = 0
    for tag in events.Tags()["scalars"]:
        read = {event.step: event.value for event in events.Scalars(tag)}
        # The measurement of the untrained network has no line.
        read.pop(0, None)
        want = {line["step"]: float(np.float32(line[tag])) for line in lines if line.get(tag) is not None}
        if read != want:
            sys.exit(f"{tag}: {len(read)} events differ from {len(want)} lines")
        compared += len(read)
        print(f"{tag}: {len(read)} values are those of metrics.jsonl")
    if not compared:
        sys.exit(f"{folder}: no scalars")


if __name__ == "__main__":
    main()
