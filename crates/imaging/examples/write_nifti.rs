//! The two commands of `medsam3` that `tests/imaging/check_nifti.py` needs, without the model:
//! `inspect --json PATH` and `nifti INPUT --series N --out FILE.nii.gz`.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use medsam3_imaging::series::{Listing, SeriesReport, find, sources_of_paths};
use medsam3_imaging::{ImagingError, write_nifti};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["inspect", "--json", path] => {
            for (index, series) in list(path)?.series.iter().enumerate() {
                let mut report = serde_json::to_value(SeriesReport::of(series))?;
                report["series"] = (index + 1).into();
                println!("{report}");
            }
        }
        ["nifti", path, "--series", number, "--out", out] => {
            let listing = list(path)?;
            let number: usize = number.parse()?;
            let series = listing.series.get(number - 1).ok_or("no such series")?;
            match series.volume() {
                Ok(volume) => write_nifti(&volume, BufWriter::new(File::create(out)?))?,
                Err(error) => {
                    eprintln!("error [{}]: {error}", error.code());
                    std::process::exit(1);
                }
            }
        }
        _ => return Err("usage: inspect --json PATH | nifti PATH --series N --out FILE".into()),
    }
    Ok(())
}

fn list(path: &str) -> Result<Listing, ImagingError> {
    Ok(find(sources_of_paths(&[PathBuf::from(path)])?))
}
