"""Lists the names of the published layouts for the converter and its tests.

    python make_key_lists.py KEYS_META KEYS_HF CONV_PY

KEYS_META and KEYS_HF are listings of the state dicts of the reference's video model and of transformers'
Sam3VideoModel ("P <tab> name <tab> shape <tab> dtype"), CONV_PY the reference's key map between them, a module with
`convert(state_dict)`. Writes

* huggingface_names.tsv: for each tensor of the image model its names in the Hugging Face layout, as the reference's
  map has them, with that layout's shape: what the converter's own map is tested against;
* ../../crates/weights/src/convert/unused.tsv: the tensors of both layouts that the text-prompted image model does not
  use, with shapes.
"""
import ast, importlib.util, pathlib, sys
import torch

HERE = pathlib.Path(__file__).parent
UNUSED = (
    "tracker.",
    "detector.backbone.vision_backbone.sam2_convs.",
    "detector.backbone.vision_backbone.convs.3.",
    "detector.backbone.language_backbone.encoder.text_projection",
    "detector.geometry_encoder.label_embed.",
    "detector.geometry_encoder.points_",
    "detector.geometry_encoder.boxes_",
    "detector.geometry_encoder.img_pre_norm.",
    "detector.segmentation_head.pixel_decoder.conv_layers.2.",
    "detector.segmentation_head.pixel_decoder.norms.2.",
)


def listing(path, section):
    keys, inside = {}, False
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith("###"):
            inside = section in line
        elif inside and line[:2] in ("P\t", "B\t"):
            _, name, shape, _ = line.split("\t")
            keys[name] = ast.literal_eval(shape)
    return keys


def main():
    meta = listing(sys.argv[1], "build_sam3_video_model")
    theirs = listing(sys.argv[2], "Sam3VideoModel")
    spec = importlib.util.spec_from_file_location("conv", sys.argv[3])
    conv = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conv)

    points = [f"tracker.sam_prompt_encoder.point_embeddings.{i}.weight" for i in range(4)]
    dummies = {name: torch.empty(meta[name], device="meta") for name in points}
    alone, _ = conv.convert(dict(dummies))
    lines, used = [], set()
    unused = [(n, s) for n, s in meta.items() if n.startswith(UNUSED) or n.endswith(".freqs_cis")]
    skip = {name for name, _ in unused}
    for name, shape in meta.items():
        if name in skip:
            continue
        out, _ = conv.convert(dummies | {name: torch.empty(shape, device="meta")})
        found = [key for key in out if key not in alone]
        for key in found:
            assert list(out[key].shape) == theirs[key], key
        used.update(found)
        lines.append("\t".join([name, str(shape), " ".join(found), str(theirs[found[0]])]))
    note = "# Canonical name, shape, names in the Hugging Face layout, shape of each there. Made by make_key_lists.py.\n"
    (HERE / "huggingface_names.tsv").write_text(note + "\n".join(lines) + "\n")

    rows = [(n, s) for n, s in unused if not n.endswith(".freqs_cis")]
    rows += [(n, s) for n, s in theirs.items() if n not in used]
    note = "# Tensors of sam3.pt and of the Hugging Face layout that the text-prompted image model does not use: name, shape.\n# Made by tests/conversion/make_key_lists.py.\n"
    target = HERE / "../../crates/weights/src/convert/unused.tsv"
    target.parent.mkdir(exist_ok=True)
    target.write_text(note + "".join(f"{n}\t{s}\n" for n, s in rows))
    print(len(lines), "tensors used,", len(rows), "not used")


main()
