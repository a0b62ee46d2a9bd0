//! Pickles that checkpoints are not: each ends in an error, none in a panic, a full stack or a full memory.

use super::*;

fn error(bytes: &[u8]) -> CheckpointError {
    Pickle::read(bytes).map(drop).unwrap_err()
}

/// `module.name` as each protocol spells it.
fn asking_for(module: &str, name: &str) -> Vec<Vec<u8>> {
    let short = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes()].concat();
    vec![
        format!("c{module}\n{name}\n.").into_bytes(),
        [
            b"\x80\x04".as_slice(),
            &short(module),
            &short(name),
            b"\x93.",
        ]
        .concat(),
        format!("(i{module}\n{name}\n.").into_bytes(),
    ]
}

#[test]
fn only_listed_names_may_be_asked_for() {
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("numpy.testing", "rundocs"),
        ("runpy", "_run_code"),
    ] {
        for bytes in asking_for(module, name) {
            let error = error(&bytes);
            assert_eq!(error.code(), "CHECKPOINT-GLOBAL");
            assert!(
                error.to_string().contains(&format!("\"{module}.{name}\"")),
                "{error}"
            );
        }
    }
    for bytes in &asking_for("collections", "OrderedDict")[..2] {
        assert!(Pickle::read(bytes).is_ok());
    }
}

#[test]
fn every_cut_and_every_flipped_byte_ends_in_an_answer() {
    let zip = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/conversion/nested.pt"
    ))
    .unwrap();
    let file = zip_member(&zip);
    assert!(Pickle::read(&file).is_ok());
    for keep in 0..file.len() {
        assert_eq!(error(&file[..keep]).code(), "CHECKPOINT-PICKLE", "{keep}");
    }
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            // Any answer will do, so long as there is one.
            let _ = Pickle::read(&flipped);
        }
    }
}

/// `data.pkl` of a stored archive.
fn zip_member(zip: &[u8]) -> Vec<u8> {
    let archive = rawzip::ZipArchive::from_slice(zip).unwrap();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().unwrap() {
        if entry.file_path().as_ref().ends_with(b"data.pkl") {
            return archive
                .get_entry(entry.wayfinder())
                .unwrap()
                .data()
                .to_vec();
        }
    }
    panic!("no data.pkl");
}

#[test]
fn nesting_and_repetition_cost_no_more_than_their_bytes() {
    // A tuple within a tuple, a million deep: dropping it must not exhaust the stack.
    let mut deep = vec![b')'];
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    drop(Pickle::read(&deep).unwrap());
    // A list that holds itself.
    assert!(Pickle::read(b"]q\x00h\x00a.").is_ok());
    // A tuple doubled thirty times would have a billion leaves.
    let mut doubled = b")".to_vec();
    for _ in 0..30 {
        doubled.extend(b"2\x86");
    }
    doubled.push(b'.');
    assert!(Pickle::read(&doubled).is_ok());
    let many = vec![b'N'; 9_000_000];
    assert!(error(&many).to_string().contains("more objects"));
    // Lengths that the file does not have.
    assert_eq!(error(b"X\xff\xff\xff\xffabc").code(), "CHECKPOINT-PICKLE");
    assert_eq!(
        error(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc").code(),
        "CHECKPOINT-PICKLE"
    );
}

#[test]
fn instructions_out_of_place_are_refused() {
    for bytes in [
        b".".as_slice(),
        b"0.",
        b"1.",
        b"t.",
        b"\x85.",
        b"h\x05.",
        b"Na.",
        b"NNs.",
        b"}(Nu.",
        b"NNR.",
        b")N)R.",
        b"NQ.",
        b"\x93.",
        b"\xff.",
        b"P0\n.",
        b"\x82\x01.",
        b"ctorch\nFloatStorage\n)R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    ] {
        assert_eq!(error(bytes).code(), "CHECKPOINT-PICKLE", "{bytes:?}");
    }
}
