"""Makes tiny_video.safetensors: a small SAM 3 video model of the `transformers` library on synthetic weights, followed over
five frames with two objects, with what the tracker's modules take and give on frames 0 to 2; its SAM heads in every prompt
mode; and, where Meta's code differs from `transformers`, Meta's order of operations on the same modules.

    pip install torch==2.15.0 torchvision transformers==5.23.0 safetensors numpy
    python tests/parity/make_video_fixture.py [--whole FILE]

Tensors of more than 512 elements that are only compared are kept as 512 samples at floor(i * count / 512) (`NAME@s512`);
`--whole` writes all of them in full, 60 MB, to another file. Weights depend on the tensor's name and index alone; the last
bias of the object score is 5, or every object would count as absent.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from make_fixture import fill, image, unit
from safetensors.torch import save_file
from transformers import Sam3VideoConfig, Sam3VideoModel
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

WIDTH, SIDE, FRAMES, SAMPLES = 128, 168, 5, 512
# Points are pixels of the 168 x 168 frame, x first; labels: 0 outside, 1 inside, 2 and 3 the corners of a box.
PROMPTS = {
    "none_multi": dict(multimask=True),
    "none_single": dict(multimask=False),
    "point1_multi": dict(points=[[68.3, 47.6]], labels=[1], multimask=True),
    "point2_single": dict(points=[[68.3, 47.6], [116.5, 101.25]], labels=[1, 0], multimask=False),
    "point2_sharp": dict(points=[[68.3, 47.6], [116.5, 101.25]], labels=[1, 0], multimask=False, scale=16.0),
    "box_single": dict(points=[[33.0, 25.5], [135.25, 117.0]], labels=[2, 3], multimask=False),
    "box_negative_single": dict(points=[[33.0, 25.5], [135.25, 117.0], [106.0, 63.75]], labels=[2, 3, 0], multimask=False),
    "mask_single": dict(mask=48, multimask=False),
    "mask_point_multi": dict(mask=48, points=[[90.0, 75.5]], labels=[1], multimask=True),
    "large_mask_single": dict(mask=192, multimask=False),
    "absent": dict(points=[[68.3, 47.6]], labels=[1], multimask=True, bias=-50.0),
}


def config() -> Sam3VideoConfig:
    trunk = dict(
        model_type="sam3_vit_model", hidden_size=64, intermediate_size=296, num_hidden_layers=4, num_attention_heads=4,
        image_size=SIDE, patch_size=14, window_size=4, global_attn_indexes=[1, 3], pretrain_image_size=56, layer_norm_eps=1e-5,
    )
    vision = dict(
        model_type="sam3_vision_model", backbone_config=trunk, fpn_hidden_size=WIDTH,
        backbone_feature_sizes=[[48, 48], [24, 24], [12, 12]],
    )
    detr = dict(hidden_size=WIDTH, num_attention_heads=4, intermediate_size=64)
    text = dict(
        model_type="clip_text_model", vocab_size=512, hidden_size=48, intermediate_size=192, projection_dim=16,
        num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=16, hidden_act="gelu",
        bos_token_id=510, eos_token_id=511, pad_token_id=0,
    )
    detector = dict(
        model_type="sam3", vision_config=vision, text_config=text,
        geometry_encoder_config=dict(num_layers=2, **detr), detr_encoder_config=dict(num_layers=2, **detr),
        detr_decoder_config=dict(num_layers=3, num_queries=12, **detr),
        mask_decoder_config=dict(hidden_size=WIDTH, num_attention_heads=4),
    )
    tracker = dict(
        model_type="sam3_tracker_video", vision_config=vision, image_size=SIDE,
        prompt_encoder_config=dict(hidden_size=WIDTH, image_size=SIDE, patch_size=14),
        mask_decoder_config=dict(hidden_size=WIDTH, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=WIDTH),
        memory_attention_hidden_size=WIDTH, memory_attention_num_layers=2, memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[12, 12], memory_encoder_hidden_size=WIDTH, memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=WIDTH, memory_fuser_embed_dim=WIDTH, memory_fuser_intermediate_dim=256,
    )
    return Sam3VideoConfig(
        detector_config=detector, tracker_config=tracker, low_res_mask_size=48, score_threshold_detection=0.05,
        new_det_thresh=0.05, hotstart_delay=0, hotstart_unmatch_thresh=0, hotstart_dup_thresh=0,
        recondition_every_nth_frame=0, fill_hole_area=0, max_num_objects=2,
    )


def tiny_model() -> Sam3VideoModel:
    torch.manual_seed(0)
    model = Sam3VideoModel(config()).eval()
    fill(model)
    tracker = model.tracker_model
    tracker.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(5.0)
    tracker.shared_image_embedding.positional_embedding.copy_(
        tracker.prompt_encoder.shared_embedding.positional_embedding
    )
    return model


class Recording:
    """Outputs of modules while it is open, and named tensors; those that the port is fed are kept whole."""

    def __init__(self) -> None:
        self.whole: dict[str, torch.Tensor] = {}
        self.compared: dict[str, torch.Tensor] = {}
        self.calls: dict[str, list[torch.Tensor]] = {}

    def give(self, name: str, tensor: torch.Tensor) -> None:
        self.whole[name] = tensor.detach().clone().contiguous()

    def compare(self, name: str, tensor: torch.Tensor) -> None:
        self.compared[name] = tensor.detach().clone().contiguous()

    def hook(self, name: str):
        def keep(_module, _inputs, output):
            self.put(name, output)

        return keep

    def put(self, name: str, output) -> None:
        if torch.is_tensor(output):
            self.calls.setdefault(name, []).append(output.detach().clone().contiguous())
        elif isinstance(output, (list, tuple)):
            for index, part in enumerate(output):
                self.put(f"{name}[{index}]", part)

    def flush(self, prefix: str) -> None:
        for name, calls in self.calls.items():
            for index, call in enumerate(calls):
                self.compared[f"{prefix}/{name}" + (f"#{index}" if len(calls) > 1 else "")] = call
        self.calls.clear()

    def save(self, path: Path, whole: bool) -> None:
        tensors = dict(self.whole)
        for name, tensor in self.compared.items():
            count = tensor.numel()
            if whole or count <= SAMPLES:
                tensors[name] = tensor
            else:
                index = torch.arange(SAMPLES) * count // SAMPLES
                tensors[f"{name}@s{SAMPLES}"] = tensor.flatten()[index].clone()
        save_file(tensors, path)


# Repetitions, tables and whatever is inside a compared module.
SKIPPED = ("dropout", "activation", "rotary_emb", "position_encoding", "fpn_layers.3", "[3]", "shared_", "point_embed")


def follow(model: Sam3VideoModel, book: Recording) -> None:
    """Five frames of a moving image; the detector's masks on frame 0 start two objects."""
    tracker = model.tracker_model
    handles = []
    for name, module in model.named_modules():
        if name.startswith("tracker") and name.count(".") > 0 and not any(part in name for part in SKIPPED):
            handles.append(module.register_forward_hook(book.hook(name)))
    encode = tracker._encode_new_memory
    mask_as_output = tracker._use_mask_as_output
    frame = 0
    given = []

    def spy_encode(**arguments):
        features, position = encode(**arguments)
        call = len([name for name in book.whole if name.startswith(f"f{frame}/memory.masks")])
        if frame < 3:
            book.give(f"f{frame}/memory.masks#{call}", arguments["pred_masks_high_res"])
            book.give(f"f{frame}/memory.object_score#{call}", arguments["object_score_logits"])
            book.give(f"f{frame}/memory.features#{call}", features.float())
            book.compare(f"f{frame}/memory.position#{call}", position)
        return features, position

    def spy_mask(features, maps, masks):
        given.append(masks)
        return mask_as_output(features, maps, masks)

    def keep_down(_module, inputs, output):
        book.give(f"f{frame}/mask_downsample.in#{len(given) - 1}", inputs[0])
        book.give(f"f{frame}/mask_downsample.out#{len(given) - 1}", output)

    def keep_trunk(_module, _inputs, output):
        if frame < 3:
            book.give(f"f{frame}/trunk", output.last_hidden_state.reshape(1, 12, 12, -1))

    tracker._encode_new_memory = spy_encode
    tracker._use_mask_as_output = spy_mask
    down = tracker.mask_downsample.register_forward_hook(keep_down)
    trunk = model.detector_model.vision_encoder.backbone.register_forward_hook(keep_trunk)
    base = image(200)[..., :SIDE, :]
    frames = torch.cat([base[..., i * 4 : i * 4 + SIDE] for i in range(FRAMES)]).contiguous()
    session = Sam3VideoInferenceSession(
        video=frames, video_height=SIDE, video_width=SIDE, inference_device="cpu", video_storage_device="cpu",
        inference_state_device="cpu", dtype=torch.float32,
    )
    prompt = session.add_prompt("polyp")
    session.prompt_input_ids[prompt] = torch.tensor([[510, 5, 77, 300, 511] + [0] * 11])
    session.prompt_attention_masks[prompt] = (torch.arange(16) < 5).long()[None]
    for frame in range(FRAMES):
        with torch.inference_mode():
            model(session, frame_idx=frame)
        if frame < 3:
            book.flush(f"f{frame}")
            for index, outputs in session.output_dict_per_obj.items():
                kind = "cond_frame_outputs" if frame == 0 else "non_cond_frame_outputs"
                stored = outputs[kind][frame]
                # What the port starts from on frame 0, and is compared with on the others.
                keep = book.give if frame == 0 else book.compare
                keep(f"f{frame}/stored.pointer#{index}", stored["object_pointer"].reshape(1, -1))
                keep(f"f{frame}/stored.masks#{index}", stored["pred_masks"])
                book.compare(f"f{frame}/stored.object_score#{index}", stored["object_score_logits"])
                features = stored["maskmem_features"].float().permute(1, 0, 2)
                book.give(f"f{frame}/stored.features#{index}", features)
        book.calls.clear()
    for handle in [*handles, down, trunk]:
        handle.remove()
    del tracker._encode_new_memory, tracker._use_mask_as_output


