//! Content items of a Structured Report (PS3.3 C.17.3): a name, a value of a type, and how it relates to the item that
//! holds it.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::concepts::{Concept, code};
use crate::dicom::element::{Item, decimal};
use crate::terms::Code;

/// Relationship Type to the item above.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relation {
    Contains,
    Context,
    Modifier,
}

fn node(relation: Relation, value_type: &str, name: Concept) -> Item {
    let relation = match relation {
        Relation::Contains => "CONTAINS",
        Relation::Context => "HAS OBS CONTEXT",
        Relation::Modifier => "HAS CONCEPT MOD",
    };
    let mut item = Item::new();
    item.text(tags::RELATIONSHIP_TYPE, VR::CS, relation)
        .text(tags::VALUE_TYPE, VR::CS, value_type)
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, &code(name));
    item
}

/// Puts items below another.
pub(super) fn with(mut item: Item, children: Vec<Item>) -> Item {
    if !children.is_empty() {
        item.sequence(tags::CONTENT_SEQUENCE, children);
    }
    item
}

/// What makes an item, the root or another, a container after a template of PS3.16.
pub(super) fn fill_container(item: &mut Item, template: Option<&str>, children: Vec<Item>) {
    item.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
    if let Some(template) = template {
        let mut identified = Item::new();
        identified
            .text(tags::MAPPING_RESOURCE, VR::CS, "DCMR")
            .text(tags::TEMPLATE_IDENTIFIER, VR::CS, template);
        item.sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![identified]);
    }
    item.sequence(tags::CONTENT_SEQUENCE, children);
}

pub(super) fn container(name: Concept, template: Option<&str>, children: Vec<Item>) -> Item {
    let mut item = node(Relation::Contains, "CONTAINER", name);
    fill_container(&mut item, template, children);
    item
}

pub(super) fn coded(relation: Relation, name: Concept, value: &Code) -> Item {
    let mut item = node(relation, "CODE", name);
    item.code(tags::CONCEPT_CODE_SEQUENCE, value);
    item
}

pub(super) fn text(relation: Relation, name: Concept, value: &str) -> Item {
    let mut item = node(relation, "TEXT", name);
    item.text(tags::TEXT_VALUE, VR::UT, value);
    item
}

pub(super) fn uid(relation: Relation, name: Concept, value: &str) -> Item {
    let mut item = node(relation, "UIDREF", name);
    item.text(tags::UID, VR::UI, value);
    item
}

/// A reference to an image or a segment of one.
pub(super) fn image(name: Concept, reference: Item) -> Item {
    let mut item = node(Relation::Contains, "IMAGE", name);
    item.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
    item
}

/// A number with its unit, and what it is said with (method, derivation).
pub(super) fn number(name: Concept, value: f64, unit: Concept, said_with: Vec<Item>) -> Item {
    let mut measured = Item::new();
    measured
        .decimals(tags::NUMERIC_VALUE, &[value])
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, &code(unit));
    // The 16 characters of a DS do not hold every number.
    if decimal(value).parse() != Ok(value) {
        measured.double(tags::FLOATING_POINT_VALUE, value);
    }
    let mut item = node(Relation::Contains, "NUM", name);
    item.sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
    with(item, said_with)
}
