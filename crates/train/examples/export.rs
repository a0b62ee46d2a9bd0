//! Measures the newest checkpoint of a run and writes a model folder:
//! `cargo run -p medsam3-train --example export -- configs/default.toml weights/default 2026-11-23 COMMIT "how it was trained"`.

use medsam3_train::export::{About, export};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, target, date, commit, recipe] = arguments.as_slice() else {
        eprintln!("usage: export CONFIG.toml TARGET DATE COMMIT RECIPE");
        std::process::exit(2);
    };
    let about = About {
        date: date.clone(),
        commit: commit.clone(),
        recipe: recipe.clone(),
    };
    match export(config.as_ref(), target.as_ref(), &about) {
        Ok(report) => print!("{}", report.markdown()),
        Err(error) => {
            eprintln!("{}: {error}\n{}", error.code(), error.next_step());
            std::process::exit(1);
        }
    }
}
