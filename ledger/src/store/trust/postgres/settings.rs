//! Settings of PostgreSQL: what the service's connections have, and what is set for the database or for
//! a role, which the connections of others have that are not looked at here.

use std::collections::BTreeSet;

use sqlx::PgPool;

use crate::store::StoreError;
use crate::store::protection::{APP, ERASER, MIGRATOR, OWNER};
use crate::store::trust::{Danger, Trust};

const SETTINGS: &str = "SELECT name, setting FROM pg_settings WHERE name IN \
     ('fsync', 'full_page_writes', 'synchronous_commit', 'zero_damaged_pages', 'data_checksums', \
      'default_transaction_read_only', 'session_replication_role', 'row_security')";
const STANDBY: &str = "SELECT pg_is_in_recovery()";
/// What is set for everybody in this database, for the service's role, and for the roles that may change
/// something. Readers set what they like, and a superuser whom nobody is refused is no service.
const SET: &str = "\
SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END, s.setdatabase <> 0,
    split_part(one, '=', 1), substr(one, strpos(one, '=') + 1)
FROM pg_db_role_setting AS s, UNNEST(s.setconfig) AS one
WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (s.setrole = 0 OR EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = s.setrole AND NOT r.rolsuper AND r.rolcanlogin
       AND (r.rolname = session_user OR EXISTS (SELECT FROM pg_roles AS ours
            WHERE ours.rolname = ANY($1) AND pg_has_role(r.oid, ours.oid, 'MEMBER')))))
ORDER BY 1, 2, 3";
/// Where the ledger is, and where names are looked for: the schemas of the connection, and all that
/// there are.
const PATH: &str = "SELECT coalesce((SELECT c.relnamespace::regnamespace::text FROM pg_class AS c \
         WHERE c.oid = to_regclass('events')), ''), current_schemas(true)::text[], \
     ARRAY(SELECT nspname::text FROM pg_namespace), quote_ident(current_database())";
/// No table has a default, a generated or a counting column: what is recorded is what was written.
const DEFAULTS: &str = "\
SELECT format('%s.%s', c.relname, a.attname) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.oid IN (SELECT to_regclass(name) FROM UNNEST($1::text[]) AS ours (name))
  AND a.attnum > 0 AND NOT a.attisdropped
  AND (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '') ORDER BY 1";

pub(super) async fn look(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    in_force(pool, trust).await?;
    path(pool, trust).await?;
    let defaults: Vec<String> =
        sqlx::query_scalar(DEFAULTS).bind(super::names()).fetch_all(pool).await?;
    if !defaults.is_empty() {
        let columns = defaults.join(", ");
        trust.fault(
            Danger::Triggers,
            format!(
                "the columns {columns} have a default, which no migration gives them: what is recorded \
                 there may be something else; ALTER TABLE ... ALTER ... DROP DEFAULT"
            ),
        );
    }
    Ok(())
}

/// What the connections that look have, which are the service's where the service looks.
async fn in_force(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let settings: Vec<(String, String)> = sqlx::query_as(SETTINGS).fetch_all(pool).await?;
    let is = |name: &str, value: &str| settings.iter().any(|(n, v)| n == name && v == value);
    if is("fsync", "off") {
        let lost = "PostgreSQL runs with fsync=off, so a crash of the machine can lose or damage \
             anything; set fsync = on in postgresql.conf and restart it";
        trust.fault(Danger::Durability, lost);
    }
    if is("full_page_writes", "off") {
        let torn = "PostgreSQL runs with full_page_writes=off, so a crash of the machine can leave \
             half-written pages; set full_page_writes = on in postgresql.conf";
        trust.fault(Danger::Durability, torn);
    }
    if is("synchronous_commit", "off") {
        let lost = "synchronous_commit is off for the service's connections, so an acknowledged \
             event could be lost; set it to on for this database and role (ALTER ROLE ... RESET \
             synchronous_commit)";
        trust.fault(Danger::Durability, lost);
    }
    if is("zero_damaged_pages", "on") {
        let emptied = "PostgreSQL runs with zero_damaged_pages=on, so a damaged page of events is \
             emptied where it is read; turn it off, and restore the page from a backup";
        trust.fault(Danger::Durability, emptied);
    }
    if sqlx::query_scalar(STANDBY).fetch_one(pool).await? {
        let standby = "this PostgreSQL is a standby, a copy that takes nothing; name the primary in \
             the database URL";
        trust.fault(Danger::Standby, standby);
    } else if is("default_transaction_read_only", "on") {
        let only = "default_transaction_read_only is on for the service's connections, so nothing \
             can be recorded; reset it for this database and role";
        trust.fault(Danger::Standby, only);
    }
    let replays = settings.iter().any(|(n, v)| n == "session_replication_role" && v != "origin");
    if replays {
        let replays = "session_replication_role is not origin for these connections, so triggers that \
             do not fire always would not fire; reset it where it is set (ALTER SYSTEM, ALTER DATABASE \
             or ALTER ROLE ... RESET session_replication_role)";
        trust.fault(Danger::Triggers, replays);
    }
    if is("row_security", "off") {
        let refused = "row_security is off for these connections, so what row-level security keeps is \
             refused to the service altogether; reset it where it is set (ALTER SYSTEM, ALTER DATABASE \
             or ALTER ROLE ... RESET row_security)";
        trust.fault(Danger::Rights, refused);
    }
    if is("data_checksums", "off") {
        trust.note(
            "PostgreSQL keeps no data checksums, so a damaged page is found only where it is read \
             and makes no sense; pg_checksums --enable turns them on while the server is stopped",
        );
    }
    Ok(())
}

