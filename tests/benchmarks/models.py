"""The presets of crates/model/src/config.rs as configurations of the `transformers` library."""

from transformers import Sam3Config

PRESETS = {
    "sam3": dict(side=1008, width=1024, hidden=4736, depth=32, heads=16, window=24, global_blocks=[7, 15, 23, 31],
                 pretrain=336, d=256, d_heads=8, feed_forward=2048, geometry=3, encoder=6, decoder=6, queries=200,
                 text=dict(vocab_size=49408, hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
                           num_attention_heads=16, max_position_embeddings=32, projection_dim=512)),
    "default": dict(side=252, width=192, hidden=768, depth=6, heads=6, window=9, global_blocks=[1, 3, 5],
                    pretrain=252, d=64, d_heads=4, feed_forward=256, geometry=1, encoder=2, decoder=2, queries=32,
                    text=dict(vocab_size=49408, hidden_size=64, intermediate_size=256, num_hidden_layers=2,
                              num_attention_heads=4, max_position_embeddings=32, projection_dim=32)),
    "tiny-parity": dict(side=168, width=64, hidden=296, depth=4, heads=4, window=4, global_blocks=[1, 3],
                        pretrain=56, d=32, d_heads=4, feed_forward=64, geometry=2, encoder=2, decoder=3, queries=12,
                        text=dict(vocab_size=512, hidden_size=48, intermediate_size=192, num_hidden_layers=3,
                                  num_attention_heads=4, max_position_embeddings=16, projection_dim=16)),
}


def config(name, side=None):
    """The configuration of a preset, for its own image side or another."""
    p = PRESETS[name]
    side = side or p["side"]
    grid = side // 14
    shared = dict(hidden_size=p["d"], num_attention_heads=p["d_heads"], intermediate_size=p["feed_forward"])
    return Sam3Config(
        vision_config=dict(
            backbone_config=dict(
                model_type="sam3_vit_model", hidden_size=p["width"], intermediate_size=p["hidden"],
                num_hidden_layers=p["depth"], num_attention_heads=p["heads"], image_size=side, patch_size=14,
                window_size=p["window"], global_attn_indexes=p["global_blocks"], pretrain_image_size=p["pretrain"],
                layer_norm_eps=1e-5,
            ),
            fpn_hidden_size=p["d"],
            backbone_feature_sizes=[[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
        ),
        text_config=dict(model_type="clip_text_model", hidden_act="gelu", bos_token_id=p["text"]["vocab_size"] - 2,
                         eos_token_id=p["text"]["vocab_size"] - 1, pad_token_id=0, **p["text"]),
        geometry_encoder_config=dict(num_layers=p["geometry"], roi_size=7, **shared),
        detr_encoder_config=dict(num_layers=p["encoder"], **shared),
        detr_decoder_config=dict(num_layers=p["decoder"], num_queries=p["queries"], **shared),
        mask_decoder_config=dict(hidden_size=p["d"], num_attention_heads=p["d_heads"]),
    )


def prompt(name):
    """Token ids and their mask of a prompt of two words, `[1, context]`."""
    import torch

    text = PRESETS[name]["text"]
    context, vocabulary = text["max_position_embeddings"], text["vocab_size"]
    ids = torch.zeros(1, context, dtype=torch.long)
    if name == "tiny-parity":
        ids[0, :5] = torch.tensor([510, 5, 77, 300, 511])
        count = 5
    else:
        # "Polyp": start, two pieces, end.
        ids[0, :4] = torch.tensor([vocabulary - 2, 6833, 335, vocabulary - 1])
        count = 4
    mask = (torch.arange(context) < count).long()[None]
    return ids, mask
