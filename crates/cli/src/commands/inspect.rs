//! `medsam3 inspect`: what a model folder holds, with every hash verified and every tensor held against the model; of
//! anything else, the series of images in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters};
use medsam3_weights::{DirectorySource, Reader, Source, VOCABULARY_TENSOR};
use serde::Serialize;

use super::inspect_images;
use crate::failure::UsageError;
use crate::{model_folder, terminal};

/// Shows which series of images there are, or what a model folder holds.
///
/// Of images: a line per series with its kind, size, spacing, affine and problems. All paths together are one set of
/// files; a path is a file, a folder, a zip archive or a DICOMDIR. Of a model folder: every file's SHA-256 is verified, and
/// every tensor's name and shape is compared with the model of the configuration.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 inspect ct-folder archive.zip
  medsam3 inspect --json disc/DICOMDIR | jq .problems
  medsam3 inspect weights/default
  medsam3 inspect weights/default --json | jq .parameters")]
pub struct Arguments {
    /// Images, or one model folder; by default the model that comes with the program
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// JSON instead of text: an object per series, or one for the model
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Inspection<'a> {
    name: &'a str,
    precision: &'static str,
    licence: &'a str,
    provenance: &'a medsam3_weights::Provenance,
    config: &'a serde_json::Value,
    mask_rule: medsam3_weights::MaskRule,
    /// Parameters by module.
    parameters: BTreeMap<&'static str, usize>,
    parameters_total: usize,
    /// Bytes by file.
    files: BTreeMap<&'a str, u64>,
    bytes_total: u64,
    prompts: usize,
    /// All files have the manifest's SHA-256 and all tensors fit the model; otherwise the command fails.
    verified: bool,
}

/// The modules of the model, by the beginning of their tensors' names.
const MODULES: [(&str, &str); 8] = [
    ("detector.backbone.vision_backbone.trunk.", "trunk"),
    ("detector.backbone.vision_backbone.convs.", "neck"),
    ("detector.backbone.language_backbone.", "text encoder"),
    ("detector.geometry_encoder.", "geometry encoder"),
    ("detector.transformer.encoder.", "DETR encoder"),
    ("detector.transformer.decoder.", "DETR decoder"),
    ("detector.dot_prod_scoring.", "scoring"),
    ("detector.segmentation_head.", "mask head"),
];

fn module_of(tensor: &str) -> &'static str {
    let module = MODULES.iter().find(|(start, _)| tensor.starts_with(start));
    module.map_or("not used", |(_, module)| module)
}

/// Verifies a model or lists series, and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.paths.as_slice() {
        [] => model(None, arguments.json),
        [path] if is_model(path) => model(Some(path), arguments.json),
        paths if paths.iter().any(is_model) => {
            Err(UsageError("a model folder is inspected by itself".to_owned()).into())
        }
        paths => inspect_images::run(paths, arguments.json),
    }
}

/// Whether a path is a model folder, or one that lost its manifest.
fn is_model(path: &PathBuf) -> bool {
    let has_shard = || {
        let mut entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.any(|entry| entry.path().extension() == Some("safetensors".as_ref()))
    };
    path.join(medsam3_weights::MANIFEST_FILE).is_file() || has_shard()
}

fn model(folder: Option<&Path>, json: bool) -> Result<()> {
    let folder = model_folder::find(folder)?;
    let mut reader = Reader::open(DirectorySource::new(folder))?;
    let config: Sam3Config = serde_json::from_value(reader.manifest().config.clone())
        .context("reading the configuration")?;
    config.validate()?;
    let expected = parameters::parameters(&config.init(&Device::flex()));
    reader.check_tensors(
        expected
            .iter()
            .map(|info| (info.name.as_str(), info.shape.as_slice())),
        |name| parameters::is_unused(name) || name == VOCABULARY_TENSOR,
    )?;
    reader.verify(|_, _| ())?;
    let inspection = inspect(&reader);
    if json {
        terminal::json(&inspection)?;
    } else {
        print(&inspection)?;
    }
    Ok(())
}

fn inspect<S: Source>(reader: &Reader<S>) -> Inspection<'_> {
    let manifest = reader.manifest();
    let mut parameters = BTreeMap::new();
    for name in reader.names().filter(|name| *name != VOCABULARY_TENSOR) {
        let shape = reader.info(name).map(|info| info.shape.as_slice());
        *parameters.entry(module_of(name)).or_default() +=
            shape.unwrap_or_default().iter().product::<usize>();
    }
    Inspection {
        name: &manifest.name,
        precision: manifest.precision.name(),
        licence: &manifest.licence,
        provenance: &manifest.provenance,
        config: &manifest.config,
        mask_rule: manifest.mask_rule,
        parameters_total: parameters.values().sum(),
        parameters,
        files: manifest
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.bytes))
            .collect(),
        bytes_total: manifest.total_bytes(),
        prompts: manifest.prompts.len(),
        verified: true,
    }
}

fn print(inspection: &Inspection<'_>) -> Result<()> {
    let Inspection {
        name,
        precision,
        licence,
        provenance,
        config,
        ..
    } = inspection;
    say!("{name}, {precision}, licence {licence}")?;
    say!("source {}, recipe {}", provenance.source, provenance.recipe)?;
    say!("commit {}, {}\n", provenance.commit, provenance.date)?;
    for (module, count) in &inspection.parameters {
        say!("{module:<18} {count:>12} parameters")?;
    }
    say!(
        "{:<18} {:>12} parameters\n",
        "in all",
        inspection.parameters_total
    )?;
    for (file, bytes) in &inspection.files {
        say!("{file:<30} {bytes:>12} bytes, SHA-256 verified")?;
    }
    say!("{:<30} {:>12} bytes\n", "in all", inspection.bytes_total)?;
    say!(
        "{} prompts with thresholds; mask rule {:?}",
        inspection.prompts,
        inspection.mask_rule
    )?;
    say!("config {}", serde_json::to_string_pretty(config)?)?;
    Ok(())
}
