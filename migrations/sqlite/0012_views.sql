-- Lists of runs that people gave a name: the filters of the page, as its URL has them. They say
-- nothing of any run. The views for SQL are on PostgreSQL only: a file has one server, and its API.
CREATE TABLE saved_views (
    workspace_id BLOB    NOT NULL,
    name         TEXT    NOT NULL,
    query        TEXT    NOT NULL,            -- of the page of runs, without a moment and a cursor
    saved_by     TEXT    NOT NULL,
    saved_at     INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, name)
) STRICT, WITHOUT ROWID;
