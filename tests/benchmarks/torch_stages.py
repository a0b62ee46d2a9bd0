"""Times the `transformers` SAM 3, stage by stage: the other side of `medsam3 bench` on the CPU and on a CUDA GPU.

    pip install torch==2.15.0 transformers==5.23.0
    python tests/benchmarks/torch_stages.py [--preset sam3] [--side 1008] [--threads 2] [--prompts 2] [--repeats 1]
        [--device cuda] [--dtype bfloat16]

One JSON line per image: seconds on the clock and seconds of processor time per stage (trunk, neck, text, prompt), and
the most memory held, that of the device where it is a GPU. float32 is without TF32. Weights are random; the first prompt of an image pays for the image, the others do not. A dummy
box with label -10 makes `transformers` append the class token that Meta's own code appends to every text prompt.
"""

import argparse
import json
import resource
import time

import torch
from transformers import Sam3Model

import models


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Stopwatch:
    def __init__(self, device):
        self.stages = {}
        self.wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def __call__(self, name, work):
        self.wait()
        wall, processor = time.perf_counter(), processor_seconds()
        result = work()
        self.wait()
        stage = self.stages.setdefault(name, [])
        stage.append(dict(seconds=time.perf_counter() - wall, processor=processor_seconds() - processor))
        return result


@torch.inference_mode()
def run(model, image, ids, mask, prompts):
    watch = Stopwatch(image.device)
    encoder = model.vision_encoder
    # What Sam3VisionModel.forward does, in its two halves.
    hidden = watch("trunk", lambda: encoder.backbone(image)).last_hidden_state
    grid = image.shape[-1] // 14
    maps = hidden.view(1, grid, grid, -1).permute(0, 3, 1, 2)
    features, positions = watch("neck", lambda: encoder.neck(maps))
    from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

    vision = Sam3VisionEncoderOutput(last_hidden_state=hidden, fpn_hidden_states=features,
                                     fpn_position_encoding=positions)
    box = dict(input_boxes=torch.zeros(1, 1, 4).to(image), input_boxes_labels=torch.full((1, 1), -10).to(image.device))
    for _ in range(prompts):
        text = watch("text", lambda: model.get_text_features(input_ids=ids, attention_mask=mask, return_dict=True))
        out = watch("prompt", lambda: model(vision_embeds=vision, text_embeds=text, attention_mask=mask, **box))
        assert torch.isfinite(out.pred_masks).all()
    return watch.stages


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="sam3", choices=models.PRESETS)
    parser.add_argument("--side", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--hold", action="store_true", help="wait for a line on standard input before each image")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device, dtype = torch.device(arguments.device), getattr(torch, arguments.dtype)
    side = arguments.side or models.PRESETS[arguments.preset]["side"]
    model = Sam3Model(models.config(arguments.preset, side)).eval().to(device, dtype)
    image = torch.randn(1, 3, side, side).clamp(-1, 1).to(device, dtype)
    ids, mask = (tensor.to(device) for tensor in models.prompt(arguments.preset))
    if arguments.hold:
        print(json.dumps(dict(ready=True)), flush=True)
    for _ in range(arguments.repeats):
        if arguments.hold:
            input()
        stages = run(model, image, ids, mask, arguments.prompts)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(device)
        print(json.dumps(dict(program="torch " + torch.__version__, device=arguments.device, dtype=arguments.dtype,
                              threads=arguments.threads, side=side, stages=stages, peak_memory_bytes=peak)), flush=True)


if __name__ == "__main__":
    main()
