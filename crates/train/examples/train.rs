//! Trains by a configuration: `cargo run -p medsam3-train --example train -- configs/default.toml [--resume]`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let resume = arguments.iter().any(|argument| argument == "--resume");
    let Some(config) = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"))
    else {
        eprintln!("usage: train CONFIG.toml [--resume]");
        std::process::exit(2);
    };
    if let Err(error) = medsam3_train::TrainConfig::read(config.as_ref())
        .and_then(|config| medsam3_train::run(config, resume))
    {
        eprintln!("{}: {error}\n{}", error.code(), error.next_step());
        std::process::exit(1);
    }
}
