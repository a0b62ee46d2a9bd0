//! Floating-point operations of an optimiser step, by the model's own counts.

use medsam3_model::flops;
use serde::Serialize;

use super::groups::modules;
use crate::config::TrainConfig;
use crate::parameters::Slot;

/// Operations of one optimiser step over all workers, two for each multiplication and addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Operations {
    /// Trunk and neck of every image.
    pub forward_image: u64,
    /// Text encoder and everything behind the neck, of every prompt, the second copy of the queries included. Prompts count
    /// at the full context.
    pub forward_prompt: u64,
    /// Both.
    pub forward: u64,
    /// Of inputs and of weights as much as forward each; of a frozen part the inputs alone, and those only where something
    /// before it is trained.
    pub backward: u64,
    /// Trunk blocks and layers of the fusion encoder that are computed once more in the backward pass.
    pub again: u64,
    /// All of it.
    pub step: u64,
}

impl Operations {
    pub(super) fn new(config: &TrainConfig, slots: &[Slot]) -> Self {
        let needed = flops::needed(&config.model);
        let copies = if config.loss.one_to_many.is_some() {
            flops::second_queries(&config.model)
        } else {
            0
        };
        let images = config.images_per_step() as u64;
        let prompts = images * config.data.prompts_per_image as u64;
        let stages = [
            (&["trunk"][..], images * needed.trunk),
            (&["neck"], images * needed.neck),
            (&["text encoder"], prompts * needed.text),
            (
                &[
                    "geometry encoder",
                    "fusion encoder",
                    "decoder",
                    "mask head",
                    "scoring",
                ],
                prompts * (needed.prompt + copies),
            ),
        ];
        let rows = modules(slots);
        // A weight with an adapter needs the gradient of the sum.
        let adapted = slots.iter().filter(|slot| slot.adapted);
        let adapted = modules(&adapted.cloned().collect::<Vec<_>>());
        let trained = |parts: &[&str]| {
            let trains = |name: &str| {
                let of = |row: &&super::ModuleRow| row.name == name;
                rows.iter().find(of).is_some_and(|row| row.trained > 0)
                    || adapted.iter().find(of).is_some_and(|row| row.tensors > 0)
            };
            parts.iter().any(|name| trains(name))
        };
        let [trunk, neck, text, prompt] = stages.map(|(parts, _)| trained(parts));
        // Whether something before a stage is trained.
        let before = [false, trunk, false, trunk || neck || text];
        let backward = stages.iter().zip([trunk, neck, text, prompt]).zip(before);
        let backward = backward.map(|(((_, work), trained), before)| {
            work * match (trained, before) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            }
        });
        let backward = backward.sum();
        let [trunk_work, neck_work, text_work, prompt_work] = stages.map(|(_, work)| work);
        let forward_image = trunk_work + neck_work;
        let forward_prompt = text_work + prompt_work;
        let forward = forward_image + forward_prompt;
        // What the record does not follow is not computed again: a frozen trunk, and a prompt stage with nothing to train.
        let blocks = needed.trunk - flops::patch_embedding(&config.model);
        let layers = flops::fusion_encoder(&config.model);
        let followed =
            |follows: bool, work| u64::from(config.run.recompute_blocks && follows) * work;
        let again =
            followed(trunk, images * blocks) + followed(prompt || before[3], prompts * layers);
        Self {
            forward_image,
            forward_prompt,
            forward,
            backward,
            again,
            step: forward + backward + again,
        }
    }
}
