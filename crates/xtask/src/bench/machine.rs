//! What the numbers were measured on and with: commit, processor, memory, system, versions.

use std::fs;

use serde_json::{Value, json};

use crate::process::output;
use crate::workspace::Workspace;

/// Everything that a reader needs to compare the report with another one.
pub fn describe(workspace: &Workspace) -> Value {
    let said = |program: &str, words: &[&str]| {
        output(workspace.command(program).args(words)).map(|text| text.trim().to_owned())
    };
    let commit = said("git", &["rev-parse", "HEAD"]).ok();
    let changed = said("git", &["status", "--porcelain"]).is_ok_and(|text| !text.is_empty());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let lock = fs::read_to_string(workspace.path("Cargo.lock")).unwrap_or_default();
    json!({
        "commit": commit,
        "uncommittedChanges": changed,
        "processor": field(&processor, "model name"),
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "memory": field(&memory, "MemTotal"),
        "system": said("uname", &["-srm"]).ok(),
        "rustc": said("rustc", &["--version"]).ok(),
        "node": said("node", &["--version"]).ok(),
        "burn": locked(&lock, "burn"),
        "cubecl": locked(&lock, "cubecl"),
        "wgpu": locked(&lock, "wgpu"),
    })
}

/// The value behind `name :` in a file of `/proc`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn locked(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_versions_are_found() {
        let cpu = "processor\t: 0\nmodel name\t: A Processor @ 2 GHz\n";
        assert_eq!(
            field(cpu, "model name").as_deref(),
            Some("A Processor @ 2 GHz")
        );
        assert_eq!(field(cpu, "absent"), None);
        let lock = "[[package]]\nname = \"burn\"\nversion = \"0.22.1\"\n";
        assert_eq!(locked(lock, "burn").as_deref(), Some("0.22.1"));
    }
}