def field(side: int) -> torch.Tensor:
    """Logits of a smooth mask, `[1, 1, side, side]`."""
    v, u = torch.meshgrid(*[(torch.arange(side, dtype=torch.float64) + 0.5) / side] * 2, indexing="ij")
    two_pi = 2 * torch.pi
    values = 6 * torch.sin(two_pi * (1.9 * u + 2.7 * v) + 1.1) + 3 * torch.cos(two_pi * (2.3 * u - 0.4 * v)) - 0.7
    return values.float()[None, None]


def disc(side: int) -> torch.Tensor:
    """Zeros and ones, `[1, 1, side, side]`."""
    v, u = torch.meshgrid(*[(torch.arange(side, dtype=torch.float64) + 0.5) / side] * 2, indexing="ij")
    return (((u - 0.437) / 0.213) ** 2 + ((v - 0.561) / 0.171) ** 2 < 1).float()[None, None]


def maps_of_frame(model: Sam3VideoModel, trunk: torch.Tensor) -> list[torch.Tensor]:
    """The tracker's maps from the trunk's, as its SAM heads take them."""
    tracker = model.tracker_model
    maps = list(model.tracker_neck(trunk.permute(0, 3, 1, 2))[0][:3])
    maps[0] = tracker.mask_decoder.conv_s0(maps[0])
    maps[1] = tracker.mask_decoder.conv_s1(maps[1])
    return maps


