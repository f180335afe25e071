//! Values of settings, read as what they are to be.

use std::path::PathBuf;

use runledger_ledger::store::StoreUrl;
use runledger_ledger::store::trust::Danger;

use super::{Given, LogFormat, SettingsError};

impl Given {
    pub(super) fn read<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, SettingsError> {
        self.value.parse().map_err(|_| self.bad(wanted))
    }

    pub(super) fn bad(&self, wanted: &str) -> SettingsError {
        SettingsError::Bad {
            name: self.name,
            origin: self.origin.clone(),
            wanted: wanted.to_owned(),
            value: Some(self.value.clone()),
        }
    }

    pub(super) fn directories(&self) -> Vec<PathBuf> {
        self.value.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }

    pub(super) fn days(self) -> Result<u32, SettingsError> {
        self.read("a whole number of days")
    }

    pub(super) fn connections(&self) -> Result<usize, SettingsError> {
        let wanted = "a whole number from 1 on";
        match self.read(wanted)? {
            0 => Err(self.bad(wanted)),
            connections => Ok(connections),
        }
    }

    pub(super) fn waived(&self) -> Result<Vec<Danger>, SettingsError> {
        const WAIVABLE: [Danger; 2] = [Danger::Durability, Danger::Role];
        let points = self.value.split(',').map(str::trim).filter(|point| !point.is_empty());
        let read = |point| WAIVABLE.into_iter().find(|danger| danger.waiver() == Some(point));
        let wanted = "durability, database-role, or both with a comma between them";
        points.map(|point| read(point).ok_or_else(|| self.bad(wanted))).collect()
    }

    pub(super) fn database(&self) -> Result<StoreUrl, SettingsError> {
        let url = self.value.as_str();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(StoreUrl::Postgres(url.to_owned()));
        }
        let file = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        match file.filter(|file| !file.is_empty() && !file.starts_with(':')) {
            Some(file) => Ok(StoreUrl::SqliteFile(file.into())),
            // A URL may hold a password, so it is not shown.
            None => Err(SettingsError::Bad {
                name: self.name,
                origin: self.origin.clone(),
                wanted: "postgres://USER:PASSWORD@HOST/DATABASE or sqlite:FILE".to_owned(),
                value: None,
            }),
        }
    }

    /// A URL may hold a password, so none is ever shown.
    pub(super) fn domain_url(self) -> Result<String, SettingsError> {
        let url = self.value.as_str();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(self.value);
        }
        Err(SettingsError::Bad {
            name: self.name,
            origin: self.origin,
            wanted: "postgres://ROLE:PASSWORD@HOST/DATABASE, for a role that may only read"
                .to_owned(),
            value: None,
        })
    }

    pub(super) fn log_filter(self) -> Result<String, SettingsError> {
        match tracing_subscriber::EnvFilter::try_new(&self.value) {
            Ok(_) => Ok(self.value),
            Err(_) => Err(self.bad(
                "a level (error, warn, info, debug, trace) or a list of \
                 target=level",
            )),
        }
    }

    pub(super) fn log_format(&self) -> Result<LogFormat, SettingsError> {
        match self.value.as_str() {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(self.bad("text or json")),
        }
    }
}
