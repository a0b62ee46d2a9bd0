#![no_main]

use libfuzzer_sys::fuzz_target;
use medsam3_imaging::fuzzing::{Codec, decode};

fuzz_target!(|input: &[u8]| decode(Codec::Jpeg2000, input));
