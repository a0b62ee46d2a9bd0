//! Preprocessing against torchvision 0.29.2 and mask upsampling against torch, bit for bit where the
//! output is stored in full or as a hash; otherwise the differing fraction is stated from samples.

mod common;

use medsam3_imaging::{Rgb8, mask_from_logits, open, resize_square};
use sha2::{Digest, Sha256};

fn source(name: &str) -> Rgb8 {
    if name == "random" {
        return Rgb8 {
            width: 530,
            height: 410,
            pixels: common::random_bytes(530 * 410 * 3, 7),
        };
    }
    let picture = open(&common::fixture(&format!("resize/{name}.png"))).unwrap();
    picture.render(0, None).unwrap()
}

/// Fraction of differing values and the largest difference.
fn difference(ours: &[u8], theirs: &[u8]) -> (f64, u8) {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    let differing = differences.clone().filter(|&d| d > 0).count();
    (
        differing as f64 / ours.len() as f64,
        differences.max().unwrap_or_default(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn resize_equals_torchvision() {
    let goldens = common::json("resize.json");
    let goldens = goldens["resize"].as_array().unwrap();
    assert_eq!(goldens.len(), 16);
    for golden in goldens {
        let name = golden["image"].as_str().unwrap();
        let side = golden["side"].as_u64().unwrap() as usize;
        let image = source(name);
        assert_eq!(image.width as u64, golden["width"].as_u64().unwrap());
        assert_eq!(image.height as u64, golden["height"].as_u64().unwrap());
        let resized = resize_square(&image, side);
        let last = resized.pixels.len() - 1;
        let samples: Vec<u8> = (0..512)
            .map(|step| resized.pixels[step * last / 511])
            .collect();
        let theirs: Vec<u8> = golden["samples"]
            .as_str()
            .unwrap()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let (fraction, largest) = difference(&samples, &theirs);
        eprintln!("{name} to {side}: {fraction:.4} of the samples differ, by at most {largest}");
        assert!(fraction <= 0.005 && largest <= 1, "{name} to {side}");
        // On top of the requirement: this port equals ATen's uint8 path in every byte.
        assert_eq!(
            hex(&Sha256::digest(&resized.pixels)),
            golden["sha256"].as_str().unwrap(),
            "{name} to {side}"
        );
    }
}

#[test]
fn shrinking_equals_torchvision_in_full() {
    for name in ["nuclei", "heart", "ultrasound", "random"] {
        let golden = open(&common::fixture(&format!("resize/{name}_84.png"))).unwrap();
        let golden = golden.render(0, None).unwrap();
        let (fraction, largest) =
            difference(&resize_square(&source(name), 84).pixels, &golden.pixels);
        assert!(
            fraction == 0.0,
            "{name}: {fraction} differ, by at most {largest}"
        );
    }
}

#[test]
fn masks_equal_torch() {
    let goldens = common::json("resize.json");
    for (index, golden) in goldens["masks"].as_array().unwrap().iter().enumerate() {
        let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
        let (grid_w, grid_h) = (number(&golden["grid"][0]), number(&golden["grid"][1]));
        let (width, height) = (number(&golden["size"][0]), number(&golden["size"][1]));
        let seed = number(&golden["seed"]) as u32;
        let mut values: Vec<i64> = common::random_bytes(grid_w * grid_h, seed)
            .into_iter()
            .map(i64::from)
            .collect();
        for _ in 0..number(&golden["blur"]) {
            values = blur(&values, grid_w, grid_h);
        }
        let centre = golden["centre"].as_f64().unwrap() as f32;
        let logits: Vec<f32> = values.iter().map(|&v| (v as f32 - centre) / 64.0).collect();
        let mask = mask_from_logits(&logits, grid_w, grid_h, width, height, 0.5);
        let golden_png = open(&common::fixture(&format!("resize/mask_{index}.png"))).unwrap();
        let theirs = golden_png.gray_values(0).unwrap();
        assert_eq!((golden_png.width(), golden_png.height()), (width, height));
        let differing = mask
            .bits
            .iter()
            .zip(theirs)
            .filter(|&(&ours, &theirs)| (ours != 0) != (theirs > 0.0))
            .count();
        assert_eq!(differing, 0, "mask {index}");
        assert_eq!(mask.area_px(), number(&golden["area"]));
    }
}

/// Every pixel becomes the sum of itself, twice, and its four neighbours, around the edges.
fn blur(values: &[i64], width: usize, height: usize) -> Vec<i64> {
    let at = |x: usize, y: usize| values[(y % height) * width + x % width];
    (0..width * height)
        .map(|index| {
            let (x, y) = (index % width, index / width);
            2 * at(x, y)
                + at(x + 1, y)
                + at(x + width - 1, y)
                + at(x, y + 1)
                + at(x, y + height - 1)
        })
        .collect()
}
