//! Items and their elements, with the limits of their value representations (PS3.5 section 6.2): texts
//! without backslashes and control characters and not too long, numbers in the 16 characters of a DS.

use dicom_core::header::Header as _;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::terms::Code;

/// A data set or item in the making.
#[derive(Debug, Clone)]
pub(super) struct Item(InMemDicomObject);

impl Item {
    pub(super) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    pub(super) fn into_object(self) -> InMemDicomObject {
        self.0
    }

    fn put(&mut self, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
        self.0.put(DataElement::new(tag, vr, value.into()));
    }

    /// Takes over an element of another data set.
    pub(super) fn copy(&mut self, element: &InMemElement) {
        self.0.put(element.clone());
    }

    /// Takes over an element that a person may have typed: too long texts are cut, and an age or a date that is
    /// none is left out, so that the new object is valid where the old one was not.
    pub(super) fn copy_clean(&mut self, element: &InMemElement) {
        let (tag, vr) = (element.tag(), element.vr());
        match vr {
            VR::LO | VR::SH => {
                let texts = element.to_multi_str().unwrap_or_default();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                self.texts(tag, vr, &texts);
            }
            VR::AS
                if element
                    .to_str()
                    .is_ok_and(|text| text.trim_end().len() != 4) => {}
            VR::DA if element.to_date().is_err() && element.value().multiplicity() > 0 => {}
            _ => self.copy(element),
        }
    }

    /// Whether there is one, with or without a value.
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.0.get(tag).is_some()
    }

    /// One text, cut and cleaned as its VR asks.
    pub(super) fn text(&mut self, tag: Tag, vr: VR, value: &str) -> &mut Self {
        self.put(tag, vr, clean(value, vr));
        self
    }

    /// Several texts.
    pub(super) fn texts(&mut self, tag: Tag, vr: VR, values: &[&str]) -> &mut Self {
        let values = values.iter().map(|value| clean(value, vr)).collect();
        self.put(tag, vr, PrimitiveValue::Strs(values));
        self
    }

    /// An element without a value (type 2).
    pub(super) fn empty(&mut self, tag: Tag, vr: VR) -> &mut Self {
        self.put(tag, vr, PrimitiveValue::Empty);
        self
    }

    pub(super) fn us(&mut self, tag: Tag, values: &[u16]) -> &mut Self {
        self.put(tag, VR::US, PrimitiveValue::U16(values.into()));
        self
    }

    pub(super) fn ul(&mut self, tag: Tag, values: &[u32]) -> &mut Self {
        self.put(tag, VR::UL, PrimitiveValue::U32(values.into()));
        self
    }

    pub(super) fn at(&mut self, tag: Tag, value: Tag) -> &mut Self {
        self.put(tag, VR::AT, PrimitiveValue::Tags([value].as_slice().into()));
        self
    }

    pub(super) fn integer(&mut self, tag: Tag, value: i64) -> &mut Self {
        self.put(tag, VR::IS, value.to_string());
        self
    }

    pub(super) fn double(&mut self, tag: Tag, value: f64) -> &mut Self {
        self.put(tag, VR::FD, PrimitiveValue::from(value));
        self
    }

    pub(super) fn decimals(&mut self, tag: Tag, values: &[f64]) -> &mut Self {
        let values = values.iter().map(|&value| decimal(value)).collect();
        self.put(tag, VR::DS, PrimitiveValue::Strs(values));
        self
    }

    pub(super) fn sequence(&mut self, tag: Tag, items: Vec<Item>) -> &mut Self {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
        self.0
            .put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        self
    }

    /// A sequence of one code (PS3.3 table 8.8-1).
    pub(super) fn code(&mut self, tag: Tag, code: &Code) -> &mut Self {
        use dicom_dictionary_std::tags;
        let mut item = Self::new();
        item.text(tags::CODE_VALUE, VR::SH, &code.value)
            .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, &code.scheme)
            .text(tags::CODE_MEANING, VR::LO, &code.meaning);
        self.sequence(tag, vec![item])
    }
}

/// Characters that a VR holds.
fn limit(vr: VR) -> usize {
    match vr {
        VR::SH | VR::CS => 16,
        VR::LO | VR::UI | VR::PN => 64,
        VR::ST => 1024,
        _ => 10240,
    }
}

/// A text as its VR asks.
fn clean(value: &str, vr: VR) -> String {
    let free = matches!(vr, VR::ST | VR::LT | VR::UT);
    let kept: String = value
        .chars()
        .map(|character| match character {
            '\\' if !free => '/',
            '\n' | '\r' if free => character,
            other if other.is_control() => ' ',
            other => other,
        })
        .collect();
    kept.trim().chars().take(limit(vr)).collect()
}

/// A number in at most 16 characters, as exact as these allow.
pub(super) fn decimal(value: f64) -> String {
    let plain = format!("{value}");
    if plain.len() <= 16 {
        return plain;
    }
    let by_places = (0..=14).rev().map(|places| format!("{value:.places$}"));
    let by_digits = (0..=9).rev().map(|places| format!("{value:.places$e}"));
    // Small numbers keep more digits with an exponent.
    let small = value.abs() < 1e-3;
    let fits = |text: &String| text.len() <= 16;
    let found = if small {
        by_digits.into_iter().find(fits)
    } else {
        by_places.chain(by_digits).find(fits)
    };
    found.unwrap_or_else(|| "0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_and_stay_near() {
        for value in [
            0.0,
            -0.5,
            1.0 / 3.0,
            -123.456_789_012_345_67,
            1e-9 / 3.0,
            -1.234_567_890_123e-5,
            98_765_432.123_456_79,
            -1e300 / 3.0,
        ] {
            let text = decimal(value);
            assert!(text.len() <= 16, "{text}");
            let back: f64 = text.parse().unwrap();
            assert!((back - value).abs() <= 1e-8 * value.abs(), "{value} {text}");
        }
    }

    #[test]
    fn texts_are_cut_and_cleaned() {
        assert_eq!(clean(" a\\b\tc ", VR::LO), "a/b c");
        assert_eq!(clean(&"ä".repeat(70), VR::LO), "ä".repeat(64));
        assert_eq!(clean("a\\b\nc", VR::ST), "a\\b\nc");
    }
}
