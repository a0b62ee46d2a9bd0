use super::*;
use serde_json::Value;

/// Counts of PyTorch's counter on the `transformers` model, `tests/benchmarks/flops_torch.py`. It was run without
/// the geometry encoder, which `transformers` leaves out for a prompt of words: one prompt token fewer.
#[test]
fn parts_agree_with_pytorch() {
    let counts: Value =
        serde_json::from_str(include_str!("../../../../tests/benchmarks/flops.json"))
            .expect("json");
    for (key, found) in counts.as_object().expect("an object") {
        let (name, side) = key.split_once(' ').expect("a name and a side");
        let config = Sam3Config::preset(name)
            .expect("a preset")
            .with_image_side(side.parse().expect("a side"))
            .expect("fits");
        let of = |part: &str| found[part].as_u64().expect("a count");
        let (grid, t, words) = (config.grid(), &config.transformer, config.text.context);
        let (flops, work) = (needed(&config), Work::exact(t.width));
        assert_eq!(flops.trunk, of("vision_encoder.backbone"), "{key}: trunk");
        let neck = of("vision_encoder.neck") - of("vision_encoder.neck.unused");
        assert_eq!(flops.neck, neck, "{key}: neck");
        let text = of("text_encoder") - of("text_encoder.unused") + of("text_projection");
        assert_eq!(flops.text, text, "{key}: text");
        assert_eq!(
            work.encoder(t, grid * grid, words),
            of("detr_encoder"),
            "{key}: encoder"
        );
        assert_eq!(
            work.decoder(t, grid, words),
            of("detr_decoder"),
            "{key}: decoder"
        );
        assert_eq!(
            work.scoring(t, words),
            of("dot_product_scoring"),
            "{key}: scoring"
        );
        assert_eq!(
            work.mask_head(t, grid, words),
            of("mask_decoder"),
            "{key}: mask head"
        );
    }
}

#[test]
fn little_is_issued_that_is_not_needed() {
    let config = Sam3Config::sam3();
    let (needed, issued) = (needed(&config), issued(&config));
    assert!(needed.total() > 6_050_000_000_000, "{}", needed.total());
    for (stage, issued, needed) in [
        ("trunk", issued.trunk, needed.trunk),
        ("neck", issued.neck, needed.neck),
        ("text", issued.text, needed.text),
        ("prompt", issued.prompt, needed.prompt),
    ] {
        let ratio = issued as f64 / needed as f64;
        assert!((1.0..=1.05).contains(&ratio), "{stage}: {ratio}");
    }
    // A GPU's tiles fill up the few rows of words and queries, which are a small part of it all.
    let tiles = issued_in_tiles(&config);
    for (stage, issued, needed) in [
        ("image", tiles.image(), needed.image()),
        ("all", tiles.total(), needed.total()),
    ] {
        let ratio = issued as f64 / needed as f64;
        assert!((1.0..=1.05).contains(&ratio), "{stage} in tiles: {ratio}");
    }
    // A further prompt, words included, over the first with its image.
    let further = (issued.text + issued.prompt) as f64 / issued.total() as f64;
    assert!(further < 0.08, "{further}");
}
