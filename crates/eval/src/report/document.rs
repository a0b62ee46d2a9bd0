//! What a report says, before it is Markdown or HTML: sections of text, tables, figures and diagrams.

use crate::case::Case;
use crate::evaluation::Evaluation;
use crate::metrics::Calibration;
use crate::report::About;
use crate::report::sections::{
    calibrations, datasets, definitions, instances, paper, prompts, summary,
};

/// A table; columns after the first `text_columns` hold numbers.
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    pub(super) text_columns: usize,
    pub(super) rows: Vec<Vec<String>>,
}

/// A reliability diagram and what it is of.
pub(super) struct Diagram<'a> {
    pub(super) title: &'static str,
    pub(super) calibration: &'a Calibration,
}

/// A part of the report.
pub(super) struct Section<'a> {
    pub(super) title: &'static str,
    pub(super) text: Vec<String>,
    pub(super) table: Option<Table>,
    pub(super) diagrams: Vec<Diagram<'a>>,
    pub(super) figures: &'a [Figure<'a>],
}

/// The report.
pub(super) struct Document<'a> {
    pub(super) title: String,
    pub(super) command: &'a str,
    pub(super) sections: Vec<Section<'a>>,
}

/// A case with its picture.
pub(super) struct Figure<'a> {
    pub(super) case: &'a Case,
    pub(super) file: String,
    pub(super) caption: String,
}

impl<'a> Figure<'a> {
    /// The best, the median and the worst case by Dice of every prompt of every dataset, where it is in the image.
    pub(super) fn choose(cases: &'a [Case]) -> Vec<Self> {
        let mut groups: std::collections::BTreeMap<(&str, &str), Vec<&Case>> =
            std::collections::BTreeMap::new();
        for case in cases.iter().filter(|case| case.present()) {
            groups
                .entry((&case.question.dataset, &case.question.prompt))
                .or_default()
                .push(case);
        }
        groups
            .into_values()
            .flat_map(|mut cases| {
                cases.sort_by(|a, b| b.dice.total_cmp(&a.dice));
                let last = cases.len() - 1;
                let mut chosen = vec![("best", 0), ("median", last / 2), ("worst", last)];
                chosen.dedup_by_key(|(_, place)| *place);
                chosen
                    .into_iter()
                    .filter_map(move |(rank, place)| Some(Self::new(rank, cases.get(place)?)))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn new(rank: &str, case: &'a Case) -> Self {
        let question = &case.question;
        let slug = |text: &str| -> String {
            text.chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() {
                        c.to_ascii_lowercase()
                    } else {
                        '-'
                    }
                })
                .collect()
        };
        Self {
            case,
            file: format!(
                "pictures/{}.{}.{rank}.jpg",
                slug(&question.dataset),
                slug(&question.prompt)
            ),
            caption: format!(
                "{}, {}: {rank}, Dice {:.3} ({})",
                question.dataset, question.prompt, case.dice, question.item
            ),
        }
    }
}

impl<'a> Document<'a> {
    /// Lays out an evaluation.
    pub(super) fn new(
        about: &'a About,
        evaluation: &'a Evaluation,
        figures: &'a [Figure<'a>],
    ) -> Self {
        let mut sections = vec![summary(about, evaluation), prompts(&evaluation.rows)];
        sections.extend(instances(&evaluation.rows));
        sections.extend(paper(&evaluation.rows));
        sections.push(calibrations(evaluation));
        sections.push(Section {
            title: "Best, median and worst",
            text: vec!["Cyan: what is drawn. Orange: what was shown.".to_owned()],
            figures,
            ..Section::EMPTY
        });
        sections.push(datasets(about));
        sections.push(definitions(about, evaluation));
        Self {
            title: format!("Evaluation of {}, {} split", about.model, about.split),
            command: &about.command,
            sections,
        }
    }
}

impl Section<'_> {
    /// Nothing yet.
    pub(super) const EMPTY: Self = Self {
        title: "",
        text: Vec::new(),
        table: None,
        diagrams: Vec::new(),
        figures: &[],
    };
}
