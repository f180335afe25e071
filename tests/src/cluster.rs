//! A private PostgreSQL cluster that lives no longer than the process that started it.
//!
//! The cluster listens on a Unix socket in a directory of its own and on nothing else. A `sh`
//! guard (`guard.sh`) owns both and waits on a pipe from this process: however the process ends,
//! `kill -9` included, the guard stops the server and deletes the directory. A server that is
//! started as root runs as the user `postgres`, because PostgreSQL refuses to run as root.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::database::{self, DatabaseError};

/// What the server does to survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is flushed to disk: fast, and enough for a test that throws the data away.
    Off,
    /// A commit is on disk when it is answered, as in production. For benchmarks and kill tests.
    On,
}

/// A running cluster. Dropping it stops the server and deletes its data, and waits for both.
#[derive(Debug)]
pub struct Cluster {
    guard: Child,
    home: PathBuf,
}

impl Cluster {
    /// Makes a cluster and starts its server. Blocks until it takes connections: about two
    /// seconds, almost all of it `initdb`.
    ///
    /// # Errors
    /// [`ClusterError`], when there are no server binaries or the server does not start.
    pub fn start(durability: Durability) -> Result<Self, ClusterError> {
        let binaries = server_binaries().ok_or(ClusterError::NoServer)?;
        let mut guard = guard_command(&binaries, durability)?.spawn().map_err(ClusterError::Sh)?;
        match first_answer(&mut guard) {
            Ok(home) => Ok(Cluster { guard, home }),
            Err(error) => {
                stop(&mut guard);
                Err(error)
            }
        }
    }

    /// The URL of `database` on this cluster, signed in as its superuser. The name goes into the
    /// URL as it is: letters, digits and underscores need no encoding.
    pub fn url(&self, database: &str) -> String {
        let host = self.home.to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{host}/{database}")
    }

    /// Makes an empty database with a name that nothing else has, and returns its URL.
    ///
    /// # Errors
    /// [`DatabaseError`], when the server refuses.
    pub async fn create_database(&self) -> Result<String, DatabaseError> {
        database::create_database(&self.url("postgres")).await
    }

    /// The directory of the socket, the data and the server's log (`log`).
    pub fn home(&self) -> &Path {
        &self.home
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        stop(&mut self.guard);
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There are no server binaries on this machine.
    #[error(
        "found no PostgreSQL server: initdb and postgres are neither together on PATH nor \
         in /usr/lib/postgresql/*/bin; install PostgreSQL 15 or later"
    )]
    NoServer,
    /// This is root, and there is nobody to run the server as.
    #[error(
        "PostgreSQL does not run as root, and this machine has no user `postgres` to run it as; \
         make one, or start this as another user"
    )]
    NoUser,
    /// A shell command did not run.
    #[error("could not run a shell command that the PostgreSQL cluster needs")]
    Sh(#[source] io::Error),
    /// `initdb` or the server said no.
    #[error("the private PostgreSQL cluster did not start; it said:\n{0}")]
    Refused(String),
}

/// The directory of the server binaries: on PATH, else the newest in `/usr/lib/postgresql`.
pub fn server_binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(installed_versions(Path::new("/usr/lib/postgresql")))
        .find(|dir| ["initdb", "postgres"].iter().all(|name| dir.join(name).is_file()))
}

/// `ROOT/VERSION/bin` for each version, newest first. 15 is newer than 9.6.
fn installed_versions(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(f64, PathBuf)> = root
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

/// Whether this process runs as root.
///
/// # Errors
/// [`ClusterError::Sh`], when `id` does not run.
pub fn is_root() -> Result<bool, ClusterError> {
    Ok(id(&["-u"])? == Some(0))
}

fn guard_command(binaries: &Path, durability: Durability) -> Result<Command, ClusterError> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", include_str!("guard.sh"), "guard"]).arg(binaries);
    command.args(settings(durability));
    // A directory that the server's user can enter, and no PGDATA or PGHOST of the caller.
    command.current_dir("/").env_clear().env("LC_ALL", "C");
    for name in ["PATH", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Out of the caller's process group, so that a signal to the group leaves the guard to clean up.
    command.process_group(0);
    if is_root()? {
        let user = id(&["-u", "postgres"])?.ok_or(ClusterError::NoUser)?;
        let group = id(&["-g", "postgres"])?.ok_or(ClusterError::NoUser)?;
        command.uid(user).gid(group);
    }
    Ok(command)
}

fn settings(durability: Durability) -> &'static [&'static str] {
    match durability {
        // Every test is a process with pools of its own.
        Durability::Off => &["max_connections = 400", "fsync = off", "full_page_writes = off"],
        Durability::On => &["max_connections = 400"],
    }
}

/// What `id` prints, or none where it knows no such user.
fn id(arguments: &[&str]) -> Result<Option<u32>, ClusterError> {
    let output = Command::new("id")
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .map_err(ClusterError::Sh)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}

/// Waits for the guard's one line, the home directory of a cluster that is ready.
fn first_answer(guard: &mut Child) -> Result<PathBuf, ClusterError> {
    let Some(stdout) = guard.stdout.take() else {
        return Err(ClusterError::Refused("nothing".to_owned()));
    };
    let mut stdout = BufReader::new(stdout);
    let mut answer = String::new();
    stdout.read_line(&mut answer).map_err(ClusterError::Sh)?;
    if let Some(home) = answer.trim_end().strip_prefix("ready ") {
        return Ok(PathBuf::from(home));
    }
    stdout.read_to_string(&mut answer).map_err(ClusterError::Sh)?;
    Err(ClusterError::Refused(answer))
}

/// Closes the pipe and waits until the guard has cleaned up.
fn stop(guard: &mut Child) {
    drop(guard.stdin.take());
    // `wait` fails only for a child that was waited for before: then there is nothing left to do.
    let _ = guard.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_installed_version_is_taken_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "common", "14"] {
            std::fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let found = installed_versions(root.path());
        let expected: Vec<_> =
            ["15", "14", "9.6"].iter().map(|v| root.path().join(v).join("bin")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_refused_start_tells_what_the_server_said() {
        let binaries = server_binaries().unwrap();
        let mut command = guard_command(&binaries, Durability::Off).unwrap();
        let mut guard = command.arg("no_such_setting = 1").spawn().unwrap();
        let error = first_answer(&mut guard).unwrap_err().to_string();
        stop(&mut guard);
        assert!(error.contains("no_such_setting"), "{error}");
    }
}
