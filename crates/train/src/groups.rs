//! Named groups of parameters with learning rates of their own, and layer-wise decay over the trunk (paper section 3.2,
//! equation 1; reference 5.3): of L = depth + 1 steps, block i has `gamma^(L - (i + 1))`, what comes before the blocks `gamma^L`.

use crate::config::{Group, ScheduleConfig};
use crate::error::TrainError;
use crate::parameters::Slot;

const TRUNK: &str = "detector.backbone.vision_backbone.trunk.";

/// Sets the factor of every slot.
///
/// # Errors
/// [`TrainError::Config`] for a group that has no parameter, or one that cannot have what it asks for.
pub fn apply(
    slots: &mut [Slot],
    schedule: &ScheduleConfig,
    trunk_depth: usize,
) -> Result<(), TrainError> {
    let bad = |name: &str, reason: &str| TrainError::Config {
        reason: format!("the group {name} {reason}"),
    };
    let mut sizes = vec![0_usize; schedule.groups.len()];
    for slot in slots {
        let Some((at, group)) = owner(&slot.name, schedule) else {
            if schedule.lora.is_some() {
                slot.rate = 0.0;
            }
            continue;
        };
        let rate = group.learning_rate.unwrap_or(schedule.learning_rate);
        let decay = group
            .layer_decay
            .map_or(1.0, |gamma| layer_factor(&slot.name, gamma, trunk_depth));
        slot.rate = rate / schedule.learning_rate * decay;
        slot.constant = group.constant;
        if !(slot.rate.is_finite() && slot.rate >= 0.0) {
            return Err(bad(&group.name, "needs rates that are not negative"));
        }
        if let Some(size) = sizes.get_mut(at) {
            *size += 1;
        }
    }
    match schedule
        .groups
        .iter()
        .zip(sizes)
        .find(|(_, size)| *size == 0)
    {
        None => Ok(()),
        Some((group, _)) => Err(bad(
            &group.name,
            "has no parameter that no group before it has",
        )),
    }
}

/// The group that a parameter belongs to, with its place in the configuration.
pub fn owner<'a>(name: &str, schedule: &'a ScheduleConfig) -> Option<(usize, &'a Group)> {
    let begins = |group: &Group| group.prefixes.iter().any(|prefix| name.starts_with(prefix));
    let groups = schedule.groups.iter().enumerate();
    groups.into_iter().find(|(_, group)| begins(group))
}

/// `gamma^(L - id)`: id 0 before the blocks, i + 1 in block i, L everywhere else.
fn layer_factor(name: &str, gamma: f32, depth: usize) -> f32 {
    let last = depth + 1;
    let id = match name.strip_prefix(TRUNK) {
        None => last,
        Some(rest) => match rest.strip_prefix("blocks.") {
            None => 0,
            Some(block) => {
                let number = block
                    .split('.')
                    .next()
                    .and_then(|text| text.parse::<usize>().ok());
                number.map_or(last, |number| number + 1)
            }
        },
    };
    let exponent = last.saturating_sub(id);
    gamma.powf(exponent as f32)
}
