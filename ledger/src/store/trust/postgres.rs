//! PostgreSQL: settings, triggers, rights.

mod around;
mod collation;
mod settings;

use sqlx::PgPool;

use super::{Danger, Trust, guard};
use crate::store::StoreError;
use crate::store::postgres::MIGRATIONS;
use crate::store::protection::{APP, Policies, Rights, TABLES, policies};

/// Each trigger of ours, whether it fires always, and whether it and its function are as made.
const TRIGGERS: &str = "\
SELECT made.name, made.relation, t.tgenabled = 'A', t.tgtype = made.kind
       AND t.tgattr::text = '' AND t.tgnargs = 0
       AND substring(pg_get_triggerdef(t.oid) FROM 'WHEN \\((.*)\\) EXECUTE') IS NOT DISTINCT FROM
           CASE made.name WHEN 'heads_only_grow'
               THEN '((new.size < old.size) OR (new.workspace_id <> old.workspace_id))' END
       AND p.prosrc = made.source AND NOT p.prosecdef AND l.lanname = 'plpgsql'
       AND p.proconfig IS NOT DISTINCT FROM
           CASE made.relation WHEN 'events' THEN ARRAY['search_path=pg_catalog, pg_temp'] END
FROM UNNEST($1::text[], $2::text[], $3::smallint[], $4::text[])
     AS made (name, relation, kind, source)
LEFT JOIN pg_trigger AS t ON t.tgrelid = to_regclass(made.relation) AND t.tgname = made.name
LEFT JOIN pg_proc AS p ON p.oid = t.tgfoid LEFT JOIN pg_language AS l ON l.oid = p.prolang";
/// The event triggers of ours that fire always, and what their functions do.
const GUARDS: &str = "SELECT p.prosrc FROM pg_event_trigger AS e JOIN pg_proc AS p ON p.oid = e.evtfoid \
     WHERE e.evtname IN ('runledger_guard_ddl', 'runledger_guard_drop') AND e.evtenabled = 'A' \
       AND e.evttags IS NULL AND NOT p.prosecdef AND p.proconfig IS NULL";
const APPLIED: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
const SCHEMA: &str = "SELECT quote_ident(current_schema())";
/// Whoever signs in may take back what a role was set to, so it is the one who signed in that counts.
const ROLE: &str = "SELECT rolname::text, rolsuper, rolbypassrls, rolcreaterole, \
     has_schema_privilege(rolname, current_schema(), 'CREATE') \
     FROM pg_roles WHERE rolname = session_user";
const OWNERS: &str = "SELECT DISTINCT pg_get_userbyid(c.relowner)::text FROM pg_class AS c \
     WHERE c.oid IN (SELECT to_regclass(name) FROM UNNEST($1::text[]) AS ours (name)) \
       AND pg_has_role(session_user, c.relowner, 'MEMBER') ORDER BY 1";
const TOO_MUCH: &str = "\
SELECT ours.name FROM UNNEST($1::text[], $2::text[]) AS ours (name, withheld)
WHERE has_table_privilege(session_user, to_regclass(ours.name), ours.withheld)
   OR ours.withheld LIKE 'UPDATE%'
      AND has_any_column_privilege(session_user, to_regclass(ours.name), 'UPDATE') ORDER BY 1";
/// Tables that row-level security does not keep, or that have other policies than ours: one that opens
/// them, or one that hides rows from the service.
const OPEN: &str = "\
SELECT ours.name FROM UNNEST($1::text[], $2::text[], $3::text[]) AS ours (name, rule, read_rule)
JOIN pg_class AS c ON c.oid = to_regclass(ours.name)
WHERE NOT c.relrowsecurity OR NOT c.relforcerowsecurity
   OR (SELECT count(*) FROM pg_policy AS p WHERE p.polrelid = c.oid)
      <> CASE WHEN ours.read_rule IS NULL THEN 1 ELSE 2 END
   OR NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'of_workspace'
        AND p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}'
        AND regexp_replace(pg_get_expr(p.polqual, p.polrelid), '[() ]|::text', '', 'g') = ours.rule
        AND regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '[() ]|::text', '', 'g') = ours.rule)
   OR ours.read_rule IS NOT NULL AND NOT EXISTS (SELECT FROM pg_policy AS p
        WHERE p.polrelid = c.oid AND p.polname = 'of_service'
        AND p.polpermissive AND p.polcmd = 'r' AND p.polroles = '{0}'
        AND regexp_replace(pg_get_expr(p.polqual, p.polrelid), '[() ]|::text', '', 'g') = ours.read_rule)
