//! What a lane asks PostgreSQL, as functions of the database. Each names its workspace itself
//! (specs/0019), and so is one round trip without a transaction around it: a batch that waits three
//! times instead of twice for the database is a third slower.

/// The append: one statement does it all. The head is advanced if it still has the expected size,
/// and only then the rows go in, and what belongs to them: claims of external ids, and hashes of
/// tiles that they complete.
pub(super) const APPEND: &str = "\
CREATE OR REPLACE FUNCTION append_events(
    of_workspace uuid, expected bigint, next bigint, at bigint, edge bytea, kinds smallint[], ids uuid[],
    sequences bigint[], types smallint[], bodies bytea[], leaves bytea[], sources text[],
    event_ids text[], contents bytea[], claimed bytea[], claimants uuid[], levels smallint[],
    places bigint[], hashes bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE added bigint;
BEGIN
    PERFORM set_config('runledger.workspace', of_workspace::text, true);
    UPDATE heads SET size = next, last_recorded_at = at, frontier = edge
    WHERE workspace_id = of_workspace AND size = expected;
    IF NOT FOUND THEN RETURN 0; END IF;
    INSERT INTO events (workspace_id, position, aggregate_type, aggregate_id, sequence, event_type,
                        recorded_at, body, leaf_hash, source, event_id, content_hash)
    SELECT of_workspace, expected + item.place - 1, item.kind, item.id, item.sequence, item.type,
           at, item.body, item.leaf, item.source, item.event_id, item.content
    FROM UNNEST(kinds, ids, sequences, types, bodies, leaves, sources, event_ids, contents)
         WITH ORDINALITY AS item (kind, id, sequence, type, body, leaf, source, event_id, content, place);
    GET DIAGNOSTICS added = ROW_COUNT;
    IF cardinality(claimed) > 0 THEN
        INSERT INTO correlations (workspace_id, key, run_id)
        SELECT of_workspace, claim.key, claim.run FROM UNNEST(claimed, claimants) AS claim (key, run)
        ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(levels) > 0 THEN
        INSERT INTO tile_hashes (workspace_id, level, place, hash)
        SELECT of_workspace, tile.level, tile.place, tile.hash
        FROM UNNEST(levels, places, hashes) AS tile (level, place, hash)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN added;
END $$;
REVOKE ALL ON FUNCTION append_events FROM PUBLIC;
";

/// What the decisions of a batch need. Each stream, id and key is looked up by itself: every index
/// begins with the workspace, and a planner that has not counted the rows, or not those of a new
/// workspace, would take one index for as good as the other, and compare each event of the
/// workspace with each key.
pub(super) const READS: &str = "\
CREATE OR REPLACE FUNCTION events_of_streams(of_workspace uuid, kind smallint, ids uuid[])
RETURNS TABLE (\"position\" bigint, body bytea, leaf_hash bytea, recorded_at bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('runledger.workspace', of_workspace::text, true);
    RETURN QUERY
    SELECT event.position, event.body, event.leaf_hash, event.recorded_at
    FROM UNNEST(ids) AS asked (id), LATERAL (
        SELECT position, body, leaf_hash, recorded_at, sequence FROM events
        WHERE workspace_id = of_workspace AND aggregate_type = kind AND aggregate_id = asked.id
        ORDER BY sequence OFFSET 0
    ) AS event
    ORDER BY asked.id, event.sequence;
END $$;
CREATE OR REPLACE FUNCTION last_sequences(of_workspace uuid, kinds smallint[], ids uuid[])
RETURNS TABLE (kind smallint, id uuid, last bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('runledger.workspace', of_workspace::text, true);
    RETURN QUERY
    SELECT asked.kind, asked.id, (SELECT max(sequence) FROM events
        WHERE workspace_id = of_workspace AND aggregate_type = asked.kind
          AND aggregate_id = asked.id)
    FROM UNNEST(kinds, ids) AS asked (kind, id);
END $$;
CREATE OR REPLACE FUNCTION events_by_ids(of_workspace uuid, sources text[], ids text[])
RETURNS TABLE (source text, event_id text, \"position\" bigint, content_hash bytea,
               aggregate_type smallint, aggregate_id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('runledger.workspace', of_workspace::text, true);
    RETURN QUERY
    SELECT event.source, event.event_id, event.position, event.content_hash, event.aggregate_type,
           event.aggregate_id
    FROM UNNEST(sources, ids) AS asked (source, event_id), LATERAL (
        SELECT * FROM events
        WHERE workspace_id = of_workspace AND source = asked.source AND event_id = asked.event_id
          AND event_id IS NOT NULL
        OFFSET 0
    ) AS event;
END $$;
CREATE OR REPLACE FUNCTION claims_of_keys(of_workspace uuid, keys bytea[], most bigint)
RETURNS TABLE (key bytea, run_id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('runledger.workspace', of_workspace::text, true);
    RETURN QUERY
    SELECT asked.key, claim.run_id FROM UNNEST(keys) AS asked (key), LATERAL (
        SELECT run_id FROM correlations WHERE workspace_id = of_workspace AND key = asked.key
        ORDER BY run_id LIMIT most
    ) AS claim;
END $$;
CREATE OR REPLACE FUNCTION held_reservations(of_workspace uuid, keys bytea[])
RETURNS TABLE (key bytea, run_id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('runledger.workspace', of_workspace::text, true);
    RETURN QUERY
    SELECT key, run_id FROM reservations WHERE workspace_id = of_workspace AND key = ANY(keys);
END $$;
REVOKE ALL ON FUNCTION events_of_streams, last_sequences, events_by_ids, claims_of_keys,
    held_reservations FROM PUBLIC;
";
