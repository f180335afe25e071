-- What is kept of people beside their passwords (specs/0022): since when somebody cannot sign in, and
-- when they last did.
ALTER TABLE principals ADD COLUMN disabled_at bigint;
ALTER TABLE principals ADD COLUMN signed_in_at bigint;
