//! What stands around the tables of a ledger, and was not made by its migrations: whoever rules the
//! database can put a trigger or a rule before a table, another function in the place of one of ours,
//! or give somebody a right. No event is changed by that, but events that come would be.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::{MADE, SET_UP, names};
use crate::store::StoreError;
use crate::store::protection::{self, APP, ERASER, Rights, TABLES};
use crate::store::trust::{Danger, Trust};

/// Triggers and rules that are none of ours, tables that are none, or that others inherit from, and
/// tables that a crash empties.
const FOREIGN: &str = "\
WITH ours AS (SELECT to_regclass(name)::oid AS id, name FROM UNNEST($1::text[]) AS ours (name))
SELECT format('the trigger %s stands at the table %s', t.tgname, ours.name)
FROM ours JOIN pg_trigger AS t ON t.tgrelid = ours.id
WHERE NOT t.tgisinternal AND NOT EXISTS (SELECT FROM UNNEST($2::text[], $3::text[]) AS made (name, relation)
    WHERE made.name = t.tgname AND made.relation = ours.name)
UNION ALL SELECT format('the rule %s stands at the table %s', r.rulename, ours.name)
FROM ours JOIN pg_rewrite AS r ON r.ev_class = ours.id
UNION ALL SELECT format('%s is no table of its own any more', ours.name)
FROM ours JOIN pg_class AS c ON c.oid = ours.id WHERE c.relkind <> 'r'
UNION ALL SELECT format('the table %s is emptied by a crash (UNLOGGED)', ours.name)
FROM ours JOIN pg_class AS c ON c.oid = ours.id WHERE c.relkind = 'r' AND c.relpersistence <> 'p'
UNION ALL SELECT format('the table %s has or is a part of another table (INHERITS)', ours.name)
FROM ours WHERE EXISTS (SELECT FROM pg_inherits AS i WHERE ours.id IN (i.inhparent, i.inhrelid))
ORDER BY 1";
/// Functions of ours that are gone, have other bodies or other rights, or a namesake.
const FUNCTIONS: &str = "\
SELECT made.name FROM UNNEST($1::text[], $2::text[], $3::boolean[]) AS made (name, source, definer)
WHERE 1 <> (SELECT count(*) FROM pg_proc AS p WHERE p.proname = made.name
            AND p.pronamespace = current_schema()::regnamespace)
   OR NOT EXISTS (SELECT FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
       WHERE p.proname = made.name AND p.pronamespace = current_schema()::regnamespace
         AND p.prosrc = made.source AND p.prosecdef = made.definer AND l.lanname = 'plpgsql'
         AND (p.proconfig IS NULL
              OR made.definer AND cardinality(p.proconfig) = 1 AND p.proconfig[1] LIKE 'search_path=%'))
ORDER BY 1";
const OWNERS: &str = "\
SELECT DISTINCT pg_get_userbyid(c.relowner)::text FROM pg_class AS c
WHERE c.oid IN (SELECT to_regclass(name) FROM UNNEST($1::text[]) AS ours (name))
UNION SELECT pg_get_userbyid(p.proowner)::text FROM pg_proc AS p
WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = ANY($2) ORDER BY 1";
/// Who beside the owner may do what with which table, or with which column of it.
const GIVEN: &str = "\
WITH ours AS (SELECT c.oid, c.relname::text AS name, c.relowner, c.relacl FROM pg_class AS c
    WHERE c.oid IN (SELECT to_regclass(name) FROM UNNEST($1::text[]) AS ours (name))),
given AS (SELECT ours.name, '' AS part, ours.relowner, acl.grantee, acl.privilege_type
    FROM ours, aclexplode(ours.relacl) AS acl
    UNION ALL SELECT ours.name, a.attname::text, ours.relowner, acl.grantee, acl.privilege_type
    FROM ours JOIN pg_attribute AS a ON a.attrelid = ours.oid, aclexplode(a.attacl) AS acl)
SELECT name, part, CASE grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(grantee)::text END,
    privilege_type FROM given WHERE grantee <> relowner ORDER BY 1, 2, 3, 4";
/// The keys and columns that keep one place of a log from being there twice, or half.
const KEYS: &str = "\
SELECT made.line FROM UNNEST($1::text[]) AS made (line) WHERE made.line NOT IN (
    SELECT format('%s (%s)%s', c.relname,
        (SELECT string_agg(a.attname, ', ' ORDER BY part.place)
         FROM UNNEST(i.indkey::smallint[]) WITH ORDINALITY AS part (number, place)
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = part.number),
        ' WHERE ' || pg_get_expr(i.indpred, i.indrelid))
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
    WHERE i.indisunique AND i.indisvalid AND i.indimmediate
      AND c.relnamespace = current_schema()::regnamespace)