def heads(model: Sam3VideoModel, maps: list[torch.Tensor], book: Recording) -> None:
    """Every prompt mode of the SAM heads on frame 0, without memory."""
    tracker = model.tracker_model
    bias = tracker.mask_decoder.pred_obj_score_head.proj_out.bias.data
    for name, prompt in PROMPTS.items():
        options = {}
        if "points" in prompt:
            options["input_points"] = torch.tensor(prompt["points"])[None, None]
            options["input_labels"] = torch.tensor(prompt["labels"], dtype=torch.int32)[None, None]
        if "mask" in prompt:
            options["input_masks"] = field(prompt["mask"])
        scale = prompt.get("scale", 1.0)
        bias.fill_(prompt.get("bias", 5.0))
        all_masks = []
        plain = tracker.mask_decoder._dynamic_multimask_via_stability
        tracker.mask_decoder._dynamic_multimask_via_stability = lambda masks, ious: (
            all_masks.append((masks, ious)), plain(masks, ious)
        )[1]
        with torch.inference_mode():
            out = tracker._single_frame_forward(
                image_embeddings=[maps[0] * scale, maps[1] * scale, maps[2]], multimask_output=prompt["multimask"], **options
            )
        del tracker.mask_decoder._dynamic_multimask_via_stability
        bias.fill_(5.0)
        book.compare(f"heads/{name}/object_score", out.object_score_logits.reshape(1, 1))
        book.compare(f"heads/{name}/pointer", out.object_pointer.reshape(1, -1))
        book.compare(f"heads/{name}/ious", out.iou_scores.reshape(1, -1))
        book.compare(f"heads/{name}/low_res", out.pred_masks.reshape(1, 48, 48))
        book.compare(f"heads/{name}/high_res", out.high_res_masks.reshape(1, SIDE, SIDE))
        if all_masks:
            book.compare(f"heads/{name}/masks4", all_masks[0][0].reshape(1, 4, 48, 48))
            book.compare(f"heads/{name}/ious4", all_masks[0][1].reshape(1, 4))
            score = tracker.mask_decoder._get_stability_scores(all_masks[0][0][:, :, 0:1])
            book.give(f"heads/{name}/stability", score.reshape(1, 1))


