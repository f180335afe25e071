-- Erasure (specs/0024): the one change that an event may see. Its body gives way to a tombstone, and
-- what was derived from the body in its row goes with it, if an erasure that one person has asked for
-- and another has approved names the position. The leaf hash stays, and so does every proof.
-- Everything else is refused as before.
--
-- The events of an erasure are its stream (aggregate_type 5): 1 asked for, 2 approved, then the parts
-- that name positions. They also name the hash of each tombstone, which SQLite cannot compute: that it
-- is the one that was named, `runledger verify` looks at.
DROP TRIGGER events_no_update;
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
WHEN NOT coalesce((
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
BEGIN SELECT RAISE(ABORT, 'events are immutable: UPDATE is refused'); END;

-- The same view as before, with the word for the new kind of stream.
DROP VIEW cqrs_events;
CREATE VIEW cqrs_events AS
SELECT workspace_id,
       CASE aggregate_type WHEN 1 THEN 'run' WHEN 2 THEN 'subject' WHEN 3 THEN 'worker' WHEN 5 THEN 'erasure' ELSE 'workspace' END AS aggregate_type,
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
