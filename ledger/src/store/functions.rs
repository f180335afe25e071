//! What is asked of PostgreSQL by functions of the database, which name the workspace themselves
//! (specs/0019): what a lane asks, so that it is one round trip without a transaction around it (a
//! batch that waits three times instead of twice is a third slower), and what is asked of several
//! workspaces, so that it is one question however many they are.

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
CREATE OR REPLACE FUNCTION needs_of_batch(
    of_workspace uuid, run_kind smallint, runs uuid[], kinds smallint[], streams uuid[], sources text[],
    ids text[], claimed bytea[], most bigint, held bytea[]
) RETURNS TABLE (what smallint, run_id uuid, kind smallint, \"number\" bigint, at bigint, bytes bytea,
                 hash bytea, source text, event_id text)
LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(runs) > 0 THEN
        RETURN QUERY SELECT 0::smallint, NULL::uuid, NULL::smallint, a.position, a.recorded_at, a.body,
            a.leaf_hash, NULL::text, NULL::text
        FROM events_of_streams(of_workspace, run_kind, runs) AS a;
    END IF;
    IF cardinality(streams) > 0 THEN
        RETURN QUERY SELECT 1::smallint, a.id, a.kind, a.last, NULL::bigint, NULL::bytea, NULL::bytea,
            NULL::text, NULL::text
        FROM last_sequences(of_workspace, kinds, streams) AS a;
    END IF;
    IF cardinality(ids) > 0 THEN
        RETURN QUERY SELECT 2::smallint, a.aggregate_id, a.aggregate_type, a.position, NULL::bigint,
            NULL::bytea, a.content_hash, a.source, a.event_id
        FROM events_by_ids(of_workspace, sources, ids) AS a;
    END IF;
    IF cardinality(claimed) > 0 THEN
        RETURN QUERY SELECT 3::smallint, a.run_id, NULL::smallint, NULL::bigint, NULL::bigint, a.key,
            NULL::bytea, NULL::text, NULL::text
        FROM claims_of_keys(of_workspace, claimed, most) AS a;
    END IF;
    IF cardinality(held) > 0 THEN
        RETURN QUERY SELECT 4::smallint, a.run_id, NULL::smallint, NULL::bigint, NULL::bigint, a.key,
            NULL::bytea, NULL::text, NULL::text
        FROM held_reservations(of_workspace, held) AS a;
    END IF;
END $$;
REVOKE ALL ON FUNCTION events_of_streams, last_sequences, events_by_ids, claims_of_keys,
    held_reservations, needs_of_batch FROM PUBLIC;