ORDER BY 1";
const TOO_LITTLE: &str = "\
SELECT DISTINCT ours.name FROM UNNEST($1::text[], $2::text[]) AS ours (name, needed)
WHERE NOT coalesce(has_table_privilege(to_regclass(ours.name), ours.needed), false) ORDER BY 1";

/// A trigger as the migrations make it.
struct Made {
    name: &'static str,
    relation: &'static str,
    /// The bits of `pg_trigger.tgtype`: 1 for each row, 2 before, 4 INSERT, 8 DELETE, 16 UPDATE,
    /// 32 TRUNCATE.
    kind: i16,
    /// The body of its function.
    source: &'static str,
}

const EVENTS: &str = r#"
DECLARE
    mark json;
    asked json;
    approved json;
    part json;
    of_stream text;
    archived text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.workspace_id, NEW.position, NEW.aggregate_type, NEW.aggregate_id, NEW.sequence,
            NEW.event_type, NEW.recorded_at, NEW.leaf_hash)
           IS NOT DISTINCT FROM
           (OLD.workspace_id, OLD.position, OLD.aggregate_type, OLD.aggregate_id, OLD.sequence,
            OLD.event_type, OLD.recorded_at, OLD.leaf_hash)
           AND NEW.source IS NULL AND NEW.event_id IS NULL AND NEW.content_hash IS NULL
           AND OLD.aggregate_type IN (1, 2, 3)
           AND position('"erased"'::bytea in NEW.body) > 0 THEN
            mark := convert_from(NEW.body, 'UTF8')::json -> 'erased';
            of_stream := format('SELECT convert_from(body, ''UTF8'')::json FROM %I.%I WHERE workspace_id = $1 '
                'AND aggregate_type = 5 AND aggregate_id = $2 AND sequence = $3 AND event_type = $4',
                TG_TABLE_SCHEMA, TG_TABLE_NAME);
            EXECUTE of_stream INTO asked
                USING NEW.workspace_id, (mark ->> 'erasure')::uuid, 1::bigint, 60::smallint;
            EXECUTE of_stream INTO approved
                USING NEW.workspace_id, (mark ->> 'erasure')::uuid, 2::bigint, 61::smallint;
            EXECUTE of_stream INTO part
                USING NEW.workspace_id, (mark ->> 'erasure')::uuid, (mark ->> 'part')::bigint + 2, 62::smallint;
            IF asked -> 'actor' ->> 'id' <> approved -> 'actor' ->> 'id'
               AND EXISTS (SELECT FROM json_array_elements(part -> 'data' -> 'bodies') AS named
                           WHERE (named ->> 'position')::bigint = NEW.position
                             AND named ->> 'tombstone' = encode(sha256(NEW.body), 'hex')) THEN
                RETURN NEW;
            END IF;
        END IF;
        IF (NEW.workspace_id, NEW.position, NEW.aggregate_type, NEW.aggregate_id, NEW.sequence,
            NEW.event_type, NEW.recorded_at, NEW.leaf_hash, NEW.source, NEW.event_id, NEW.content_hash)
           IS NOT DISTINCT FROM
           (OLD.workspace_id, OLD.position, OLD.aggregate_type, OLD.aggregate_id, OLD.sequence,
            OLD.event_type, OLD.recorded_at, OLD.leaf_hash, OLD.source, OLD.event_id, OLD.content_hash)
           AND OLD.aggregate_type IN (1, 2, 3) THEN
            -- No event has these bytes there: after its aggregate's id comes its type.
            IF position('","archived":"'::bytea in OLD.body) = 54 THEN
                -- The body that a marker stands for comes back: it has the hash that stayed.
                IF sha256('\x00'::bytea || NEW.body) = OLD.leaf_hash THEN
                    RETURN NEW;
                END IF;
            ELSIF position('","archived":"'::bytea in NEW.body) = 54 THEN
                -- A body gives way to a marker, which is written in one way only.
                mark := convert_from(OLD.body, 'UTF8')::json;
                archived := convert_from(substring(NEW.body from 68 for 36), 'UTF8');
                of_stream := format('SELECT convert_from(body, ''UTF8'')::json -> ''data'' FROM %I.%I '
                    'WHERE workspace_id = $1 AND aggregate_type = 6 AND aggregate_id = $2 AND sequence = 1 '
                    'AND event_type = 70', TG_TABLE_SCHEMA, TG_TABLE_NAME);
                EXECUTE of_stream INTO asked USING NEW.workspace_id, archived::uuid;
                IF (asked ->> 'from')::bigint <= NEW.position AND NEW.position < (asked ->> 'to')::bigint
                   AND mark -> 'erased' IS NULL
                   AND convert_from(NEW.body, 'UTF8') = format(
                       '{"aggregate_id":"%s","archived":"%s","schema":%s,"type":"%s"}',
                       OLD.aggregate_id, archived, mark ->> 'schema', mark ->> 'type') THEN
                    RETURN NEW;
                END IF;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'events are immutable: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END "#;
