//! Event triggers, which refuse to change what refuses to change the log: also to its owner. Only a
//! superuser may make them, or take them away.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::store::StoreError;

const UNGUARD: &str = "\
DROP EVENT TRIGGER IF EXISTS runledger_guard_ddl;
DROP EVENT TRIGGER IF EXISTS runledger_guard_drop;
DROP FUNCTION IF EXISTS runledger_guard_ddl();
DROP FUNCTION IF EXISTS runledger_guard_drop();";
/// `{schema}` is that of the ledger. What is guarded is told by identity, as in `public.events` or
/// `some_trigger on public.events`.
const GUARD: &str = r"
CREATE FUNCTION runledger_guard_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE object record;
BEGIN
    FOR object IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        IF object.object_identity ~ '(^| on ){schema}\.(events|checkpoints|heads)$'
           OR object.object_identity ~ '^{schema}\.(events_are_immutable|checkpoints_are_immutable|logs_only_grow)\(\)$' THEN
            RAISE EXCEPTION 'the log is guarded: % of % is refused', object.command_tag, object.object_identity
                USING HINT = 'runledger database setup takes the guard away for as long as it migrates';
        END IF;
    END LOOP;
END $$;
CREATE FUNCTION runledger_guard_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE object record;
BEGIN
    FOR object IN SELECT * FROM pg_event_trigger_dropped_objects() LOOP
        IF object.object_identity ~ '(^| on ){schema}\.(events|checkpoints|heads)$'
           OR object.object_identity ~ '^{schema}\.(events_are_immutable|checkpoints_are_immutable|logs_only_grow)\(\)$' THEN
            RAISE EXCEPTION 'the log is guarded: to drop % is refused', object.object_identity
                USING HINT = 'runledger database setup takes the guard away for as long as it migrates';
        END IF;
    END LOOP;
END $$;
CREATE EVENT TRIGGER runledger_guard_ddl ON ddl_command_end EXECUTE FUNCTION runledger_guard_ddl();
CREATE EVENT TRIGGER runledger_guard_drop ON sql_drop EXECUTE FUNCTION runledger_guard_drop();
ALTER EVENT TRIGGER runledger_guard_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER runledger_guard_drop ENABLE ALWAYS;";

/// Refuses DDL on the log from now on.
pub(in crate::store) async fn guard(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<(), StoreError> {
    unguard(&mut *connection).await?;
    sqlx::raw_sql(AssertSqlSafe(statements(schema))).execute(&mut *connection).await?;
    Ok(())
}

/// The statements that make it, for a schema by its name as the database quotes it.
pub(super) fn statements(schema: &str) -> String {
    // In a pattern, each character of the name stands for itself.
    let quoted: String = schema.chars().map(escaped).collect();
    GUARD.replace("{schema}", &quoted)
}

/// One character of a name in a pattern in a quoted text of SQL.
fn escaped(c: char) -> String {
    match c {
        '\'' => "''".to_owned(),
        c if c.is_alphanumeric() || c == '_' || c == '"' => c.to_string(),
        c => format!("\\{c}"),
    }
}

/// Takes the guard away.
pub(in crate::store) async fn unguard(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql(UNGUARD).execute(&mut *connection).await?;
    Ok(())
}
