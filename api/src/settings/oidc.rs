//! Whom to believe about who people are: the table `[oidc]` of the settings file (specs/0026).
//!
//! What is one value may stand in the environment as well (`RUNLEDGER_OIDC_…`), which counts before the
//! file. A value that cannot be used stops the start: nobody is let in by half a configuration.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;
use runledger_ledger::access::{Environments, Role};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Environment, SettingsError, variable};
use crate::private::others_may_read;
use crate::workspaces::WorkspaceName;

/// The table in the settings file.
pub(super) const TABLE: &str = "oidc";
/// Values that may stand in the environment.
const PLAIN: [&str; 8] = [
    "issuer",
    "client_id",
    "client_secret_file",
    "public_url",
    "name",
    "subject_claim",
    "name_claim",
    "groups_claim",
];
/// Claims that somebody can change, that pass from one person to another, or that many have: nobody is
/// known by them.
const FLEETING: [&str; 19] = [
    "aud",
    "iss",
    "azp",
    "tid",
    "hd",
    "nonce",
    "sid",
    "acr",
    "groups",
    "family_name",
    "mail",
    "email",
    "preferred_username",
    "upn",
    "unique_name",
    "name",
    "nickname",
    "given_name",
    "phone_number",
];
/// Most bytes of what the provider is called.
const LONGEST: usize = 200;
/// Most rules about roles.
const MOST_RULES: usize = 200;

/// A provider of identities, and what its word counts for.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The provider, exactly as it names itself.
    pub issuer: String,
    /// What this server is called there.
    pub client_id: String,
    /// What proves that it is this server; none of a public client.
    pub client_secret: Option<Secret>,
    /// Where browsers find this server, without a path. The provider sends them back there.
    pub public_url: Url,
    /// What the button says.
    pub name: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person for good.
    pub subject_claim: String,
    /// Whether somebody whom nobody has made is made when they first sign in.
    pub provision: bool,
    /// The claim that they are called by then.
    pub name_claim: String,
    /// The claim that lists their groups.
    pub groups_claim: String,
    /// Which group has which role. Of those about one workspace the first that fits counts.
    pub roles: Vec<RoleRule>,
}

/// What a group of the provider may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// The group, as the provider writes it.
    pub group: String,
    /// Where.
    #[serde(deserialize_with = "workspace")]
    pub workspace: WorkspaceName,
    /// What.
    #[serde(deserialize_with = "role")]
    pub role: Role,
    /// In which environments; none is the whole workspace.
    #[serde(default)]
    pub environments: Environments,
}

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret of this text.
    pub const fn new(text: String) -> Self {
        Secret(text)
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    issuer: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<String>,
    public_url: Option<String>,
    name: Option<String>,
    scopes: Option<Vec<String>>,
    subject_claim: Option<String>,
    provision: bool,
    name_claim: Option<String>,
    groups_claim: Option<String>,
    roles: Vec<RoleRule>,
}

/// The provider, if anybody has named one.
pub(super) fn read(
    file: Option<&(PathBuf, toml::Table)>,
    environment: Environment<'_>,
) -> Result<Option<OidcSettings>, SettingsError> {
    let table = file.and_then(|(_, table)| table.get(TABLE)).cloned();
    let is_written = table.is_some();
    let mut table = match table {
        None => toml::Table::new(),
        Some(toml::Value::Table(table)) => table,
        Some(_) => return Err(bad("it must be a table")),
    };
    for name in PLAIN {
        if let Some(value) = environment(&variable(&format!("oidc_{name}"))) {
            table.insert(name.to_owned(), toml::Value::String(value));
        }
    }
    match (table.is_empty(), is_written) {
        (true, false) => return Ok(None),
        // Whoever wrote it wants somebody to sign in with it.
        (true, true) => {
            return Err(bad(
                "the table is empty; it needs `issuer`, `client_id` and `public_url`, or take it out",
            ));
        }
        (false, _) => {}
    }
    // The secret has no place in a file that everybody may read.
    if table.contains_key("client_secret") {
        return Err(bad(
            "the client's secret must not stand in the settings file; put it into a file of its \
             own (`client_secret_file`), or into RUNLEDGER_OIDC_CLIENT_SECRET",
        ));
    }
    let written: Written =
        table.try_into().map_err(|error: toml::de::Error| bad(error.message()))?;
    put_together(written, environment("RUNLEDGER_OIDC_CLIENT_SECRET")).map(Some)
}