/// Where names are looked for here, and what is set for the database and for roles.
async fn path(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let (schema, path, there, database): (String, Vec<String>, Vec<String>, String) =
        sqlx::query_as(PATH).fetch_one(pool).await?;
    let schema = schema.trim_matches('"');
    let mut first = path.iter().filter(|name| !name.starts_with("pg_temp"));
    let is_ours = first.next().is_some_and(|name| name == "pg_catalog")
        && first.next().is_some_and(|name| name == schema);
    if !is_ours {
        let path = path.join(", ");
        trust.fault(
            Danger::Triggers,
            format!(
                "the search_path of these connections leads to {path}, and not first to PostgreSQL's own \
                 names and then to the ledger's ({schema}), so a table or a function of another schema \
                 can take the place of one of these; name the ledger's schema alone"
            ),
        );
    }
    let there: BTreeSet<String> = there.into_iter().collect();
    let ours = vec![APP, ERASER, MIGRATOR, OWNER];
    let all: Vec<(String, bool, String, String)> =
        sqlx::query_as(SET).bind(ours).fetch_all(pool).await?;
    let mut harmless = Vec::new();
    for (role, here, name, value) in all {
        let set = Set { role, here, name: name.to_lowercase(), value };
        match set.danger(schema, &there) {
            Some((danger, why)) => trust.fault(danger, format!("{why}; {}", set.undone(&database))),
            None => harmless.push(set.to_string()),
        }
    }
    if !harmless.is_empty() {
        let settings = harmless.join("; ");
        trust.note(format!("settings for this database or its roles: {settings}"));
    }
    Ok(())
}

/// A setting for a database, a role, or a role in a database.
struct Set {
    /// The role; empty is everybody.
    role: String,
    /// Whether it is set for this database alone.
    here: bool,
    name: String,
    value: String,
}

impl Set {
    /// Why it is none that a ledger can be run with; none if it is.
    fn danger(&self, schema: &str, there: &BTreeSet<String>) -> Option<(Danger, String)> {
        let (name, value) = (self.name.as_str(), self.value.to_lowercase());
        let is_off = ["off", "false", "no", "0"].contains(&value.as_str());
        let is_on = ["on", "true", "yes", "1"].contains(&value.as_str());
        let (danger, so) = match name {
            "session_replication_role" if value != "origin" => {
                (Danger::Triggers, "triggers that do not fire always do not fire there")
            }
            "search_path" if !self.leads_to(schema, there) => (
                Danger::Triggers,
                "tables or functions of another schema can take the place of the ledger's there",
            ),
            "row_security" if is_off => {
                (Danger::Rights, "what row-level security keeps is refused there altogether")
            }
            "synchronous_commit" if is_off => {
                (Danger::Durability, "an event that is acknowledged there could be lost")
            }
            "zero_damaged_pages" if is_on => {
                (Danger::Durability, "a damaged page of events is emptied where it is read")
            }
            "default_transaction_read_only" if is_on => {
                (Danger::Standby, "nothing can be recorded there")
            }
            name if name.starts_with("runledger.") => (
                Danger::RowSecurity,
                "a statement that has named no workspace sees rows there all the same",
            ),
            _ => return None,
        };
        // What is set for everybody is looked at where it is in force: the ledger's own connections may
        // have said otherwise.
        let told = matches!(danger, Danger::Durability | Danger::Standby | Danger::Rights);
        if told && self.role.is_empty() {
            return None;
        }
        Some((danger, format!("{self} is set, so that {so}")))
    }

    /// Whether the first schema of this path that is there is the ledger's, and PostgreSQL's own comes
    /// before it. What is set for everybody may be for another application of the same database, and those
    /// of the ledger name theirs in their URL: where a connection that looks is led, is looked at by itself.
    fn leads_to(&self, schema: &str, there: &BTreeSet<String>) -> bool {
        let names = self.value.split(',').map(|name| name.trim().trim_matches('"'));
        let names = names.map(|name| if name == "$user" { &self.role } else { name });
        let names: Vec<&str> = names.filter(|name| there.contains(*name)).collect();
        let first = names.iter().find(|name| **name != "pg_catalog");
        let late = names.iter().position(|name| *name == "pg_catalog").is_some_and(|at| at > 0);
        let leads = first.is_some_and(|first| *first == schema) || self.role.is_empty();
        leads && !late
    }

    /// The statement that takes it back.
    fn undone(&self, database: &str) -> String {
        let reset = format!("RESET {}", self.name);
        match (self.role.as_str(), self.here) {
            ("", true) => format!("ALTER DATABASE {database} {reset}"),
            ("", false) => format!("ALTER ROLE ALL {reset}"),
            (role, true) => format!("ALTER ROLE {role} IN DATABASE {database} {reset}"),
            (role, false) => format!("ALTER ROLE {role} {reset}"),
        }
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Set { role, here, name, value } = self;
        let whom = match (role.as_str(), here) {
            ("", true) => "this database".to_owned(),
            // PostgreSQL: ALTER ROLE ALL SET.
            ("", false) => "every role".to_owned(),
            (role, true) => format!("the role {role} in this database"),
            (role, false) => format!("the role {role}"),
        };
        write!(f, "{name} = {value} for {whom}")
    }
}
