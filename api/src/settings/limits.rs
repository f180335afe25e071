//! How much may be asked for (specs/0023).

use super::{SettingsError, Sources};
use crate::limits::{LimitSettings, PerSecond};

/// How much may be asked for. An ordinary source is far from all of it.
pub(super) fn read(sources: &Sources<'_>) -> Result<LimitSettings, SettingsError> {
    let rate = |name, default| {
        let wanted = "a whole number from 1 to 1000000, or off";
        sources.or(name, default).read(wanted).map(|PerSecond(rate)| rate)
    };
    let proxies = "addresses and networks with commas between them, such as 10.0.0.0/8,192.0.2.1";
    Ok(LimitSettings {
        token_requests: rate("token_requests", "2000")?,
        token_events: rate("token_events", "20000")?,
        person_requests: rate("person_requests", "100")?,
        address_requests: rate("address_requests", "4000")?,
        trusted_proxies: sources.or("trusted_proxies", "").read(proxies)?,
    })
}
