use super::*;

fn resolve(flags: &Flags, set: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment = |name: &str| {
        let found = set.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::resolve(flags, &environment)
}

fn file(text: &str) -> (tempfile::TempDir, Flags) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("runledger.toml");
    std::fs::write(&path, text).unwrap();
    (directory, Flags { config: Some(path), ..Flags::default() })
}

const HOME: (&str, &str) = ("HOME", "/home/ada");

#[test]
fn without_a_word_everything_has_a_default() {
    let settings = resolve(&Flags::default(), &[HOME]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7300");
    let file = PathBuf::from("/home/ada/.local/share/runledger/ledger.db");
    assert_eq!(settings.database, StoreUrl::SqliteFile(file));
    assert_eq!(settings.workspace.as_str(), "main");
    assert!(matches!(resolve(&Flags::default(), &[]), Err(SettingsError::NoDataDir)));
    let limits = settings.limits;
    assert_eq!(limits.token_events.map(crate::limits::Rate::per_second), Some(20_000));
    assert_eq!(limits.trusted_proxies, crate::limits::Networks::default());
}

#[test]
fn a_limit_is_a_number_or_off_and_anything_else_is_refused_by_name() {
    let resolve = |value| resolve(&Flags::default(), &[HOME, ("RUNLEDGER_TOKEN_EVENTS", value)]);
    assert_eq!(resolve("off").unwrap().limits.token_events, None);
    let error = resolve("many").unwrap_err().to_string();
    assert!(error.contains("RUNLEDGER_TOKEN_EVENTS") && error.contains("or off"), "{error}");
    let proxies = &[HOME, ("RUNLEDGER_TRUSTED_PROXIES", "proxy.example")];
    let error = super::Settings::resolve(&Flags::default(), &|name| {
        proxies.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    });
    assert!(error.unwrap_err().to_string().contains("trusted_proxies"));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let (_directory, mut flags) = file("listen = '127.0.0.1:1'\nworkspace = 'from-file'");
    let listen = |flags: &Flags, set: &[_]| resolve(flags, set).unwrap().listen.port();
    assert_eq!(listen(&flags, &[HOME]), 1);
    assert_eq!(listen(&flags, &[HOME, ("RUNLEDGER_LISTEN", "127.0.0.1:2")]), 2);
    flags.listen = Some("127.0.0.1:3".to_owned());
    assert_eq!(listen(&flags, &[HOME, ("RUNLEDGER_LISTEN", "127.0.0.1:2")]), 3);
    assert_eq!(resolve(&flags, &[HOME]).unwrap().workspace.as_str(), "from-file");
}

#[test]
fn an_error_names_the_setting_and_where_it_came_from() {
    let flags = Flags { log_format: Some("xml".to_owned()), ..Flags::default() };
    let error = resolve(&flags, &[HOME]).unwrap_err().to_string();
    assert_eq!(
        error,
        "log_format, set by the flag --log-format, must be text or json; it is \"xml\""
    );
    let set = [HOME, ("RUNLEDGER_LISTEN", "nowhere")];
    let error = resolve(&Flags::default(), &set).unwrap_err().to_string();
    assert!(error.starts_with(
        "listen, set by the environment variable RUNLEDGER_LISTEN, must be an address"
    ));
    let (_directory, flags) = file("listen = 7300");
    let error = resolve(&flags, &[HOME]).unwrap_err().to_string();
    assert!(error.contains("runledger.toml"), "{error}");
}

#[test]
fn the_file_may_set_only_settings() {
    let (_directory, flags) = file("listn = '127.0.0.1:1'");
    let error = resolve(&flags, &[HOME]).unwrap_err().to_string();
    assert!(error.contains("`listn`") && error.contains("listen, data_dir"), "{error}");
}

#[test]
fn what_adapters_read_is_a_table_of_its_own_and_a_password_in_it_is_never_shown() {
    let url = "postgres://reader:hunter2@db/domain";
    let text = format!("[adapters]\ndomain_url = '{url}'\nprobes = 'probes.toml'");
    let (_directory, flags) = file(&text);
    let settings = resolve(&flags, &[HOME]).unwrap();
    assert_eq!(settings.adapters.domain_url.as_deref(), Some(url));
    assert_eq!(settings.adapters.probes, Some("probes.toml".into()));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let set = [HOME, ("RUNLEDGER_DOMAIN_URL", "postgres://elsewhere")];
    let settings = resolve(&flags, &set).unwrap();
    assert_eq!(settings.adapters.domain_url.as_deref(), Some("postgres://elsewhere"));

    let set = [HOME, ("RUNLEDGER_DOMAIN_URL", "mysql://root:hunter2@db")];
    let error = resolve(&Flags::default(), &set).unwrap_err().to_string();
    assert!(error.contains("RUNLEDGER_DOMAIN_URL") && !error.contains("hunter2"), "{error}");
    let (_directory, flags) = file("[adapters]\ndomain = 'x'");
    let error = resolve(&flags, &[HOME]).unwrap_err().to_string();
    assert!(error.contains("`adapters.domain`") && error.contains("adapters.domain_url"));
    let (_directory, flags) = file("adapters = 'x'");
    assert!(resolve(&flags, &[HOME]).is_err());
}

#[test]
fn a_database_url_that_cannot_be_used_is_not_shown() {
    let set = [HOME, ("RUNLEDGER_DATABASE_URL", "mysql://root:hunter2@db/x")];
    let error = resolve(&Flags::default(), &set).unwrap_err().to_string();
    assert!(error.contains("database_url") && !error.contains("hunter2"), "{error}");
    let set = [HOME, ("RUNLEDGER_DATABASE_URL", "sqlite:///srv/ledger.db")];
    let settings = resolve(&Flags::default(), &set).unwrap();
    assert_eq!(settings.database, StoreUrl::SqliteFile("/srv/ledger.db".into()));
}

#[test]
fn no_connection_at_all_is_no_limit_that_a_server_could_have() {
    let limit = |value| resolve(&Flags::default(), &[HOME, ("RUNLEDGER_CONNECTIONS", value)]);
    assert_eq!(limit("3").unwrap().connections, 3);
    for value in ["0", "-1", "many", ""] {
        let error = limit(value).unwrap_err().to_string();
        assert!(error.contains("RUNLEDGER_CONNECTIONS") && error.contains("from 1 on"), "{error}");
    }
}

#[test]
fn what_is_waived_is_named_and_nothing_else_can_be() {
    let waived = |value: &str| {
        let flags = Flags { allow_unsafe: Some(value.to_owned()), ..Flags::default() };
        resolve(&flags, &[HOME]).map(|settings| settings.waived)
    };
    assert_eq!(resolve(&Flags::default(), &[HOME]).unwrap().waived, []);
    let both = waived("database-role, durability").unwrap();
    assert_eq!(both, [Danger::Role, Danger::Durability]);
    let error = waived("triggers").unwrap_err().to_string();
    assert!(error.starts_with("allow_unsafe, set by the flag --allow-unsafe, must be"), "{error}");
}
