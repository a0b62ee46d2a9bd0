//! Draws training batches: which images, through which view, asked which prompts.
//!
//! Everything follows from the seed, the step and the worker, so that a resumed run draws what the interrupted one
//! would have drawn. Out: images `[images, 3, side, side]` in -1..1 and rows, one per image and prompt.

use rand::{Rng, RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use crate::augment::{Symmetry, View, change_levels, focus_point};
use crate::config::{AugmentConfig, DataConfig};
use crate::corpus::{Dataset, Labelling, Prompt, Sample};
use crate::foreign::{foreign_prompts, names_a_side};
use crate::target::{Objects, SUBCELLS, Target};

/// One prompt of one image.
#[derive(Debug, Clone)]
pub struct Row {
    /// Image of the batch.
    pub image: usize,
    /// What is typed.
    pub text: String,
    /// What should be found.
    pub target: Target,
}

/// What one worker trains on in one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[images, 3, side, side]`, -1..1, row-major.
    pub pixels: Vec<f32>,
    /// Number of images.
    pub images: usize,
    /// Prompts, ordered by image.
    pub rows: Vec<Row>,
}

/// Draws batches from samples in memory.
pub struct Sampler {
    datasets: Vec<Dataset>,
    samples: Vec<Sample>,
    by_dataset: Vec<Vec<usize>>,
    /// Cumulative share of each dataset.
    cumulative: Vec<f32>,
    /// Per dataset, the canonical names of prompts that are clearly foreign to it.
    foreign: Vec<Vec<String>>,
    data: DataConfig,
    augment: AugmentConfig,
    seed: u64,
    side: usize,
    grid: usize,
}

impl Sampler {
    /// Prepares to draw pictures of `side` pixels with targets on a grid of `grid` cells.
    pub fn new(
        datasets: Vec<Dataset>,
        samples: Vec<Sample>,
        data: DataConfig,
        augment: AugmentConfig,
        seed: u64,
        [side, grid]: [usize; 2],
    ) -> Self {
        let mut by_dataset = vec![Vec::new(); datasets.len()];
        for (at, sample) in samples.iter().enumerate() {
            by_dataset[sample.dataset].push(at);
        }
        let shares = by_dataset.iter().zip(&datasets).map(|(items, set)| {
            (items.len() as f32).sqrt() * data.weights.get(&set.name).copied().unwrap_or(1.0)
        });
        let cumulative = shares
            .scan(0.0, |sum, share| {
                *sum += share;
                Some(*sum)
            })
            .collect();
        let foreign = (0..datasets.len())
            .map(|own| foreign_prompts(&datasets, own, &data))
            .collect();
        Self {
            datasets,
            samples,
            by_dataset,
            cumulative,
            foreign,
            data,
            augment,
            seed,
            side,
            grid,
        }
    }

    /// The `images` images that `worker` sees in `step`.
    pub fn draw(&self, step: usize, worker: usize, images: usize) -> Batch {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(((step as u64) << 8) | worker as u64);
        let mut batch = Batch {
            pixels: Vec::with_capacity(images * 3 * self.side * self.side),
            images: 0,
            rows: vec![],
        };
        for _ in 0..images {
            self.draw_image(&mut rng, &mut batch);
        }
        batch
    }