fn put_together(written: Written, secret: Option<String>) -> Result<OidcSettings, SettingsError> {
    let issuer = needed(written.issuer, "issuer")?;
    check_issuer(&issuer)?;
    let public_url = needed(written.public_url, "public_url")?;
    let public_url = check_public_url(&public_url)?;
    let client_secret = match (secret, written.client_secret_file) {
        (Some(secret), _) => Some(secret),
        (None, Some(file)) => Some(read_secret(Path::new(&file))?),
        (None, None) => None,
    };
    let client_secret = client_secret.map(|secret| secret.trim().to_owned());
    if client_secret.as_ref().is_some_and(String::is_empty) {
        return Err(bad("the client's secret is empty; leave it out for a client without one"));
    }
    let subject_claim = written.subject_claim.unwrap_or_else(|| "sub".to_owned());
    if FLEETING.contains(&subject_claim.as_str()) {
        return Err(bad(format!(
            "`subject_claim` cannot be `{subject_claim}`: it can be changed or pass to somebody \
             else, who would then be let in as them; leave it out, or name a claim that is for good"
        )));
    }
    check_roles(&written.roles)?;
    let name = written.name.unwrap_or_else(|| host(&issuer));
    if name.len() > LONGEST || name.chars().any(char::is_control) {
        return Err(bad(format!("`name` must be one line of at most {LONGEST} bytes")));
    }
    Ok(OidcSettings {
        name,
        issuer,
        client_id: needed(written.client_id, "client_id")?,
        client_secret: client_secret.map(Secret::new),
        public_url,
        scopes: written.scopes.unwrap_or_else(|| vec!["profile".to_owned()]),
        subject_claim,
        provision: written.provision,
        name_claim: written.name_claim.unwrap_or_else(|| "preferred_username".to_owned()),
        groups_claim: written.groups_claim.unwrap_or_else(|| "groups".to_owned()),
        roles: written.roles,
    })
}

fn workspace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WorkspaceName, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let text = String::deserialize(deserializer)?;
    let role = text.parse::<Role>().ok();
    // The others are for programs, which no provider of identities knows.
    role.filter(|role| !matches!(role, Role::Adapter | Role::Reporter)).ok_or_else(|| {
        D::Error::custom(format!(
            "{text:?} is no role for people; it is one of owner, admin, operator, auditor, viewer"
        ))
    })
}

fn needed(value: Option<String>, name: &str) -> Result<String, SettingsError> {
    match value {
        Some(value) if !value.trim().is_empty() => Ok(value),
        _ => Err(bad(format!("`{name}` is missing"))),
    }
}

fn check_issuer(issuer: &str) -> Result<(), SettingsError> {
    let url = Url::parse(issuer).ok().filter(is_safe);
    match url {
        Some(url) if is_of_many(&url) => Err(bad(format!(
            "`issuer` {issuer:?} speaks for every organisation there is; name that of your own, with \
             its tenant's id instead of `common`, `organizations` or `consumers`"
        ))),
        Some(url) if url.query().is_none() && url.fragment().is_none() => Ok(()),
        _ => Err(bad(format!(
            "`issuer` must be the https:// address by which the provider names itself, without a \
             query; it is {issuer:?}"
        ))),
    }
}

/// Whether anybody with an account at Microsoft could sign in: their addresses for no tenant in
/// particular sign nobody's tokens by that name, and whoever has a tenant of their own decides in it
/// what they are called.
fn is_of_many(issuer: &Url) -> bool {
    let microsoft = issuer.host_str().is_some_and(|host| host.contains("microsoftonline"));
    let first = issuer.path_segments().and_then(|mut path| path.next());
    // The last is the tenant of all personal accounts.
    let many = ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"];
    microsoft && first.is_some_and(|one| many.contains(&one))
}

fn check_public_url(text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text).ok().filter(is_safe);
    let plain = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    url.filter(plain).ok_or_else(|| {
        bad(format!(
            "`public_url` must be the https:// address at which browsers find this server, \
             without a path; it is {text:?}"
        ))
    })
}

/// Whether a URL is one that may be spoken to: encrypted, or on this very machine, and without a name
/// and password in it.
pub(crate) fn is_safe(url: &Url) -> bool {
    let encrypted = url.scheme() == "https";
    let here = url.scheme() == "http" && is_loopback(url);
    (encrypted || here) && url.username().is_empty() && url.password().is_none() && url.has_host()
}

/// Whether a URL leads to this very machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn read_secret(path: &Path) -> Result<String, SettingsError> {
    let name = path.display();
    let failed = |error| bad(format!("the client's secret in {name} cannot be read: {error}"));
    if others_may_read(path).map_err(failed)? {
        return Err(bad(format!(
            "others can read the client's secret in {name}; take that right from them: chmod 600"
        )));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn check_roles(rules: &[RoleRule]) -> Result<(), SettingsError> {
    if rules.len() > MOST_RULES {
        return Err(bad(format!("there may be {MOST_RULES} `roles` at most")));
    }
    for RoleRule { group, role, environments, .. } in rules {
        let wrong = |why: &str| Err(bad(format!("the role of the group {group:?} {why}")));
        if group.is_empty() {
            return Err(bad("a group of `roles` has no name"));
        }
        if group.chars().any(char::is_control) {
            return wrong("has a name of more than one line");
        }
        match (role, environments) {
            (Role::Owner | Role::Admin, Some(_)) => {
                return wrong("is for the whole workspace; leave out `environments`");
            }
            (_, Some(all)) if all.is_empty() || all.len() > 64 => {
                return wrong("must name 1 to 64 `environments`, or leave them out");
            }
            _ => {}
        }
    }
    Ok(())
}

fn host(issuer: &str) -> String {
    let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| issuer.to_owned())
}

