//! Cargo, started from a program that cargo itself may have started.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The manifest of the workspace of `postgres-es`, seen from the root of this one.
pub const POSTGRES_ES: &str = "tests/postgres-es/Cargo.toml";

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A cargo command at the root of the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(arguments).current_dir(root());
    // `cargo run` describes a package to the process that it starts. Build scripts that watch these
    // variables would run again for every package if the description went on to the next cargo.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Where [`POSTGRES_ES`] is built: a directory of its own in the target directory that this program
/// was built into. Its packages are not those of the main workspace, and must not replace them.
///
/// # Errors
/// When the operating system does not say where this program is.
pub fn postgres_es_target() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    // <target>/<profile>/<program>
    let target = program.parent().and_then(Path::parent);
    target
        .map(|target| target.join("postgres-es"))
        .ok_or_else(|| io::Error::other(format!("{} is in no directory", program.display())))
}
