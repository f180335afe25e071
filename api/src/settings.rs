//! Settings: which there are, where each value came from, and which one counts.
//!
//! One order for all of them: a flag, then the environment (`RUNLEDGER_…`), then the settings
//! file, then the default. A value that cannot be used is refused with its name and its origin; it
//! never falls through to the next one.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use runledger_ledger::store::StoreUrl;
use runledger_ledger::store::trust::Danger;

mod given;
mod limits;
mod oidc;

use crate::limits::LimitSettings;
use crate::workspaces::WorkspaceName;

pub use oidc::{OidcSettings, RoleRule, Secret};
pub(crate) use oidc::{is_loopback, is_safe};

/// What a server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that it answers on.
    pub listen: SocketAddr,
    /// The directory of the token and, without a database URL, of the database.
    pub data_dir: PathBuf,
    /// Where the logs and read models are.
    pub database: StoreUrl,
    /// What is logged, such as `info` or `info,sqlx=warn`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// How many connections may be open at a time; more wait.
    pub connections: usize,
    /// The catalog that new workspaces begin with; none is the built-in one.
    pub catalog: Option<PathBuf>,
    /// The workspace that exists from the first start, and that requests without one mean.
    pub workspace: WorkspaceName,
    /// What is not looked at in the database at the start.
    pub waived: Vec<Danger>,
    /// The policy file that names the witnesses of the logs; none are asked without.
    pub witnesses: Option<PathBuf>,
    /// The public keys of those who may report tokens that were found; nobody may without.
    pub scanners: Option<PathBuf>,
    /// Directories below which archives are looked for, beside the places that the log names.
    pub archives: Vec<PathBuf>,
    /// After how many days bodies are due to be archived; nobody is reminded without.
    pub archive_after_days: Option<u32>,
    /// How much may be asked for.
    pub limits: LimitSettings,
    /// What adapters read.
    pub adapters: AdapterSettings,
    /// The provider of identities that people sign in with; without one, they have passwords.
    pub oidc: Option<OidcSettings>,
}

/// What adapters read. In the file, the table `adapters`.
#[derive(Clone, Default)]
pub struct AdapterSettings {
    /// The URL of the domain database. It may hold a password: it is shown nowhere.
    pub domain_url: Option<String>,
    /// The file of the probes.
    pub probes: Option<PathBuf>,
}

impl fmt::Debug for AdapterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterSettings").field("probes", &self.probes).finish_non_exhaustive()
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings as flags. What is left out is looked for elsewhere.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// A TOML file with settings, named as the flags are, with `_` for `-` [env: RUNLEDGER_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to answer on [env: RUNLEDGER_LISTEN] [default: 127.0.0.1:7300]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The directory of the database and of the administrator's token [env: RUNLEDGER_DATA_DIR]
    /// [default: runledger in $XDG_DATA_HOME, which is ~/.local/share where it is not set]
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// postgres://… or sqlite:FILE [env: RUNLEDGER_DATABASE_URL] [default: ledger.db in the data
    /// directory]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// What to log, such as `debug` or `info,sqlx=warn` [env: RUNLEDGER_LOG] [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log: text or json [env: RUNLEDGER_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// How many connections may be open at a time; more wait [env: RUNLEDGER_CONNECTIONS]
    /// [default: 800]
    #[arg(long, value_name = "NUMBER")]
    pub connections: Option<String>,
    /// The catalog that new workspaces begin with [env: RUNLEDGER_CATALOG] [default: the built-in
    /// one]
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<String>,
    /// The workspace that is made on the first start, and that requests without one mean
    /// [env: RUNLEDGER_WORKSPACE] [default: main]
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// Start although the database is not safe for a ledger in these points, for development and
    /// tests: durability, database-role, or both with a comma [env: RUNLEDGER_ALLOW_UNSAFE]
    #[arg(long, value_name = "POINTS")]
    pub allow_unsafe: Option<String>,
    /// The witnesses that are asked to sign every checkpoint: a policy file (C2SP tlog-policy) whose
    /// `witness` lines have a URL [env: RUNLEDGER_WITNESSES] [default: none]
    #[arg(long, value_name = "FILE")]
    pub witnesses: Option<String>,
    /// How many requests a second the holder of a token may send, ten times as many at once, or
    /// `off` [env: RUNLEDGER_TOKEN_REQUESTS] [default: 2000]
    #[arg(long, value_name = "NUMBER")]
    pub token_requests: Option<String>,
    /// How many events a second the holder of a token may report, ten times as many at once, or
    /// `off` [env: RUNLEDGER_TOKEN_EVENTS] [default: 20000]
    #[arg(long, value_name = "NUMBER")]
    pub token_events: Option<String>,
    /// How many pages a second somebody who is signed in may ask for, ten times as many at once, or
    /// `off` [env: RUNLEDGER_PERSON_REQUESTS] [default: 100]
    #[arg(long, value_name = "NUMBER")]
    pub person_requests: Option<String>,
    /// How many requests a second may come from an address, ten times as many at once, or `off`
    /// [env: RUNLEDGER_ADDRESS_REQUESTS] [default: 4000]
    #[arg(long, value_name = "NUMBER")]
    pub address_requests: Option<String>,
    /// The proxies whose X-Forwarded-For counts: addresses and networks with commas between them
    /// [env: RUNLEDGER_TRUSTED_PROXIES] [default: none]
    #[arg(long, value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// The public keys of secret scanners that may report tokens they found, which revokes them: a
    /// JSON file as they publish it [env: RUNLEDGER_SECRET_SCANNING_KEYS] [default: none]
    #[arg(long, value_name = "FILE")]
    pub secret_scanning_keys: Option<String>,
    /// Directories below which archives are looked for, with colons between them, beside the places
    /// where they were put [env: RUNLEDGER_ARCHIVES] [default: none]
    #[arg(long, value_name = "DIRECTORIES")]
    pub archives: Option<String>,
    /// After how many days `runledger archive list` says that bodies are due to be archived; nothing
    /// is archived by itself [env: RUNLEDGER_ARCHIVE_AFTER_DAYS] [default: never]
    #[arg(long, value_name = "DAYS")]
    pub archive_after_days: Option<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file is not there, or may not be read.
    #[error("the settings file {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The settings file is no TOML.
    #[error("the settings file {} is not TOML", .0.display())]
    NotToml(PathBuf, #[source] toml::de::Error),
    /// The settings file sets what is no setting.
    #[error("the settings file {} sets `{key}`, which is no setting; there are {known}", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it sets.
        key: String,
        /// What it may set.
        known: String,
    },
    /// A value cannot be used.
    #[error("{name}, set by {origin}, must be {wanted}{}", shown(.value))]
    Bad {
        /// The setting.
        name: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// What it should have been.
        wanted: String,
        /// The value; none where it may hold a secret.
        value: Option<String>,
    },
    /// What says who people are cannot be used.
    #[error("[oidc] cannot be used: {0}")]
    Oidc(String),
    /// There is no place for the data.
    #[error(
        "there is no home directory to keep the data in; name a directory with --data-dir or \
         RUNLEDGER_DATA_DIR"
    )]
    NoDataDir,
}

