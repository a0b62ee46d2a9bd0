//! Properties of drawn batches that must hold whatever the random numbers.

use super::*;
use medsam3_corpus::{Item, Licence, Raster, Split};

fn prompt(canonical: &str, synonyms: &[&str], indices: &[u8]) -> Prompt {
    Prompt {
        canonical: canonical.into(),
        synonyms: synonyms.iter().map(|s| (*s).to_owned()).collect(),
        indices: indices.to_vec(),
    }
}

fn dataset(name: &str, prompts: Vec<Prompt>, labels: &[u8], unlabelled: &[u8]) -> Dataset {
    let item = Item {
        id: "a".into(),
        image: String::new(),
        mask: String::new(),
        instances: None,
        split: Split::Train,
        subject: None,
        labels: labels.to_vec(),
        unlabelled: unlabelled.to_vec(),
        prompts: vec![],
    };
    Dataset {
        name: name.into(),
        title: name.into(),
        modality: String::new(),
        role: "train".into(),
        licence: Licence {
            name: "CC0".into(),
            tier: "A".into(),
        },
        source: serde_json::Value::Null,
        labels: std::collections::BTreeMap::new(),
        prompts,
        items: vec![item],
    }
}

/// The left half of the picture is label 1.
fn sample(dataset: usize) -> Sample {
    let values: Vec<u8> = (0..64 * 64).map(|at| u8::from(at % 64 < 32)).collect();
    let image = Raster {
        side: 64,
        channels: 1,
        values: values.iter().map(|v| v * 200).collect(),
    };
    Sample {
        dataset,
        item: 0,
        image,
        labels: Raster {
            side: 64,
            channels: 1,
            values,
        },
        instances: None,
    }
}

fn sampler() -> Sampler {
    let datasets = vec![
        dataset(
            "heart",
            vec![
                prompt("left ventricle", &["LV"], &[1]),
                prompt("myocardium", &[], &[2]),
            ],
            &[1],
            &[2],
        ),
        dataset(
            "eye",
            vec![prompt("retinal vessels", &["vessels"], &[1])],
            &[1],
            &[],
        ),
        dataset(
            "limb",
            vec![
                prompt("blood vessel", &["vessels"], &[1]),
                prompt("nerve", &[], &[2]),
            ],
            &[1],
            &[],
        ),
        dataset("torso", vec![prompt("spleen", &[], &[1])], &[1], &[]),
    ];
    let text = r#"
        root = ""
        tokenizer = ""
        tiers = []
        raster_side = 64
        images_per_step = 8
        prompts_per_image = 3
        negative_share = 0.5
        canonical_share = 0.5
        mirror = ["heart"]
        [regions]
        heart = ["torso"]
        eye = ["eye"]
        limb = ["limb"]
        torso = ["torso"]
    "#;
    let data: DataConfig = toml::from_str(text).expect("a configuration");
    let samples = (0..4).map(sample).collect();
    Sampler::new(
        datasets,
        samples,
        data,
        AugmentConfig::default(),
        5,
        [56, 16],
    )
}

#[test]
fn only_what_shares_no_region_and_no_wording_is_foreign() {
    let sampler = sampler();
    assert_eq!(
        sampler.foreign[0],
        ["blood vessel", "nerve", "retinal vessels"],
        "a torso may hold a spleen"
    );
    assert_eq!(
        sampler.foreign[1],
        ["left ventricle", "myocardium", "nerve", "spleen"],
        "vessels are vessels"
    );
}

#[test]
fn an_image_is_never_asked_for_what_was_not_drawn() {
    let sampler = sampler();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut positive, mut absent) = (0, 0);
    for _ in 0..200 {
        let asked = sampler.draw_prompts(&mut rng, 0, &sampler.samples[0]);
        assert_eq!(asked.len(), 3);
        for prompt in asked {
            match prompt {
                Asked::Own(prompt) => {
                    assert_eq!(
                        prompt.canonical, "left ventricle",
                        "the myocardium was not drawn in this item"
                    );
                    positive += 1;
                }
                Asked::Foreign(name) => {
                    assert_ne!(name, "spleen");
                    absent += 1;
                }
            }
        }
    }
    assert!(
        positive >= 200 && absent > 200,
        "{positive} positive, {absent} absent"
    );
}

#[test]
fn the_same_step_draws_the_same_batch() {
    let sampler = sampler();
    let (first, again) = (sampler.draw(3, 0, 8), sampler.draw(3, 0, 8));
    assert_eq!(first.pixels, again.pixels);
    assert_ne!(first.pixels, sampler.draw(4, 0, 8).pixels);
    assert_ne!(first.pixels, sampler.draw(3, 1, 8).pixels);
    for step in 0..20 {
        let batch = sampler.draw(step, 0, 8);
        assert_eq!((batch.images, batch.rows.len()), (8, 24));
        assert_eq!(batch.pixels.len(), 8 * 3 * 56 * 56);
        for row in &batch.rows {
            assert_eq!(
                row.target.present,
                row.target.semantic.iter().any(|&share| share > 0.0)
            );
            assert_eq!(row.target.present, !row.target.boxes.is_empty());
        }
    }
}

#[test]
fn a_prompt_of_the_own_dataset_is_the_negative_as_often_as_asked_for() {
    let mut sampler = sampler();
    let mut own = |share: f32| {
        sampler.data.own_negative_share = share;
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        (0..4000)
            .filter(|_| {
                let (mut absent, mut foreign) = (
                    vec![&sampler.datasets[0].prompts[1]],
                    vec!["nerve", "blood vessel", "retinal vessels"],
                );
                let negative = sampler.draw_negative(&mut rng, &mut absent, &mut foreign);
                matches!(negative, Asked::Own(_))
            })
            .count()
    };
    // One of four by chance alone; with the share, that chance remains for the rest.
    for (share, wanted) in [(0.0, 1000), (0.6, 2400 + 400), (1.0, 4000)] {
        let taken = own(share);
        assert!(
            taken.abs_diff(wanted) < 120,
            "{taken} of 4000 at a share of {share}, {wanted} wanted"
        );
    }
}

#[test]
fn resized_pictures_are_padded_with_the_lowest_value_and_asked_the_same() {
    let plain = sampler();
    let mut resized = sampler();
    resized.augment = AugmentConfig {
        whole: 1.0,
        square_resize: Some(crate::config::SquareResize {
            smallest: 480,
            step: 32,
            of: 1008,
        }),
        ..AugmentConfig::default()
    };
    let batch = resized.draw(0, 0, 8);
    assert_eq!(batch.pixels, resized.draw(0, 0, 8).pixels);
    assert_eq!(batch.pixels.len(), plain.draw(0, 0, 8).pixels.len());
    let padding = batch.pixels.iter().filter(|&&value| value == -1.0).count();
    assert!(padding > 0, "nothing is padded");
    for row in batch.rows.iter().filter(|row| row.target.present) {
        // The left half of the picture, which is 27 to 56 pixels wide and high.
        let [_, _, width, height] = row.target.boxes[0];
        assert!((0.2..0.52).contains(&width) && (0.45..1.01).contains(&height));
        assert!((width * 2.0 - height).abs() < 0.06, "{width} by {height}");
    }
}
