-- Who may do what. A robot logs in as a role of its own name, which is in gaussvae_robot: it writes
-- and sees its own rows. Who is in gaussvae_reader sees all rows and writes none. Nobody else gets in.

DO $$
DECLARE
    role text;
    tab text;
BEGIN
    FOREACH role IN ARRAY ARRAY['gaussvae_robot', 'gaussvae_reader'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role); -- of the whole server
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO gaussvae_robot', current_database());
    REVOKE ALL ON SCHEMA fleet FROM PUBLIC;
    GRANT USAGE ON SCHEMA fleet TO gaussvae_robot, gaussvae_reader;
    GRANT SELECT ON fleet.migrations TO gaussvae_robot, gaussvae_reader;
    FOREACH tab IN ARRAY ARRAY['parts', 'sessions', 'frames'] LOOP
        EXECUTE format('ALTER TABLE fleet.%I ENABLE ROW LEVEL SECURITY', tab);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON fleet.%I TO gaussvae_robot', tab);
        EXECUTE format('GRANT SELECT ON fleet.%I TO gaussvae_reader', tab);
        EXECUTE format(
            'CREATE POLICY own ON fleet.%I TO gaussvae_robot'
            ' USING (robot = current_user) WITH CHECK (robot = current_user)', tab
        );
        EXECUTE format('CREATE POLICY readers ON fleet.%I FOR SELECT TO gaussvae_reader USING (true)', tab);
    END LOOP;
END
$$;