fn shown(value: &Option<String>) -> String {
    value.as_ref().map(|value| format!("; it is {value:?}")).unwrap_or_default()
}

/// Where the value of a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Environment(String),
    /// The settings file.
    File(PathBuf),
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "the flag --{}", name.replace('_', "-")),
            Origin::Environment(name) => write!(f, "the environment variable {name}"),
            Origin::File(path) => write!(f, "the settings file {}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
struct Given {
    name: &'static str,
    value: String,
    origin: Origin,
}

/// The environment as a function, so that a test can give its own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How many connections there may be without a word: with those to the database, they fit into the
/// 1,024 files that a process may usually have open.
const CONNECTIONS: &str = "800";
/// The names of all settings, as they stand in the file.
const NAMES: [&str; 20] = [
    "listen",
    "data_dir",
    "database_url",
    "log",
    "log_format",
    "connections",
    "catalog",
    "workspace",
    "allow_unsafe",
    "witnesses",
    "token_requests",
    "token_events",
    "person_requests",
    "address_requests",
    "trusted_proxies",
    "secret_scanning_keys",
    "archives",
    "archive_after_days",
    ADAPTERS,
    oidc::TABLE,
];
/// The table of what adapters read, and its names.
const ADAPTERS: &str = "adapters";
const ADAPTER_NAMES: [&str; 2] = ["domain_url", "probes"];

impl Settings {
    /// Puts the settings together.
    ///
    /// # Errors
    /// The first setting that cannot be used, by name and origin.
    pub fn resolve(flags: &Flags, environment: Environment<'_>) -> Result<Self, SettingsError> {
        let sources = Sources::new(flags, environment)?;
        let data_dir = match sources.find("data_dir") {
            Some(given) => PathBuf::from(given.value),
            None => default_data_dir(environment).ok_or(SettingsError::NoDataDir)?,
        };
        let database = match sources.find("database_url") {
            Some(given) => given.database()?,
            None => StoreUrl::SqliteFile(data_dir.join("ledger.db")),
        };
        Ok(Settings {
            listen: sources.or("listen", "127.0.0.1:7300").read("an address and a port")?,
            database,
            log: sources.or("log", "info").log_filter()?,
            log_format: sources.or("log_format", "text").log_format()?,
            connections: sources.or("connections", CONNECTIONS).connections()?,
            catalog: sources.find("catalog").map(|given| given.value.into()),
            workspace: sources.or("workspace", "main").read(WorkspaceName::FORM)?,
            waived: sources.or("allow_unsafe", "").waived()?,
            witnesses: sources.find("witnesses").map(|given| given.value.into()),
            scanners: sources.find("secret_scanning_keys").map(|given| given.value.into()),
            archives: sources.or("archives", "").directories(),
            archive_after_days: sources.find("archive_after_days").map(Given::days).transpose()?,
            limits: limits::read(&sources)?,
            adapters: AdapterSettings {
                domain_url: sources.find("domain_url").map(Given::domain_url).transpose()?,
                probes: sources.find("probes").map(|given| given.value.into()),
            },
            oidc: oidc::read(sources.file.as_ref(), environment)?,
            data_dir,
        })
    }

    /// The file of the administrator's token.
    pub fn token_file(&self) -> PathBuf {
        self.data_dir.join("admin-token")
    }
}

/// Where the data of a user go without a word from them.
fn default_data_dir(environment: Environment<'_>) -> Option<PathBuf> {
    let set = |name| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(base.join("runledger"))
}

/// All places where a setting may be.
struct Sources<'a> {
    flags: &'a Flags,
    environment: Environment<'a>,
    file: Option<(PathBuf, toml::Table)>,
}

