//! `medsam3`: find structures in medical images by their names. Exit code 0 for success, 1 for a failure with its
//! cause, 2 for bad usage, 130 and 143 where a signal ended it.

// They end the program where the output is closed or full; see `terminal`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod terminal;

mod commands;
mod device;
mod failure;
mod kernels;
mod memory;
mod model_folder;
mod parity;
mod progress;
mod results;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Finds structures in medical images by their names ("left lung", "cell nuclei"). Research and teaching only. Not a
/// medical device.
#[derive(Parser)]
#[command(name = "medsam3", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Segment(commands::segment::Arguments),
    Measure(commands::measure::Arguments),
    Serve(commands::serve::Arguments),
    Convert(commands::convert::Arguments),
    Inspect(commands::inspect::Arguments),
    Nifti(commands::nifti::Arguments),
    Parity(commands::parity::Arguments),
    Import(commands::import::Arguments),
    Train(commands::train::Arguments),
    Export(commands::export::Arguments),
    Evaluate(commands::evaluate::Arguments),
    Bench(commands::bench::Arguments),
}

fn main() -> ExitCode {
    memory::survive_file_limits();
    let result = match Arguments::parse().command {
        Command::Segment(arguments) => commands::segment::run(&arguments),
        Command::Measure(arguments) => commands::measure::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Convert(arguments) => commands::convert::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Nifti(arguments) => commands::nifti::run(&arguments),
        Command::Parity(arguments) => commands::parity::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::from(failure::exit_code(&error))
        }
    }
}
