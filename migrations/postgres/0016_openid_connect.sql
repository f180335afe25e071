-- Who a person is at a provider of identities (specs/0026): an issuer, and what it calls them for good.
-- Nobody is known by an e-mail address or a name that a provider tells.
ALTER TABLE principals ADD COLUMN issuer text;
ALTER TABLE principals ADD COLUMN subject text;
CREATE UNIQUE INDEX principals_identity ON principals (issuer, subject)
    WHERE issuer IS NOT NULL AND removed_at IS NULL;

-- The provider whose groups gave a role, and may take it again; none if somebody gave it by hand.
ALTER TABLE role_grants ADD COLUMN issuer text;