impl<'a> Sources<'a> {
    fn new(flags: &'a Flags, environment: Environment<'a>) -> Result<Self, SettingsError> {
        let path = match &flags.config {
            Some(path) => Some(path.clone()),
            None => environment(&variable("config")).map(PathBuf::from),
        };
        let file = path.map(|path| read_file(&path).map(|table| (path, table))).transpose()?;
        Ok(Sources { flags, environment, file })
    }

    /// The value that counts, if anybody has set one.
    fn find(&self, name: &'static str) -> Option<Given> {
        let given = |value: String, origin| Given { name, value, origin };
        if let Some(value) = self.flag(name) {
            return Some(given(value.clone(), Origin::Flag(name)));
        }
        let variable = variable(name);
        if let Some(value) = (self.environment)(&variable) {
            return Some(given(value, Origin::Environment(variable)));
        }
        let (path, table) = self.file.as_ref()?;
        let table = match ADAPTER_NAMES.contains(&name) {
            true => table.get(ADAPTERS)?.as_table()?,
            false => table,
        };
        // A value of another type is kept as it is written; reading it then tells what is wrong.
        let value = match table.get(name)? {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(texts) if texts.iter().all(toml::Value::is_str) => {
                let texts: Vec<&str> = texts.iter().filter_map(toml::Value::as_str).collect();
                texts.join(":")
            }
            other => other.to_string(),
        };
        Some(given(value, Origin::File(path.clone())))
    }

    fn or(&self, name: &'static str, default: &str) -> Given {
        let default = || Given { name, value: default.to_owned(), origin: Origin::Default };
        self.find(name).unwrap_or_else(default)
    }

    fn flag(&self, name: &str) -> Option<&'a String> {
        match name {
            "listen" => self.flags.listen.as_ref(),
            "data_dir" => self.flags.data_dir.as_ref(),
            "database_url" => self.flags.database_url.as_ref(),
            "log" => self.flags.log.as_ref(),
            "log_format" => self.flags.log_format.as_ref(),
            "connections" => self.flags.connections.as_ref(),
            "catalog" => self.flags.catalog.as_ref(),
            "workspace" => self.flags.workspace.as_ref(),
            "allow_unsafe" => self.flags.allow_unsafe.as_ref(),
            "witnesses" => self.flags.witnesses.as_ref(),
            "token_requests" => self.flags.token_requests.as_ref(),
            "token_events" => self.flags.token_events.as_ref(),
            "person_requests" => self.flags.person_requests.as_ref(),
            "address_requests" => self.flags.address_requests.as_ref(),
            "trusted_proxies" => self.flags.trusted_proxies.as_ref(),
            "secret_scanning_keys" => self.flags.secret_scanning_keys.as_ref(),
            "archives" => self.flags.archives.as_ref(),
            "archive_after_days" => self.flags.archive_after_days.as_ref(),
            _ => None,
        }
    }
}

/// The environment variable of a setting.
fn variable(name: &str) -> String {
    format!("RUNLEDGER_{}", name.to_ascii_uppercase())
}

fn read_file(path: &Path) -> Result<toml::Table, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| SettingsError::Unreadable(path.to_owned(), error))?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| SettingsError::NotToml(path.to_owned(), error))?;
    let adapters = table.get(ADAPTERS).map(|adapters| match adapters.as_table() {
        Some(adapters) => unknown(adapters, &ADAPTER_NAMES, "adapters."),
        None => Some((ADAPTERS.to_owned(), "[adapters], a table".to_owned())),
    });
    match unknown(&table, &NAMES, "").or(adapters.flatten()) {
        Some((key, known)) => Err(SettingsError::Unknown { path: path.to_owned(), key, known }),
        None => Ok(table),
    }
}

/// What a table sets that is none of `names`, and what it may set.
fn unknown(table: &toml::Table, names: &[&str], within: &str) -> Option<(String, String)> {
    let key = table.keys().find(|key| !names.contains(&key.as_str()))?;
    let known: Vec<String> = names.iter().map(|name| format!("{within}{name}")).collect();
    Some((format!("{within}{key}"), known.join(", ")))
}

#[cfg(test)]
mod tests;