";
/// Several workspaces at a glance. No row of two is seen at a time: they are gone through one by one.
pub(super) const GLANCE: &str = "\
CREATE OR REPLACE FUNCTION runs_at_a_glance(workspaces uuid[])
RETURNS TABLE (of_workspace uuid, of_status smallint, of_outcome smallint, of_actionability smallint,
               counted bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, c.status, c.outcome, c.actionability, sum(c.runs)::bigint
        FROM projections AS p JOIN run_counts AS c
          ON c.workspace_id = p.workspace_id AND c.generation = p.generation
        WHERE p.workspace_id = one AND p.live AND c.runs > 0
        GROUP BY c.status, c.outcome, c.actionability;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION active_at_a_glance(workspaces uuid[], until bigint)
RETURNS TABLE (of_workspace uuid, overdue bigint, unknown bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one,
               (SELECT count(*) FROM runs AS r WHERE r.workspace_id = one
                  AND r.generation = p.generation AND r.status < 2 AND r.deadline <= until),
               (SELECT count(*) FROM runs AS r WHERE r.workspace_id = one
                  AND r.generation = p.generation AND r.status < 2 AND r.deadline IS NULL)
        FROM projections AS p WHERE p.workspace_id = one AND p.live;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION items_at_a_glance(workspaces uuid[])
RETURNS TABLE (of_workspace uuid, of_actionability smallint, counted bigint, oldest bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, c.actionability, c.items,
               (SELECT i.first_settled_at FROM follow_up_items AS i
                WHERE i.workspace_id = one AND i.generation = c.generation
                  AND i.environment = c.environment AND i.actionability = c.actionability
                ORDER BY i.first_settled_at LIMIT 1)
        FROM projections AS p JOIN item_counts AS c
          ON c.workspace_id = p.workspace_id AND c.generation = p.generation
        WHERE p.workspace_id = one AND p.live AND c.items > 0;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION signed_at_a_glance(workspaces uuid[])
RETURNS TABLE (of_workspace uuid, of_size bigint, at bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, max(c.size), max(c.signed_at) FROM checkpoints AS c
        WHERE c.workspace_id = one HAVING count(*) > 0;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION runs_at_a_glance, active_at_a_glance, items_at_a_glance, signed_at_a_glance
    FROM PUBLIC;
";

/// What happened of late in several workspaces, and what is to be looked at first in each.
pub(super) const OF_LATE: &str = "\
CREATE OR REPLACE FUNCTION left_at_a_glance(workspaces uuid[], since bigint)
RETURNS TABLE (of_workspace uuid, of_actionability smallint, counted bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, latest.actionability, count(*)::bigint FROM (
            SELECT r.actionability FROM projections AS p JOIN runs AS r
              ON r.workspace_id = p.workspace_id AND r.generation = p.generation
            WHERE p.workspace_id = one AND p.live AND r.workspace_id = one
              AND r.left_at IS NOT NULL AND r.left_at >= since
            ORDER BY r.left_at DESC LIMIT 5000) AS latest
        GROUP BY latest.actionability;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION recent_at_a_glance(workspaces uuid[], since bigint, piece bigint)
RETURNS TABLE (of_workspace uuid, of_piece bigint, of_outcome smallint, of_actionability smallint,
               counted bigint, oldest bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, ((latest.dispatched_at - since) / piece)::bigint, latest.outcome,
               latest.actionability, count(*)::bigint, min(latest.dispatched_at) FROM (
            SELECT r.dispatched_at, r.outcome, r.actionability FROM projections AS p JOIN runs AS r
              ON r.workspace_id = p.workspace_id AND r.generation = p.generation
            WHERE p.workspace_id = one AND p.live AND r.workspace_id = one
              AND r.dispatched_at >= since
            ORDER BY r.dispatched_at DESC LIMIT 5000) AS latest
        GROUP BY 2, latest.outcome, latest.actionability;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION queues_at_a_glance(workspaces uuid[], until bigint)
RETURNS TABLE (of_workspace uuid, blind_times text, named boolean, started bigint, living bigint,
               waits bigint, waits_since bigint, due bigint, shortest bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, p.blind, q.ever_named, q.last_start,
               (SELECT count(*) FROM worker_queues AS w WHERE w.workspace_id = one
                  AND w.generation = p.generation AND w.connection = q.connection
                  AND w.queue = q.queue AND w.lease_until > until),
               COALESCE(r.waiting, 0), r.since, r.deadline, r.shortest
        FROM projections AS p
        JOIN queues AS q ON q.workspace_id = p.workspace_id AND q.generation = p.generation
        LEFT JOIN (SELECT s.generation, s.connection, s.queue, count(*) AS waiting,
                          min(s.waiting_since) AS since, min(s.deadline) AS deadline,
                          min(s.queue_window) AS shortest
                   FROM runs AS s WHERE s.workspace_id = one AND s.status = 0
                   GROUP BY s.generation, s.connection, s.queue) AS r
          ON r.generation = p.generation AND r.connection = q.connection AND r.queue = q.queue
        WHERE p.workspace_id = one AND p.live;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION oldest_at_a_glance(workspaces uuid[])
RETURNS TABLE (of_workspace uuid, of_actionability smallint, of_operation text, of_subject text,
               of_environment text, counted bigint, settled bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, i.actionability, i.operation, i.subject, i.environment, i.occurrences::bigint,
               i.first_settled_at
        FROM projections AS p JOIN follow_up_items AS i
          ON i.workspace_id = p.workspace_id AND i.generation = p.generation
        WHERE p.workspace_id = one AND p.live AND i.workspace_id = one
        ORDER BY i.first_settled_at, i.item_key LIMIT 6;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION stale_at_a_glance(workspaces uuid[], until bigint)
RETURNS TABLE (of_workspace uuid, of_run uuid, of_operation text, of_subject text, due bigint)
LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOR one IN SELECT DISTINCT asked FROM UNNEST(workspaces) AS asked LOOP
        PERFORM set_config('runledger.workspace', one::text, true);
        RETURN QUERY
        SELECT one, r.run_id, r.operation, r.subject, r.deadline
        FROM projections AS p JOIN runs AS r
          ON r.workspace_id = p.workspace_id AND r.generation = p.generation
        WHERE p.workspace_id = one AND p.live AND r.workspace_id = one
          AND r.status < 2 AND r.deadline <= until
        ORDER BY r.deadline LIMIT 6;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION left_at_a_glance, recent_at_a_glance, queues_at_a_glance, oldest_at_a_glance,
    stale_at_a_glance FROM PUBLIC;
";