def meta(model: Sam3VideoModel, maps: list[torch.Tensor], book: Recording) -> None:
    """Meta's order of operations (`sam3_tracker_base.py`) where it differs, and what `transformers` makes of the same."""
    tracker = model.tracker_model
    shrink = dict(mode="bilinear", align_corners=False, antialias=True)
    with torch.inference_mode():
        # A memory from logits at the side of the image: stretched first, resized then.
        logits = torch.from_numpy(8 * unit("meta/logits", SIDE * SIDE)).view(1, 1, SIDE, SIDE)
        masks = F.interpolate(torch.sigmoid(logits) * 20.0 - 10.0, size=(192, 192), **shrink)
        features, _ = tracker.memory_encoder(maps[2], masks)
        book.compare("meta/memory/features", features.flatten(2).permute(0, 2, 1))
        theirs, _ = tracker._encode_new_memory(
            current_vision_feats=maps[2].flatten(2).permute(2, 0, 1), pred_masks_high_res=logits,
            object_score_logits=torch.tensor([[5.0]]), is_mask_from_pts=False,
        )
        book.compare("meta/memory/of_transformers", theirs.float().permute(1, 0, 2))
        # Cut at zero where the mask answers a prompt; the object's absence is added.
        cut = F.interpolate((logits > 0).float() * 20.0 - 10.0, size=(192, 192), **shrink)
        features, _ = tracker.memory_encoder(maps[2], cut)
        features = features.flatten(2).permute(0, 2, 1)
        book.compare("meta/memory/prompted", features)
        book.compare("meta/memory/prompted_absent", features + tracker.occlusion_spatial_embedding_parameter[None])
        # A mask as the output: 16 cells per patch to 4 by the convolution, one mask token, not three.
        mask = disc(192)
        out = tracker._single_frame_forward(
            image_embeddings=maps, input_masks=tracker.mask_downsample(mask), multimask_output=False
        )
        book.compare("meta/mask_as_output/pointer", out.object_pointer.reshape(1, -1))
        low = F.interpolate(mask * 20.0 - 10.0, size=(192 // 14 * 4,) * 2, **shrink)
        book.compare("meta/mask_as_output/low_res", low[0])
        theirs = tracker._use_mask_as_output(maps[2], maps[:2], mask)
        book.compare("meta/mask_as_output/of_transformers", theirs.object_pointer.reshape(1, -1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--whole", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model = tiny_model()
    book = Recording()
    follow(model, book)
    with torch.inference_mode():
        maps = maps_of_frame(model, book.whole["f0/trunk"])
    heads(model, maps, book)
    meta(model, maps, book)
    book.save(Path(__file__).with_name("tiny_video.safetensors"), whole=False)
    if arguments.whole:
        book.save(arguments.whole, whole=True)


if __name__ == "__main__":
    main()
