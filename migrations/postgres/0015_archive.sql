-- Archives (specs/0025): a body may give way to the marker of an archive that holds it, if an order in
-- the log names the range, and the very same body may come back in the place of its marker. The leaf
-- hash, and what a repeated report is known by, stay. Erasure (specs/0024) as before; everything else is
-- refused.
--
-- The events of an archive are its stream (aggregate_type 6); its first one is the order.
CREATE OR REPLACE FUNCTION events_are_immutable() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
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
END $$;

-- The same view as before, with the word for the new kind of stream.
CREATE OR REPLACE VIEW cqrs_events AS
SELECT CASE aggregate_type WHEN 1 THEN 'run' WHEN 2 THEN 'subject' WHEN 3 THEN 'worker' WHEN 5 THEN 'erasure' WHEN 6 THEN 'archive' ELSE 'workspace' END AS aggregate_type,
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
