"""One process of a training over several: twenty steps in float64, the state written at the end by the first."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent))

from conftest import make_sampler
from safetensors.torch import save_file
from test_loop import few_steps, state

if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    trainer = few_steps(make_sampler(), steps=20)
    if dist.get_rank() == 0:
        save_file({k: v.contiguous() for k, v in state(trainer).items()}, sys.argv[1])
    dist.destroy_process_group()
