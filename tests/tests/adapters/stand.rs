//! A domain database of its own for each test: the documented example, read by its role.

use std::time::Duration;

use runledger_adapters::adapter::Case;
use runledger_adapters::domain::{Domain, DomainSettings};
use runledger_adapters::registry::{Asked, Judged, Registry, Ruling};
use runledger_adapters::{built_in, conformance};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::words::{Name, RunId};
use runledger_tests::database::create_role;
use runledger_tests::test_database;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

pub(crate) struct Stand {
    /// The application's own connections: they may write.
    pub(crate) pool: PgPool,
    /// What the adapters read with.
    pub(crate) settings: DomainSettings,
    /// Their role.
    pub(crate) role: String,
}

impl Stand {
    pub(crate) async fn new() -> Stand {
        let url = test_database().await;
        let role = create_role(&url).await.unwrap();
        let pool = PgPool::connect(&url).await.unwrap();
        // Roles belong to the cluster: this one has another name, and exists already.
        let example = include_str!("../../../adapters/examples/domain.sql")
            .replace(
                "CREATE ROLE runledger_reader LOGIN PASSWORD 'change-me' CONNECTION LIMIT 16;",
                "",
            )
            .replace("runledger_reader", &role.name);
        sqlx::raw_sql(AssertSqlSafe(example)).execute(&pool).await.unwrap();
        let mut settings = DomainSettings::new(role.url);
        settings.statement_timeout = Duration::from_millis(400);
        settings.lock_timeout = Duration::from_millis(200);
        Stand { pool, settings, role: role.name }
    }

    pub(crate) fn domain(&self) -> Domain {
        Domain::new(&self.settings).unwrap()
    }

    pub(crate) fn registry(&self) -> Registry {
        built_in(Some(&self.domain())).build(&Catalog::built_in()).unwrap()
    }

    /// Runs a statement as the application.
    pub(crate) async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    /// Lets the adapters read one more table.
    pub(crate) async fn let_read(&self, table: &'static str) {
        let grant = format!("GRANT SELECT ON {table} TO {}", self.role);
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&self.pool).await.unwrap();
    }

    /// What comes of one run.
    pub(crate) async fn judge(&self, case: Case) -> Asked {
        let mut judged = self.registry().judge(vec![case]).await;
        judged.remove(0).asked.remove(0)
    }

    /// `decision reason related` of one run, or the code of why there is none.
    pub(crate) async fn says(&self, case: Case) -> String {
        said(&self.judge(case).await)
    }
}

pub(crate) fn said(asked: &Asked) -> String {
    match &asked.result {
        Ok(ruling) => in_words(ruling),
        Err(error) => error.code().to_owned(),
    }
}

pub(crate) fn all_said(judged: &[Judged]) -> Vec<String> {
    judged.iter().map(|one| said(&one.asked[0])).collect()
}

fn in_words(ruling: &Ruling) -> String {
    let reconcile = &ruling.commands.reconcile;
    let related = reconcile.related.as_ref().map_or("-".to_owned(), ToString::to_string);
    format!("{} {} {related}", reconcile.decision, reconcile.reason_code)
}

/// A run of `operation` in `main/production`, fresh and running.
pub(crate) fn run_of(operation: &str) -> Case {
    conformance::case(operation).unwrap()
}

pub(crate) fn composing(fingerprint: &str) -> Case {
    let mut case = run_of("environment.review.compose");
    case.run.fingerprint = Some(Name::new(fingerprint).unwrap());
    case
}

pub(crate) fn restoring(number: u128) -> Case {
    Case { run_id: RunId(Uuid::from_u128(number)), ..run_of("restore.execute") }
}
