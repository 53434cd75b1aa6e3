"""JointNet, preset `small`, in plain PyTorch, from file to file by geoai's `predict_geotiff`.

    python geoai_file.py IMAGE OUT SIZE OVERLAP

It is run by `benchmarks/prediction.py`, in an environment that has PyTorch and geoai; that of this project need not
have them. The last line on stderr is its seconds of processor time and its peak memory in MB.
"""

import json
import sys
import time
from pathlib import Path

import torch
from eager import JointNet
from geoai.inference import predict_geotiff


def main() -> None:
    """Writes the probabilities."""
    image, out, size, overlap = sys.argv[1:]
    network = JointNet().eval().to(memory_format=torch.channels_last)
    predict_geotiff(network, image, out, int(size), int(overlap), batch_size=1, device="cpu", verbose=False,
                    preprocess_fn=lambda tile: tile.astype("float32"))  # the network itself divides by 255
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    sys.stderr.write(json.dumps([time.process_time(), peak]) + "\n")


if __name__ == "__main__":
    main()
