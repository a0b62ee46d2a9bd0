//! Writes a model folder of any size whose weights are the generator's (`medsam3_model::synthetic`), so that what the
//! full model costs can be measured without its checkpoint. Holds one tensor at a time.
//!
//!     cargo run --release --example synthetic_model -- OUT sam3 f16
//!
//! The last two are a preset of the configuration and a precision: f32, f16 or q8. The tokenizer is the default model's.

use std::error::Error;

use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters, synthetic};
use medsam3_weights::{MaskRule, ModelDescription, Precision, Provenance, TOKENIZER_FILE, Writer};

const TOKENIZER: &[u8] = include_bytes!("../../../weights/default/tokenizer.json");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, preset, precision] = arguments.as_slice() else {
        return Err("usage: synthetic_model OUT CONFIG PRECISION".into());
    };
    let config = Sam3Config::preset(preset).ok_or("no such configuration")?;
    let precision = match precision.as_str() {
        "f32" => Precision::F32,
        "f16" => Precision::F16,
        "q8" => Precision::Q8,
        _ => return Err("no such precision".into()),
    };
    let description = ModelDescription {
        name: format!("synthetic-{preset}"),
        config: serde_json::to_value(&config)?,
        precision,
        licence: "CC0-1.0".to_owned(),
        provenance: Provenance {
            source: "synthetic values".to_owned(),
            ..Provenance::default()
        },
        mask_rule: MaskRule::Semantic,
        prompts: Vec::new(),
    };
    let mut writer = Writer::create(out, description)?;
    // Initial values are drawn on first use, and these are never used.
    for info in parameters::parameters(&config.init(&Device::flex())) {
        let values = synthetic::weights(&info.name, &info.shape);
        writer.tensor(&info.name, &info.shape, &values)?;
    }
    writer.file(TOKENIZER_FILE, TOKENIZER)?;
    writer.finish()?;
    Ok(())
}
