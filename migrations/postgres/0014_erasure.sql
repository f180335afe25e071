-- Erasure (specs/0024): the one change that an event may see. Its body gives way to a tombstone, and
-- what was derived from the body in its row goes with it, if an erasure that one person has asked for
-- and another has approved names the position and the hash of the tombstone. The leaf hash stays, and
-- so does every proof. Everything else is refused as before.
--
-- The events of an erasure are its stream (aggregate_type 5): 1 asked for, 2 approved, then the parts
-- that name positions. Each is found by the unique index of streams.
CREATE OR REPLACE FUNCTION events_are_immutable() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mark json;
    asked json;
    approved json;
    part json;
    of_erasure text;
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
            of_erasure := format('SELECT convert_from(body, ''UTF8'')::json FROM %I.%I WHERE workspace_id = $1 '
                'AND aggregate_type = 5 AND aggregate_id = $2 AND sequence = $3 AND event_type = $4',
                TG_TABLE_SCHEMA, TG_TABLE_NAME);
            EXECUTE of_erasure INTO asked
                USING NEW.workspace_id, (mark ->> 'erasure')::uuid, 1::bigint, 60::smallint;
            EXECUTE of_erasure INTO approved
                USING NEW.workspace_id, (mark ->> 'erasure')::uuid, 2::bigint, 61::smallint;
            EXECUTE of_erasure INTO part
                USING NEW.workspace_id, (mark ->> 'erasure')::uuid, (mark ->> 'part')::bigint + 2, 62::smallint;
            IF asked -> 'actor' ->> 'id' <> approved -> 'actor' ->> 'id'
               AND EXISTS (SELECT FROM json_array_elements(part -> 'data' -> 'bodies') AS named
                           WHERE (named ->> 'position')::bigint = NEW.position
                             AND named ->> 'tombstone' = encode(sha256(NEW.body), 'hex')) THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'events are immutable: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- The same view as before, with the word for the new kind of stream.
CREATE OR REPLACE VIEW cqrs_events AS
SELECT CASE aggregate_type WHEN 1 THEN 'run' WHEN 2 THEN 'subject' WHEN 3 THEN 'worker' WHEN 5 THEN 'erasure' ELSE 'workspace' END AS aggregate_type,
       aggregate_id::text AS aggregate_id,
       sequence,
       convert_from(body, 'UTF8')::json ->> 'type' AS event_type,
       convert_from(body, 'UTF8')::json ->> 'schema' AS event_version,
       convert_from(body, 'UTF8')::json AS payload,
       json_build_object(
           'position', position::text,
           'recorded_at', recorded_at::text,
           'leaf_hash', encode(leaf_hash, 'hex'),
           'source', coalesce(convert_from(body, 'UTF8')::json ->> 'source', '')
       ) AS metadata
FROM events
WHERE workspace_id = current_setting('runledger.workspace')::uuid;
