-- Archives (specs/0025): a body may give way to the marker of an archive that holds it, if an order in
-- the log names the range, and may come back in the place of its marker. The leaf hash, and what a
-- repeated report is known by, stay.
--
-- The events of an archive are its stream (aggregate_type 6); its first one is the order. That what
-- comes back is what was recorded SQLite cannot compute: `runledger verify` looks at that.
DROP TRIGGER events_no_update;
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
WHEN NOT coalesce((
    -- An erasure (specs/0024), as before.
    NEW.workspace_id = OLD.workspace_id AND NEW.position = OLD.position
    AND NEW.aggregate_type = OLD.aggregate_type AND NEW.aggregate_id = OLD.aggregate_id
    AND NEW.sequence = OLD.sequence AND NEW.event_type = OLD.event_type
    AND NEW.recorded_at = OLD.recorded_at AND NEW.leaf_hash = OLD.leaf_hash
    AND NEW.source IS NULL AND NEW.event_id IS NULL AND NEW.content_hash IS NULL
    AND OLD.aggregate_type IN (1, 2, 3)
    AND json_valid(CAST(NEW.body AS TEXT))
    AND EXISTS (
        SELECT 1 FROM events AS part, json_each(CAST(part.body AS TEXT), '$.data.bodies') AS named,
                      events AS asked, events AS approved
        WHERE part.workspace_id = NEW.workspace_id AND part.aggregate_type = 5 AND part.event_type = 62
          AND lower(hex(part.aggregate_id)) = replace(CAST(NEW.body AS TEXT) ->> '$.erased.erasure', '-', '')
          AND part.sequence = (CAST(NEW.body AS TEXT) ->> '$.erased.part') + 2
          AND named.value ->> '$.position' = NEW.position
          AND asked.workspace_id = part.workspace_id AND asked.aggregate_type = 5
          AND asked.aggregate_id = part.aggregate_id AND asked.sequence = 1 AND asked.event_type = 60
          AND approved.workspace_id = part.workspace_id AND approved.aggregate_type = 5
          AND approved.aggregate_id = part.aggregate_id AND approved.sequence = 2 AND approved.event_type = 61
          AND CAST(asked.body AS TEXT) ->> '$.actor.id' <> CAST(approved.body AS TEXT) ->> '$.actor.id'
    )
), 0)
AND NOT coalesce((
    -- A body gives way to a marker, which is written in one way only.
    NEW.workspace_id = OLD.workspace_id AND NEW.position = OLD.position
    AND NEW.aggregate_type = OLD.aggregate_type AND NEW.aggregate_id = OLD.aggregate_id
    AND NEW.sequence = OLD.sequence AND NEW.event_type = OLD.event_type
    AND NEW.recorded_at = OLD.recorded_at AND NEW.leaf_hash = OLD.leaf_hash
    AND NEW.source IS OLD.source AND NEW.event_id IS OLD.event_id AND NEW.content_hash IS OLD.content_hash
    AND OLD.aggregate_type IN (1, 2, 3)
    AND json_valid(CAST(NEW.body AS TEXT))
    AND CAST(OLD.body AS TEXT) ->> 'aggregate_type' IS NOT NULL
    AND CAST(OLD.body AS TEXT) -> 'erased' IS NULL
    AND CAST(NEW.body AS TEXT) = '{"aggregate_id":"' || (CAST(OLD.body AS TEXT) ->> 'aggregate_id')
        || '","archived":"' || (CAST(NEW.body AS TEXT) ->> 'archived')
        || '","schema":' || (CAST(OLD.body AS TEXT) ->> 'schema')
        || ',"type":"' || (CAST(OLD.body AS TEXT) ->> 'type') || '"}'
    AND EXISTS (
        SELECT 1 FROM events AS ordered
        WHERE ordered.workspace_id = NEW.workspace_id AND ordered.aggregate_type = 6
          AND ordered.sequence = 1 AND ordered.event_type = 70
          AND lower(hex(ordered.aggregate_id)) = replace(CAST(NEW.body AS TEXT) ->> 'archived', '-', '')
          AND CAST(ordered.body AS TEXT) ->> '$.data.from' <= NEW.position
          AND CAST(ordered.body AS TEXT) ->> '$.data.to' > NEW.position
    )
), 0)
AND NOT coalesce((
    -- A body comes back in the place of its marker.
    NEW.workspace_id = OLD.workspace_id AND NEW.position = OLD.position
    AND NEW.aggregate_type = OLD.aggregate_type AND NEW.aggregate_id = OLD.aggregate_id
    AND NEW.sequence = OLD.sequence AND NEW.event_type = OLD.event_type
    AND NEW.recorded_at = OLD.recorded_at AND NEW.leaf_hash = OLD.leaf_hash
    AND NEW.source IS OLD.source AND NEW.event_id IS OLD.event_id AND NEW.content_hash IS OLD.content_hash
    AND CAST(OLD.body AS TEXT) ->> 'archived' IS NOT NULL
    AND CAST(OLD.body AS TEXT) ->> 'aggregate_type' IS NULL
    AND json_valid(CAST(NEW.body AS TEXT))
    AND CAST(NEW.body AS TEXT) ->> 'position' = NEW.position
    AND CAST(NEW.body AS TEXT) ->> 'sequence' = NEW.sequence
    AND CAST(NEW.body AS TEXT) ->> 'recorded_at' = NEW.recorded_at
    AND CAST(NEW.body AS TEXT) ->> 'aggregate_type' IS NOT NULL
    AND CAST(NEW.body AS TEXT) ->> 'aggregate_id' = CAST(OLD.body AS TEXT) ->> 'aggregate_id'
    AND CAST(NEW.body AS TEXT) ->> 'type' = CAST(OLD.body AS TEXT) ->> 'type'
    AND CAST(NEW.body AS TEXT) -> 'erased' IS NULL
), 0)
BEGIN SELECT RAISE(ABORT, 'events are immutable: UPDATE is refused'); END;

-- The same view as before, with the word for the new kind of stream.
DROP VIEW cqrs_events;
CREATE VIEW cqrs_events AS
SELECT workspace_id,
       CASE aggregate_type WHEN 1 THEN 'run' WHEN 2 THEN 'subject' WHEN 3 THEN 'worker' WHEN 5 THEN 'erasure' WHEN 6 THEN 'archive' ELSE 'workspace' END AS aggregate_type,
       CAST(body AS TEXT) ->> 'aggregate_id' AS aggregate_id,
       sequence,
       CAST(body AS TEXT) ->> 'type' AS event_type,
       CAST(CAST(body AS TEXT) ->> 'schema' AS TEXT) AS event_version,
       CAST(body AS TEXT) AS payload,
       json_object(
           'position', CAST(position AS TEXT),
           'recorded_at', CAST(recorded_at AS TEXT),
           'leaf_hash', lower(hex(leaf_hash)),
           'source', coalesce(CAST(body AS TEXT) ->> 'source', '')
       ) AS metadata
FROM events;