ORDER BY 1";
const NULLABLE: &str = "\
SELECT format('%s.%s', c.relname, a.attname) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.oid IN (SELECT to_regclass(name) FROM UNNEST($1::text[]) AS ours (name))
  AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.attnotnull
  AND a.attname NOT IN ('source', 'event_id', 'content_hash') ORDER BY 1";

/// The tables of the log itself.
const OF_LOG: [&str; 5] = ["events", "heads", "checkpoints", "tile_hashes", "workspaces"];
const UNIQUE: [&str; 8] = [
    "events (workspace_id, position)",
    "events (workspace_id, aggregate_type, aggregate_id, sequence)",
    "events (workspace_id, source, event_id) WHERE (event_id IS NOT NULL)",
    "heads (workspace_id)",
    "checkpoints (workspace_id, size, signed_at)",
    "tile_hashes (workspace_id, level, place)",
    "workspaces (workspace_id)",
    "workspaces (name)",
];

pub(super) async fn look(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let foreign: Vec<String> = sqlx::query_scalar(FOREIGN)
        .bind(names())
        .bind(MADE.iter().map(|made| made.name).collect::<Vec<_>>())
        .bind(MADE.iter().map(|made| made.relation).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    for what in foreign {
        trust.fault(
            Danger::Triggers,
            format!(
                "{what}, which no migration makes: what is recorded or read there may be something \
                 else; verify the log (`runledger verify database`), then take it away"
            ),
        );
    }
    functions(pool, trust).await?;
    keys(pool, trust).await?;
    given(pool, trust).await
}

async fn functions(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let made = protection::functions();
    let other: Vec<String> = sqlx::query_scalar(FUNCTIONS)
        .bind(made.iter().map(|made| made.name).collect::<Vec<_>>())
        .bind(made.iter().map(|made| made.source).collect::<Vec<_>>())
        .bind(made.iter().map(|made| made.definer).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    for name in other {
        trust.fault(
            Danger::Triggers,
            format!(
                "the function {name} is not the one of this version, or there are several: what it \
                 records or answers may be something else; verify the log (`runledger verify \
                 database`), then {SET_UP}"
            ),
        );
    }
    let owners: Vec<String> = sqlx::query_scalar(OWNERS)
        .bind(names())
        .bind(&protection::FUNCTIONS[..])
        .fetch_all(pool)
        .await?;
    if owners.len() > 1 {
        let owners = owners.join(", ");
        trust.fault(
            Danger::Triggers,
            format!(
                "the tables and functions belong to several roles ({owners}), each of which can alter \
                 its own; {SET_UP}"
            ),
        );
    }
    Ok(())
}

async fn keys(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let gone: Vec<String> = sqlx::query_scalar(KEYS).bind(&UNIQUE[..]).fetch_all(pool).await?;
    for key in gone {
        trust.fault(
            Danger::Triggers,
            format!(
                "nothing keeps {key} unique, so the same place could be recorded twice; make the \
                 index again from migrations/postgres"
            ),
        );
    }
    let empty: Vec<String> = sqlx::query_scalar(NULLABLE).bind(&OF_LOG[..]).fetch_all(pool).await?;
    if !empty.is_empty() {
        let columns = empty.join(", ");
        trust.fault(
            Danger::Triggers,
            format!(
                "the columns {columns} may be empty (NULL), or no migration makes them; make them \
                 again as in migrations/postgres"
            ),
        );
    }
    Ok(())
}

/// Rights that `database setup` gives nobody.
async fn given(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(GIVEN).bind(names()).fetch_all(pool).await?;
    let mut too_much: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (table, column, who, right) in rows {
        let known = TABLES.iter().find(|(name, _)| *name == table);
        if known.is_none_or(|(_, rights)| !may(&table, *rights, &column, &who, &right)) {
            let part = if column.is_empty() { String::new() } else { format!(" ({column})") };
            too_much.entry((who, table)).or_default().push(format!("{right}{part}"));
        }
    }
    for ((who, table), rights) in too_much {
        let rights = rights.join(", ");
        trust.fault(
            Danger::Grants,
            format!(
                "{who} may {rights} the table {table}, which no setup gives; REVOKE it, or {SET_UP}"
            ),
        );
    }
    Ok(())
}

/// Whether a right is one that `database setup` gives, or one to read that harms nothing.
fn may(table: &str, rights: Rights, column: &str, who: &str, right: &str) -> bool {
    let heads = ["size", "last_recorded_at", "frontier"];
    let bodies = ["body", "source", "event_id", "content_hash"];
    match (who, right) {
        (_, "SELECT") if rights != Rights::Access || who == APP => true,
        (APP, "INSERT") => column.is_empty(),
        (APP, "UPDATE") if rights == Rights::Head => heads.contains(&column),
        (APP, "UPDATE" | "DELETE") => matches!(rights, Rights::Work | Rights::Access),
        (ERASER, "UPDATE") => table == "events" && bodies.contains(&column),
        _ => false,
    }
}
