//! Parameters counted by part of the model and by group of the configuration.

use serde::Serialize;

use crate::config::ScheduleConfig;
use crate::groups::owner;
use crate::lora::is_adapter;
use crate::parameters::Slot;

/// Parts of the model by the beginnings of their names, the first that fits.
const PARTS: [(&str, &str); 8] = [
    ("trunk", "detector.backbone.vision_backbone.trunk."),
    ("neck", "detector.backbone.vision_backbone."),
    ("text encoder", "detector.backbone.language_backbone."),
    ("geometry encoder", "detector.geometry_encoder."),
    ("fusion encoder", "detector.transformer.encoder."),
    ("decoder", "detector.transformer.decoder."),
    ("mask head", "detector.segmentation_head."),
    ("scoring", "detector.dot_prod_scoring."),
];

/// A part of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleRow {
    /// What it is called.
    pub name: &'static str,
    /// How many tensors it has, adapters included.
    pub tensors: usize,
    /// How many parameters.
    pub parameters: usize,
    /// How many of them are trained.
    pub trained: usize,
}

/// Parameters of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupRow {
    /// As the configuration calls it; `others` for what no group takes.
    pub name: String,
    /// How many tensors it has.
    pub tensors: usize,
    /// How many parameters.
    pub parameters: usize,
    /// Peak learning rate of the parameters that have the largest.
    pub learning_rate: f32,
    /// Of those that have the smallest.
    pub lowest_learning_rate: f32,
    /// Whether the schedule leaves it alone.
    pub constant: bool,
    /// Factor from a block to the one before it.
    pub layer_decay: Option<f32>,
    /// AdamW's, of those parameters that have one.
    pub weight_decay: f32,
    /// How many parameters are decayed.
    pub decayed: usize,
    /// The same group by learning rate, the largest first.
    pub layers: Vec<LayerRow>,
}

/// Parameters of one group that share a rate: with layer-wise decay, a block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    /// Peak learning rate.
    pub learning_rate: f32,
    /// How many tensors have it.
    pub tensors: usize,
    /// How many parameters.
    pub parameters: usize,
}

/// Parts that have parameters, in the order of the data.
pub(super) fn modules(slots: &[Slot]) -> Vec<ModuleRow> {
    let part = |slot: &Slot| {
        let begins = |(_, prefix): &(&str, &str)| slot.name.starts_with(prefix);
        PARTS.iter().position(begins)
    };
    let row = |(at, &(name, _)): (usize, &(&'static str, &str))| {
        let own: Vec<&Slot> = slots.iter().filter(|slot| part(slot) == Some(at)).collect();
        ModuleRow {
            name,
            tensors: own.len(),
            parameters: own.iter().map(|slot| slot.len()).sum(),
            trained: own.iter().map(|slot| slot.state_len(slot.len())).sum(),
        }
    };
    PARTS.iter().enumerate().map(row).collect()
}

/// Which row a slot counts in: a group, the adapters, or what is left.
fn place(slot: &Slot, schedule: &ScheduleConfig) -> usize {
    let groups = schedule.groups.len();
    match owner(&slot.name, schedule) {
        _ if is_adapter(slot) => groups,
        Some((at, _)) => at,
        None => groups + 1,
    }
}

/// Groups in the order of the configuration, then adapters, then what no group takes; none is empty.
pub(super) fn groups(slots: &[Slot], schedule: &ScheduleConfig) -> Vec<GroupRow> {
    let named = schedule.groups.iter();
    let named = named.map(|group| (group.name.as_str(), group.layer_decay));
    named
        .chain([("adapters", None), ("others", None)])
        .enumerate()
        .filter_map(|(at, (name, layer_decay))| {
            let mut own = slots.iter().filter(|slot| place(slot, schedule) == at);
            let first = own.next()?;
            let own = std::iter::once(first).chain(own);
            Some(row(name, layer_decay, own.collect(), schedule))
        })
        .collect()
}

fn row(
    name: &str,
    layer_decay: Option<f32>,
    mut own: Vec<&Slot>,
    schedule: &ScheduleConfig,
) -> GroupRow {
    own.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    let rate = |slot: Option<&&Slot>| slot.map_or(0.0, |slot| slot.rate * schedule.learning_rate);
    let decayed = own.iter().filter(|slot| slot.decay && slot.rate > 0.0);
    GroupRow {
        name: name.to_owned(),
        tensors: own.len(),
        parameters: own.iter().map(|slot| slot.len()).sum(),
        learning_rate: rate(own.first()),
        lowest_learning_rate: rate(own.last()),
        constant: own.first().is_some_and(|slot| slot.constant),
        layer_decay,
        weight_decay: schedule.weight_decay,
        decayed: decayed.map(|slot| slot.len()).sum(),
        layers: own
            .chunk_by(|a, b| a.rate == b.rate)
            .map(|same| LayerRow {
                learning_rate: rate(same.first()),
                tensors: same.len(),
                parameters: same.iter().map(|slot| slot.len()).sum(),
            })
            .collect(),
    }
}