const CHECKPOINTS: &str = "
BEGIN
    RAISE EXCEPTION 'checkpoints are immutable: % is refused', TG_OP;
END ";
const HEADS: &str = "
BEGIN
    RAISE EXCEPTION 'logs only grow: % of a head is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END ";
const MADE: [Made; 7] = [
    Made { name: "events_immutable_rows", relation: "events", kind: 27, source: EVENTS },
    Made { name: "events_immutable_table", relation: "events", kind: 34, source: EVENTS },
    Made { name: "checkpoints_no_change", relation: "checkpoints", kind: 27, source: CHECKPOINTS },
    Made {
        name: "checkpoints_no_truncate",
        relation: "checkpoints",
        kind: 34,
        source: CHECKPOINTS,
    },
    Made { name: "heads_only_grow", relation: "heads", kind: 19, source: HEADS },
    Made { name: "heads_no_delete", relation: "heads", kind: 11, source: HEADS },
    Made { name: "heads_no_truncate", relation: "heads", kind: 34, source: HEADS },
];

/// How it is put right.
const SET_UP: &str = "run `runledger database setup --admin-url URL` as an administrator";

pub(super) async fn look(pool: &PgPool) -> Result<Trust, StoreError> {
    let mut trust = Trust::default();
    settings::look(pool, &mut trust).await?;
    collation::look(pool, &mut trust).await?;
    migrations(pool, &mut trust).await?;
    triggers(pool, &mut trust).await?;
    role(pool, &mut trust).await?;
    rights(pool, &mut trust).await?;
    around::look(pool, &mut trust).await?;
    let Policies { tables, rules, read_rules } = policies();
    let open: Vec<String> =
        sqlx::query_scalar(OPEN).bind(tables).bind(rules).bind(read_rules).fetch_all(pool).await?;
    if !open.is_empty() {
        let tables = open.join(", ");
        trust.fault(
            Danger::RowSecurity,
            format!(
                "row-level security does not keep workspaces apart in {tables}, or is not forced, or \
                 another policy opens them or hides rows; {SET_UP}"
            ),
        );
    }
    Ok(trust)
}