    fn draw_image(&self, rng: &mut ChaCha8Rng, batch: &mut Batch) {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let ticket = rng.random::<f32>() * total;
        let dataset = self
            .cumulative
            .partition_point(|&edge| edge <= ticket)
            .min(self.datasets.len() - 1);
        let Some(&at) = self.by_dataset[dataset].choose(rng) else {
            return;
        };
        let (sample, set) = (&self.samples[at], &self.datasets[dataset]);

        let asked = self.draw_prompts(rng, dataset, sample);
        let focus = asked.iter().find_map(|prompt| match prompt {
            Asked::Own(prompt) => focus_point(sample, &prompt.indices, rng),
            Asked::Foreign(_) => None,
        });
        let view = View::random(rng, &self.augment, self.symmetry(dataset, &asked), focus);
        let mut image = view.image(&sample.image, self.side);
        change_levels(&mut image, rng, &self.augment);
        batch
            .pixels
            .extend(image.into_iter().map(|value| value * 2.0 - 1.0));

        let fine = self.grid * SUBCELLS;
        let labels = view.map(&sample.labels, fine);
        let instances = sample.instances.as_ref().map(|map| view.map(map, fine));
        let has = |list: &[String]| list.contains(&set.name);
        let rule = if has(&self.data.objects_by_label) {
            Objects::Labels
        } else if has(&self.data.objects_by_component) {
            Objects::Components
        } else {
            Objects::Union
        };
        for prompt in asked {
            let (text, target) = match prompt {
                Asked::Own(prompt) => {
                    let target = Target::new(
                        &labels,
                        instances.as_deref(),
                        &prompt.indices,
                        rule,
                        self.grid,
                    );
                    (self.wording(rng, prompt), target)
                }
                Asked::Foreign(text) => (text.to_owned(), Target::absent(self.grid)),
            };
            batch.rows.push(Row {
                image: batch.images,
                text,
                target,
            });
        }
        batch.images += 1;
    }

    /// Distinct prompts, at least one of them positive where the image has one.
    fn draw_prompts<'a>(
        &'a self,
        rng: &mut impl Rng,
        dataset: usize,
        sample: &Sample,
    ) -> Vec<Asked<'a>> {
        let set = &self.datasets[dataset];
        let item = &set.items[sample.item];
        let with = |wanted| {
            set.prompts
                .iter()
                .filter(|p| item.labelling(p) == wanted)
                .collect::<Vec<&Prompt>>()
        };
        let (mut positive, absent) = (with(Labelling::Positive), with(Labelling::Absent));
        let mut negative: Vec<Asked<'a>> = absent.into_iter().map(Asked::Own).collect();
        negative.extend(
            self.foreign[dataset]
                .iter()
                .map(|name| Asked::Foreign(name)),
        );

        let mut asked = Vec::with_capacity(self.data.prompts_per_image);
        while asked.len() < self.data.prompts_per_image
            && !(positive.is_empty() && negative.is_empty())
        {
            let none_yet = asked.is_empty() && !positive.is_empty();
            let take_negative = !none_yet && rng.random::<f32>() < self.data.negative_share;
            if positive.is_empty() || (take_negative && !negative.is_empty()) {
                if negative.is_empty() {
                    break;
                }
                asked.push(negative.swap_remove(rng.random_range(0..negative.len())));
            } else {
                let weight = |p: &&Prompt| {
                    self.data
                        .prompt_weights
                        .get(&p.canonical)
                        .copied()
                        .unwrap_or(1.0)
                };
                let mut ticket = rng.random::<f32>() * positive.iter().map(weight).sum::<f32>();
                let at = positive
                    .iter()
                    .position(|p| {
                        ticket -= weight(p);
                        ticket < 0.0
                    })
                    .unwrap_or(positive.len() - 1);
                asked.push(Asked::Own(positive.swap_remove(at)));
            }
        }
        // A batch has as many rows from every image, so the last resort is to ask again.
        while asked.len() < self.data.prompts_per_image && !asked.is_empty() {
            asked.push(asked[rng.random_range(0..asked.len())]);
        }
        asked
    }

    fn symmetry(&self, dataset: usize, asked: &[Asked]) -> Symmetry {
        let name = &self.datasets[dataset].name;
        let lateral = asked.iter().any(|prompt| match prompt {
            Asked::Own(prompt) => names_a_side(&prompt.canonical),
            Asked::Foreign(_) => false,
        });
        if lateral {
            Symmetry::None
        } else if self.data.any_orientation.contains(name) {
            Symmetry::All
        } else if self.data.mirror.contains(name) {
            Symmetry::Mirror
        } else {
            Symmetry::None
        }
    }

    fn wording(&self, rng: &mut impl Rng, prompt: &Prompt) -> String {
        if rng.random::<f32>() < self.data.canonical_share {
            return prompt.canonical.clone();
        }
        prompt
            .synonyms
            .choose(rng)
            .unwrap_or(&prompt.canonical)
            .clone()
    }
}

#[derive(Debug, Clone, Copy)]
enum Asked<'a> {
    Own(&'a Prompt),
    Foreign(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{Item, Licence, Raster, Split};

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
}
