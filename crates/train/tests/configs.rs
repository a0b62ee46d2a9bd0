//! Every configuration of the repository can be read, and its groups fit its model.

use burn::tensor::Device;
use medsam3_train::{TrainConfig, groups, parameters};

const TRUNK: &str = "detector.backbone.vision_backbone.trunk.";

fn folder() -> std::path::PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs").into()
}

fn slots(config: &TrainConfig) -> Vec<parameters::Slot> {
    let model = config.model.init(&Device::flex());
    let mut slots = parameters::slots(&model);
    groups::apply(&mut slots, &config.schedule, config.model.vit.depth).expect("groups that fit");
    slots
}

#[test]
fn every_configuration_fits_its_model() {
    let files = |folder| std::fs::read_dir(folder).expect("configurations");
    let files = files(folder()).chain(files(folder().join("experiments")));
    let mut read = 0;
    for file in files.filter_map(|file| Some(file.ok()?.path())) {
        if file.extension().is_some_and(|e| e == "toml") {
            slots(&TrainConfig::read(&file).expect("a valid configuration"));
            read += 1;
        }
    }
    assert!(read >= 12, "{read} configurations");
}

#[test]
fn fine_tuning_decays_towards_the_first_block() {
    let config = TrainConfig::read(&folder().join("finetune.toml")).expect("a configuration");
    let slots = slots(&config);
    let rate = |name: &str| {
        let slot = slots
            .iter()
            .find(|slot| slot.name == format!("{TRUNK}{name}"));
        slot.expect("a parameter").rate
    };
    // 5e-5 of 3e-4; depth 6: block 5 has 0.85, block 0 0.85^6, what comes before it 0.85^7.
    let base = 5e-5 / 3e-4;
    for (name, exponent) in [
        ("blocks.5.norm1.bias", 1),
        ("blocks.0.norm1.bias", 6),
        ("pos_embed", 7),
    ] {
        let expected = base * 0.85_f32.powi(exponent);
        assert!((rate(name) - expected).abs() < 1e-6 * expected, "{name}");
    }
}

#[test]
fn a_frozen_trunk_is_frozen_and_nothing_else_is() {
    let config = TrainConfig::read(&folder().join("frozen-trunk.toml")).expect("a configuration");
    let slots = slots(&config);
    assert!(slots.iter().any(|slot| slot.rate == 0.0));
    assert!(
        slots
            .iter()
            .all(|slot| (slot.rate == 0.0) == slot.name.starts_with(TRUNK))
    );
}

/// Every manifest of a training set of Medical SAM3 is among the paper's datasets and has the prompt that was released for it.
#[test]
fn the_papers_prompts_are_those_of_the_manifests() {
    let config = TrainConfig::read(&folder().join("medical-sam3.toml")).expect("a configuration");
    let data = &config.data;
    assert_eq!(data.datasets.len(), 33);
    assert!(
        data.datasets
            .iter()
            .all(|name| data.prompts.contains_key(name))
    );
    let manifests = std::fs::read_dir(folder().join("datasets")).expect("manifests");
    let mut compared = 0;
    for file in manifests.filter_map(|file| Some(file.ok()?.path())) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let manifest: toml::Table = toml::from_str(&text).expect("TOML");
        let name = manifest["name"].as_str().expect("a name");
        let asked = data
            .prompts
            .get(name)
            .unwrap_or_else(|| panic!("{name} is none of the 33"));
        let prompts = manifest["prompts"].as_array().expect("prompts").iter();
        let canonical: Vec<&str> = prompts.filter_map(|p| p["canonical"].as_str()).collect();
        for words in asked {
            let words = words.to_lowercase();
            assert!(canonical.contains(&words.as_str()), "{name} has no {words}");
            compared += 1;
        }
    }
    assert!(compared >= 19, "{compared} prompts");
}
