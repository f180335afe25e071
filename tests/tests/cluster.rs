//! The private PostgreSQL clusters that other tests stand on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use runledger_tests::database::{create_database, create_role};
use runledger_tests::{Cluster, Durability, test_database};
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn a_test_database_is_empty_and_no_other_test_has_it() {
    let (first, second) = (test_database().await, test_database().await);
    assert_ne!(first, second);
    let mut connection = PgConnection::connect(&first).await.unwrap();
    sqlx::query("CREATE TABLE mine (id BIGINT)").execute(&mut connection).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(&first, tables).await, 1);
    assert_eq!(number(&second, tables).await, 0);
}

#[tokio::test]
async fn databases_can_be_made_side_by_side() {
    let base = test_database().await;
    let urls = futures::future::try_join_all((0..8).map(|_| create_database(&base))).await.unwrap();
    let names: std::collections::HashSet<_> = urls.iter().collect();
    assert_eq!(names.len(), 8);
}

#[tokio::test]
async fn a_new_role_signs_in_and_may_nothing() {
    let url = test_database().await;
    let role = create_role(&url).await.unwrap();
    let mut connection = PgConnection::connect(&role.url).await.unwrap();
    let user: String =
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(user, role.name);
    let refused = sqlx::query("CREATE TABLE mine (id BIGINT)").execute(&mut connection).await;
    assert_eq!(
        refused.unwrap_err().as_database_error().unwrap().code().unwrap(),
        "42501",
        "insufficient_privilege"
    );
}

#[tokio::test]
async fn text_sorts_by_language_and_not_by_bytes() {
    let cluster = Cluster::start(Durability::Off).unwrap();
    let url = cluster.create_database().await.unwrap();
    assert_eq!(number(&url, "SELECT ('a' < 'B')::int::bigint").await, 1);
}

#[tokio::test]
async fn durability_decides_whether_a_commit_is_flushed() {
    for (durability, expected) in [(Durability::Off, "off"), (Durability::On, "on")] {
        let cluster = Cluster::start(durability).unwrap();
        let url = cluster.create_database().await.unwrap();
        assert_eq!(setting(&url, "fsync").await, expected);
        // The ledger refuses a database that does not wait for its commits.
        assert_eq!(setting(&url, "synchronous_commit").await, "on");
        assert_eq!(setting(&url, "full_page_writes").await, expected);
    }
}

#[tokio::test]
async fn a_cluster_takes_the_connections_of_many_test_processes_and_none_from_the_network() {
    let cluster = Cluster::start(Durability::Off).unwrap();
    let url = cluster.url("postgres");
    assert_eq!(setting(&url, "max_connections").await, "400");
    assert_eq!(setting(&url, "listen_addresses").await, "");
}

#[test]
fn a_dropped_cluster_leaves_no_server_and_no_directory() {
    let cluster = Cluster::start(Durability::Off).unwrap();
    let home = cluster.home().to_owned();
    let server = server_process(&home);
    assert!(server.exists());
    drop(cluster);
    assert!(!home.exists());
    assert!(!server.exists());
}

#[tokio::test]
async fn a_cluster_whose_owner_was_killed_leaves_no_server_and_no_directory() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_hold-postgres"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(owner.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    assert_eq!(number(url.trim(), "SELECT 1::bigint").await, 1);
    let home = home_of(&url);
    let server = server_process(&home);

    owner.kill().unwrap();
    owner.wait().unwrap();
    // Nobody waits for the guard of a killed owner, so look until it is done.
    let gone = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while home.exists() || server.exists() {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}

async fn number(url: &str, query: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

async fn setting(url: &str, name: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let query = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
    query.fetch_one(&mut connection).await.unwrap()
}

/// The directory that the host of a cluster's URL names.
fn home_of(url: &str) -> PathBuf {
    let host = url.split_once('@').unwrap().1.split_once('/').unwrap().0;
    PathBuf::from(host.replace("%2F", "/"))
}

/// Where the kernel lists the server's process while it runs.
fn server_process(home: &Path) -> PathBuf {
    let pid_file = std::fs::read_to_string(home.join("data/postmaster.pid")).unwrap();
    Path::new("/proc").join(pid_file.lines().next().unwrap())
}
