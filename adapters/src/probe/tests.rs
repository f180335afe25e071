//! What a file of probes may not say, and which addresses a probe may not speak to.

use std::net::IpAddr;

use rstest::rstest;

use super::http::is_public;
use super::*;

const MEANS: &str =
    "[[KIND.means]]\nvalue = \"done\"\ndecision = \"succeeded\"\nreason = \"done\"\n";

fn sql(query: &str) -> Result<Probes, ProbeFault> {
    probe("sql", &format!("query = '''{query}'''\nvalue = \"state\"\n{MEANS}"))
}

fn http(url: &str, more: &str) -> Result<Probes, ProbeFault> {
    probe("http", &format!("url = \"{url}\"\nvalue = \"/state\"\n{more}\n{MEANS}"))
}

fn probe(kind: &str, rest: &str) -> Result<Probes, ProbeFault> {
    let rest = rest.replace("KIND", kind);
    Probes::parse(&format!("[[{kind}]]\nname = \"p\"\nversion = 1\noperations = [\"a.b\"]\n{rest}"))
}

fn why(probes: Result<Probes, ProbeFault>) -> String {
    probes.map(|_| ()).unwrap_err().to_string()
}

#[rstest]
#[case("SELECT 1 FROM x WHERE w = :workspace AND e = :environment", "what tells the run")]
#[case("SELECT 1 FROM x WHERE f = :fingerprint AND w = :workspace", "must use :environment")]
#[case("SELECT 1 FROM x WHERE f = :fingerprint AND e = :environment", "must use :workspace")]
#[case("SELECT ':workspace :environment' FROM x WHERE f = :fingerprint", "must use :workspace")]
#[case("DELETE FROM x WHERE w = :workspace", "begin with SELECT")]
#[case("SELECT 1; DELETE FROM x WHERE w = :workspace", "one statement")]
#[case("SELECT $1, :workspace", "must name its parameters")]
#[case("SELECT :workspac", "parameter :workspac;")]
#[case("SELECT 'never ends :workspace", "does not end")]
#[case("SELECT 1 /* never ends", "does not end")]
fn a_query_that_leaves_its_scope_or_is_no_query_is_refused(
    #[case] query: &str,
    #[case] said: &str,
) {
    let why = why(sql(query));
    assert!(why.contains(said), "{why}");
}

#[test]
fn parameters_are_replaced_and_everything_else_is_left() {
    let probes = sql("WITH a AS (SELECT 1::int, 'it''s :run_id', \":subject_id\" -- :external_id
         /* :oops */) SELECT state FROM x WHERE w = :workspace AND e = :environment \
         AND id = :run_id;")
    .unwrap();
    let statement = sql::SqlProbe::plan(&probes.sql[0]).unwrap();
    for part in [
        "1::int, 'it''s :run_id', \":subject_id\" -- :external_id\n",
        "/* :oops */",
        "w = runledger_case.workspace AND e = runledger_case.environment AND id = \
         runledger_case.run_id\n",
    ] {
        assert!(statement.contains(part), "{part} is not in\n{statement}");
    }
}

#[rstest]
#[case("https://example.org/{workspace}/{environment}", "", "what tells the run")]
#[case("https://example.org/{workspace}/{run_id}", "", "must hold {environment}")]
#[case("https://example.org/{oops}", "", "none of")]
#[case("https://{workspace}.example.org/{environment}/{run_id}", "", "path and query only")]
#[case("http://example.org/{workspace}/{environment}/{run_id}", "", "https://")]
#[case("ftp://example.org/{workspace}/{environment}/{run_id}", "allow_private = true", "https://")]
#[case("https://u:p@example.org/{workspace}/{environment}/{run_id}", "", "no password")]
#[case("https://127.0.0.1/{workspace}/{environment}/{run_id}", "", "private address")]
#[case("https://[::1]/{workspace}/{environment}/{run_id}", "", "private address")]
#[case("https://2130706433/{workspace}/{environment}/{run_id}", "", "private address")]
#[case("https://0x7f.1/{workspace}/{environment}/{run_id}", "", "private address")]
#[case("https://169.254.169.254/{workspace}/{environment}/{run_id}", "", "private address")]
#[case(
    "https://example.org/{workspace}/{environment}/{run_id}",
    "pointers = { x = \"y\" }",
    "JSON pointer"
)]
#[case(
    "https://example.org/{workspace}/{environment}/{run_id}",
    "allow_privat = true",
    "no member"
)]
fn an_address_that_leaves_its_scope_or_its_host_is_refused(
    #[case] url: &str,
    #[case] more: &str,
    #[case] said: &str,
) {
    let why = why(http(url, more));
    assert!(why.contains(said), "{why}");
    assert!(!why.contains("u:p"), "{why}");
}

#[test]
fn a_probe_must_prove_something_and_mean_one_thing() {
    let file = |means: &str| {
        let query = "SELECT 1 FROM x WHERE w = :workspace AND e = :environment AND r = :run_id";
        probe("sql", &format!("query = \"{query}\"\nvalue = \"state\"\n{means}"))
    };
    assert!(why(file("means = []")).contains("proves or observes"));
    assert!(why(file(&MEANS.replace("succeeded", "no_change"))).contains("proves or observes"));
    assert!(why(file(&MEANS.repeat(2))).contains("two meanings"));
    assert!(why(file(&MEANS.replace("\"done\"", "\"Not a word\""))).contains("plain word"));
    let observing = MEANS.replace("succeeded", "no_change") + "observe = \"healthy\"\n";
    assert!(file(&observing).is_ok());
}

#[test]
fn only_addresses_of_the_public_internet_are_public() {
    for private in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(private.parse::<IpAddr>().unwrap()), "{private}");
    }
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.0.1",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ] {
        assert!(is_public(public.parse::<IpAddr>().unwrap()), "{public}");
    }
}

#[tokio::test]
async fn the_example_keeps_the_contract() {
    let probes = Probes::parse(include_str!("../../examples/probes.toml")).unwrap();
    let settings = crate::domain::DomainSettings::new("postgres://nobody@127.0.0.1:1/none");
    let domain = Domain::new(&settings).unwrap();
    let registry = probes.register(crate::built_in(None), Some(&domain)).unwrap();
    let registry = registry.build(&runledger_ledger::catalog::Catalog::built_in()).unwrap();
    assert_eq!(crate::conformance::check(&registry).await, []);
    let idle = probes.register(crate::built_in(None), None).unwrap();
    let idle = idle.build(&runledger_ledger::catalog::Catalog::built_in()).unwrap();
    assert!(idle.adapter("backup.set").unwrap().idle().is_some());
    assert!(idle.adapter("provider.connection").unwrap().idle().is_none());
}