fn bad(why: impl Into<String>) -> SettingsError {
    SettingsError::Oidc(why.into())
}

impl OidcSettings {
    /// The least that a provider needs, for tests and for a first try.
    ///
    /// # Errors
    /// As when the same stands in the settings file.
    pub fn of(issuer: &str, client_id: &str, public_url: &str) -> Result<Self, SettingsError> {
        let written = Written {
            issuer: Some(issuer.to_owned()),
            client_id: Some(client_id.to_owned()),
            public_url: Some(public_url.to_owned()),
            ..Written::default()
        };
        put_together(written, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "issuer = 'https://id.example/realms/main'\nclient_id = 'runledger'\n\
         public_url = 'https://ledger.example'\n";

    fn parse(text: &str, set: &[(&str, &str)]) -> Result<Option<OidcSettings>, SettingsError> {
        let table: toml::Table = toml::from_str(&format!("[oidc]\n{text}")).unwrap();
        let environment = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(Some(&(PathBuf::from("runledger.toml"), table)), &environment)
    }

    fn refused(text: &str) -> String {
        parse(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn without_a_table_nobody_is_believed() {
        assert!(read(None, &|_| None).unwrap().is_none());
        assert!(refused("").contains("is empty"), "a table of nothing is a mistake");
    }

    #[test]
    fn a_short_table_has_careful_defaults() {
        let settings = parse(WHOLE, &[]).unwrap().unwrap();
        assert_eq!((settings.subject_claim.as_str(), settings.provision), ("sub", false));
        assert_eq!((settings.name.as_str(), settings.roles.len()), ("id.example", 0));
        let set = [("RUNLEDGER_OIDC_CLIENT_SECRET", "hush"), ("RUNLEDGER_OIDC_NAME", "Work")];
        let settings = parse(WHOLE, &set).unwrap().unwrap();
        assert_eq!(settings.client_secret.as_ref().unwrap().expose(), "hush");
        assert_eq!(settings.name, "Work");
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn what_would_let_in_the_wrong_people_is_refused() {
        for claim in FLEETING {
            let error = refused(&format!("{WHOLE}subject_claim = '{claim}'"));
            assert!(error.contains(claim) && error.contains("for good"), "{error}");
        }
        for (wrong, told) in [
            ("issuer = 'http://id.example'\nclient_id = 'a'", "https://"),
            ("issuer = 'https://a:b@id.example'\nclient_id = 'a'", "`issuer`"),
            ("issuer = 'https://id.example?x=1'\nclient_id = 'a'", "`issuer`"),
            ("issuer = 'https://login.microsoftonline.com/common/v2.0'", "tenant's id"),
            ("issuer = 'https://login.microsoftonline.com/organizations/v2.0'", "tenant's id"),
            ("client_id = 'a'", "`issuer` is missing"),
            ("issuer = 'https://id.example'\npublic_url = 'https://a/b'", "`public_url`"),
            ("issuer = 'https://id.example'\npublic_url = 'http://a'", "`public_url`"),
        ] {
            let error = refused(wrong);
            assert!(error.contains(told), "{wrong}: {error}");
        }
        let error = refused(&format!("{WHOLE}client_secret = 'hush'"));
        assert!(error.contains("client_secret_file") && !error.contains("hush"), "{error}");
        assert!(refused(&format!("{WHOLE}isuer = 'x'")).contains("isuer"));
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "hush\n").unwrap();
        let text = format!("{WHOLE}client_secret_file = '{}'", path.display());
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o644);
        let error = refused(&text);
        assert!(error.contains("chmod 600") && !error.contains("hush"), "{error}");
        mode(0o600);
        let settings = parse(&text, &[]).unwrap().unwrap();
        assert_eq!(settings.client_secret.unwrap().expose(), "hush");
    }

    #[test]
    fn a_group_has_a_role_that_a_person_can_have() {
        let rule = |role: &str, more: &str| {
            format!(
                "{WHOLE}[[oidc.roles]]\ngroup = 'g'\nworkspace = 'main'\nrole = '{role}'\n{more}"
            )
        };
        let settings = parse(&rule("viewer", "environments = ['prod']"), &[]).unwrap().unwrap();
        let names = settings.roles[0].environments.clone().unwrap();
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["prod"]);
        for (role, more) in
            [("adapter", ""), ("reporter", ""), ("owner", "environments = ['prod']"), ("boss", "")]
        {
            assert!(parse(&rule(role, more), &[]).is_err(), "{role} {more}");
        }
        assert!(refused(&rule("viewer", "environments = []")).contains("1 to 64"));
    }
}
