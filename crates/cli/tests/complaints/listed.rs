//! The list of complaints and the tests that stand for them.

use std::path::Path;

/// Every row names a source and a test that is there.
#[test]
fn every_complaint_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = std::fs::read_to_string(root.join("tests/complaints/cases.tsv")).unwrap();
    let mut rows = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[row, complaint, source, right, file, test] = fields.as_slice() else {
            panic!("six fields: {line}");
        };
        for field in [row, complaint, source, right] {
            assert!(!field.trim().is_empty(), "{line}");
        }
        let text =
            std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let defines = |line: &str| line.trim_start().starts_with(&format!("fn {test}("));
        let declared = text.lines().any(defines) || text.contains(&format!("test('{test}'"));
        assert!(declared, "{file} has no test {test}");
        rows += 1;
    }
    assert!(rows > 20, "{rows} rows");
}
