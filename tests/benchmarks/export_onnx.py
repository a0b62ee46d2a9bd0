"""Exports a model folder to ONNX and records what PyTorch answers, for the comparison with ONNX Runtime Web.

    python tests/benchmarks/export_onnx.py weights/default OUT --image public/samples/chest-xray.jpg --prompt lungs

OUT gets `encode.onnx` (trunk and neck), `text.onnx`, `ground.onnx`, the picture at the model's own size as
`input.png` (so that no program has to resize it) and `expected.json`. Weights and arithmetic are f32 on every side.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image
from tokenizers import Tokenizer

import sam3

OPSET = 20


def tokens(folder, prompt, context):
    """Start, the prompt's pieces, end, then padding with 0."""
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    start, end = (tokenizer.token_to_id(name) for name in ("<start_of_text>", "<end_of_text>"))
    ids = [start, *tokenizer.encode(prompt.lower(), add_special_tokens=False).ids, end]
    valid = [1.0] * len(ids) + [0.0] * (context - len(ids))
    return torch.tensor([ids + [0] * (context - len(ids))]), torch.tensor([valid])


def export(module, inputs, names, outputs, path):
    program = torch.onnx.export(
        module, inputs, dynamo=True, opset_version=OPSET, input_names=names, output_names=outputs, optimize=True, verbose=False
    )
    program.save(str(path), external_data=False)


def agree(path, inputs, expected):
    """The largest difference of ONNX Runtime's answers from PyTorch's, relative to the largest value."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, dict(zip(names, (value.numpy() for value in inputs))))
    return max(float(np.abs(f - e.numpy()).max() / np.abs(e.numpy()).max()) for f, e in zip(found, expected))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--image", required=True)
    parser.add_argument("--prompt", required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    manifest, tensors = sam3.load_folder(arguments.model)
    config = manifest["config"]
    side = config["image_side"]
    picture = Image.open(arguments.image).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    picture.save(arguments.out / "input.png")
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float()
    image = pixels / 127.5 - 1.0
    ids, valid = tokens(arguments.model, arguments.prompt, config["text"]["context"])

    with torch.no_grad():
        encoder, text, grounding = (part(config, tensors).eval() for part in (sam3.ImageEncoder, sam3.TextEncoder, sam3.Grounding))
        maps = encoder(image)
        features = text(ids)
        answers = grounding(*maps, features, valid)
        graphs = {
            "encode": (encoder, (image,), ["image"], ["fine", "middle", "coarse"], maps),
            "text": (text, (ids,), ["ids"], ["text"], (features,)),
            "ground": (
                grounding,
                (*maps, features, valid),
                ["fine", "middle", "coarse", "text", "valid"],
                ["logits", "boxes", "presence", "semantic", "masks"],
                answers,
            ),
        }
        differences = {}
        for name, (module, inputs, names, outputs, expected) in graphs.items():
            path = arguments.out / f"{name}.onnx"
            export(module, inputs, names, outputs, path)
            differences[name] = agree(path, inputs, expected)

    logits, _, presence, semantic, _ = answers
    threshold = next((p for p in manifest["prompts"] if p["canonical"] == arguments.prompt), {})
    expected = {
        "prompt": arguments.prompt,
        "side": side,
        "ids": ids[0].tolist(),
        "valid": valid[0].tolist(),
        "maskThreshold": threshold.get("mask_threshold", 0.5),
        "presence": float(presence.sigmoid()),
        "bestScore": float(logits.max().sigmoid() * presence.sigmoid()),
        "semanticAbove0": int((semantic > 0).sum()),
        "onnxruntimeAgainstPytorch": differences,
        "versions": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    }
    (arguments.out / "expected.json").write_text(json.dumps(expected, indent=1))
    print(json.dumps(expected))


if __name__ == "__main__":
    main()
