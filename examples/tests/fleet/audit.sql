-- What processes do to rows, written down by the database itself, within the transactions that do it.
CREATE TABLE audit (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    process text NOT NULL DEFAULT current_setting('application_name'),
    pid integer NOT NULL DEFAULT pg_backend_pid(),
    what text NOT NULL,
    job bytea,
    repository bigint,
    -- Epochs, or fences.
    old bigint,
    new bigint,
    -- Statuses, or the table.
    was text,
    is_now text
);
CREATE INDEX audit_by_job ON audit (job, what, seq);
CREATE INDEX audit_by_repository ON audit (repository, what, seq);

CREATE FUNCTION audit_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.leased_until IS NULL AND NEW.leased_until IS NOT NULL THEN
        INSERT INTO audit (what, job, old, new) VALUES ('claimed', NEW.id, OLD.epoch, NEW.epoch);
    ELSIF OLD.epoch <> NEW.epoch THEN
        INSERT INTO audit (what, job, old, new) VALUES ('epoch changed', NEW.id, OLD.epoch, NEW.epoch);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_job AFTER UPDATE ON job FOR EACH ROW EXECUTE FUNCTION audit_job();

CREATE FUNCTION audit_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> NEW.status OR OLD.epoch <> NEW.epoch THEN
        INSERT INTO audit (what, job, repository, old, new, was, is_now)
        VALUES ('task', NEW.id, NEW.repository_id, OLD.epoch, NEW.epoch, OLD.status, NEW.status);
    END IF;
    IF OLD.status = 'running' AND NEW.status <> 'running' THEN
        INSERT INTO audit (what, repository, new, was)
        SELECT 'effect', id, fence, TG_TABLE_NAME FROM repository WHERE id = NEW.repository_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_task AFTER UPDATE ON sync_task FOR EACH ROW EXECUTE FUNCTION audit_task();

CREATE FUNCTION audit_repository() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.fence <> NEW.fence THEN
        INSERT INTO audit (what, repository, old, new, was, is_now)
        VALUES ('fence', NEW.id, OLD.fence, NEW.fence, OLD.status, NEW.status);
    END IF;
    IF (OLD.total_commits, OLD.last_commit, OLD.default_branch, OLD.recorded_refs, OLD.recording, OLD.baseline_digest)
        IS DISTINCT FROM
        (NEW.total_commits, NEW.last_commit, NEW.default_branch, NEW.recorded_refs, NEW.recording, NEW.baseline_digest)
    THEN
        INSERT INTO audit (what, repository, new, was) VALUES ('effect', NEW.id, NEW.fence, TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_repository AFTER UPDATE ON repository FOR EACH ROW EXECUTE FUNCTION audit_repository();

CREATE FUNCTION audit_effect() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO audit (what, repository, new, was)
    SELECT 'effect', id, fence, TG_TABLE_NAME FROM repository WHERE id = touched.repository_id;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_effect AFTER INSERT OR UPDATE OR DELETE ON recorded_ref
    FOR EACH ROW EXECUTE FUNCTION audit_effect();
CREATE TRIGGER audit_effect AFTER INSERT OR UPDATE OR DELETE ON ref_update
    FOR EACH ROW EXECUTE FUNCTION audit_effect();

-- A commit says itself by which fence it was written.
CREATE FUNCTION audit_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what, repository, new, was)
    VALUES ('effect', NEW.repository_id, NEW.recorded_by_fence, TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_commit AFTER INSERT ON git_commit FOR EACH ROW EXECUTE FUNCTION audit_commit();
CREATE TRIGGER audit_effect AFTER UPDATE OR DELETE ON git_commit FOR EACH ROW EXECUTE FUNCTION audit_effect();