async fn triggers(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let rows: Vec<(String, String, Option<bool>, Option<bool>)> = sqlx::query_as(TRIGGERS)
        .bind(MADE.iter().map(|made| made.name).collect::<Vec<_>>())
        .bind(MADE.iter().map(|made| made.relation).collect::<Vec<_>>())
        .bind(MADE.iter().map(|made| made.kind).collect::<Vec<_>>())
        .bind(MADE.iter().map(|made| made.source).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    for (name, relation, always, as_made) in rows {
        let sentence = match (always, as_made) {
            (Some(true), Some(true)) => continue,
            (None, _) => format!(
                "the trigger {name} of the table {relation} is missing, so history there could be \
                 changed; verify the log (`runledger verify database`), then make it again from \
                 migrations/postgres"
            ),
            (Some(false), _) => format!(
                "the trigger {name} of the table {relation} does not fire always; verify the log \
                 (`runledger verify database`), then ALTER TABLE {relation} ENABLE ALWAYS TRIGGER \
                 {name}"
            ),
            (Some(true), _) => format!(
                "the trigger {name} of the table {relation} is not the one that the migrations \
                 make; verify the log (`runledger verify database`), then make it again from \
                 migrations/postgres"
            ),
        };
        trust.fault(Danger::Triggers, sentence);
    }
    let guards: Vec<String> = sqlx::query_scalar(GUARDS).fetch_all(pool).await?;
    let schema: Option<String> = sqlx::query_scalar(SCHEMA).fetch_one(pool).await?;
    let made = guard::statements(&schema.unwrap_or_default());
    // Those of another schema, or that somebody has put in the place of ours, guard nothing here.
    let guards = guards.iter().filter(|source| made.contains(source.as_str()));
    if guards.count() < 2 {
        trust.note(format!(
            "no event triggers keep the owner of the tables from altering or dropping them; {SET_UP} \
             who is a superuser, where there is one"
        ));
    }
    Ok(())
}

async fn migrations(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let applied: Vec<(i64,)> = sqlx::query_as(APPLIED).fetch_all(pool).await?;
    trust.unknown(&MIGRATIONS, &applied);
    Ok(())
}

async fn role(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let (name, superuser, bypasses, makes_roles, creates): (String, bool, bool, bool, bool) =
        sqlx::query_as(ROLE).fetch_one(pool).await?;
    let instead = format!(
        "give the service a role of its own that is a member of {APP} and of nothing else, and \
         name it in the database URL"
    );
    let mut is = |what: &str| {
        trust.fault(Danger::Role, format!("the service's database role {name} {what}; {instead}"));
    };
    if superuser {
        // Everything else follows from it.
        is("is a superuser, whom nothing is refused");
        return Ok(());
    }
    if bypasses {
        is("bypasses row-level security (BYPASSRLS)");
    }
    if makes_roles {
        is("may make roles (CREATEROLE), and so join the owner of the tables");
    }
    if creates {
        is("may create tables in the schema of the ledger");
    }
    let owners: Vec<String> = sqlx::query_scalar(OWNERS).bind(names()).fetch_all(pool).await?;
    for owner in owners {
        is(&match owner == name {
            true => "owns tables of the ledger, and can switch their triggers off".to_owned(),
            false => format!("is a member of {owner}, which owns tables of the ledger"),
        });
    }
    let withheld: Vec<&str> = TABLES.iter().map(|(_, rights)| rights.withheld()).collect();
    let too_much: Vec<String> =
        sqlx::query_scalar(TOO_MUCH).bind(names()).bind(withheld).fetch_all(pool).await?;
    if !too_much.is_empty() {
        let tables = too_much.join(", ");
        is(&format!("has rights that it must not have on {tables}"));
    }
    Ok(())
}

async fn rights(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let needed = |(table, rights): &(&'static str, Rights)| {
        rights.needed().iter().map(|right| (*table, *right)).collect::<Vec<_>>()
    };
    let (tables, needed): (Vec<&str>, Vec<&str>) = TABLES.iter().flat_map(needed).unzip();
    let missing: Vec<String> =
        sqlx::query_scalar(TOO_LITTLE).bind(tables).bind(needed).fetch_all(pool).await?;
    if !missing.is_empty() {
        let tables = missing.join(", ");
        trust.fault(
            Danger::Rights,
            format!(
                "the service's database role has not the rights that it needs on {tables}; {SET_UP}"
            ),
        );
    }
    Ok(())
}

fn names() -> Vec<&'static str> {
    TABLES.iter().map(|(table, _)| *table).collect()
}
