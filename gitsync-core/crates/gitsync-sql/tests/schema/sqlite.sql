-- 1: create the tables
CREATE TABLE "organisation" ( "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "slug" text NOT NULL,
    "name" text NOT NULL,
    "created_at" integer NOT NULL );
CREATE UNIQUE INDEX "organisation_slug" ON "organisation" ("slug");
CREATE TABLE "repository" ( "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "organisation_id" integer NOT NULL,
    "name" text NOT NULL,
    "name_folded" text NOT NULL,
    "description" text NOT NULL,
    "owner" text NOT NULL,
    "is_public" boolean NOT NULL,
    "layout" text NOT NULL CHECK ("layout" IN ('mirror', 'bare', 'regular')),
    "source" text,
    "source_type" text NOT NULL CHECK ("source_type" IN ('github', 'gitlab', 'gitea', 'custom')),
    "storage" text NOT NULL,
    "exclude_refs" text NOT NULL,
    "depth" integer,
    "sync_interval" integer,
    "status" text NOT NULL CHECK ("status" IN ('pending', 'initializing', 'mirroring', 'active', 'failed', 'archived')),
    "error_kind" text,
    "error_message" text,
    "archived_status" text CHECK ("archived_status" IN ('pending', 'initializing', 'mirroring', 'active', 'failed', 'archived')),
    "archived_error_kind" text,
    "archived_error_message" text,
    "default_branch" blob,
    "last_commit" blob,
    "total_commits" integer NOT NULL,
    "recorded_refs" integer NOT NULL,
    "size_bytes" integer NOT NULL,
    "last_synced_at" integer,
    "last_changed_at" integer,
    "next_sync_at" integer,
    "shrank_at" integer,
    "credentials_refused_at" integer,
    "failures" integer NOT NULL,
    "fence" integer NOT NULL,
    "recording" integer,
    "baseline_digest" blob,
    "policy_digest" blob,
    "version" integer NOT NULL,
    "created_at" integer NOT NULL,
    "updated_at" integer NOT NULL,
    "deleted_at" integer, FOREIGN KEY ("organisation_id") REFERENCES "organisation" ("id") );
CREATE UNIQUE INDEX "repository_name" ON "repository" ("organisation_id",
    "name_folded");
CREATE INDEX "repository_list" ON "repository" ("id") WHERE deleted_at IS NULL;
CREATE INDEX "repository_by_organisation" ON "repository" ("organisation_id",
    "id") WHERE deleted_at IS NULL;
CREATE INDEX "repository_by_status" ON "repository" ("status",
    "id") WHERE deleted_at IS NULL;
CREATE INDEX "repository_by_organisation_status" ON "repository" ("organisation_id",
    "status",
    "id") WHERE deleted_at IS NULL;
CREATE INDEX "repository_due" ON "repository" ("next_sync_at",
    "id") WHERE next_sync_at IS NOT NULL AND deleted_at IS NULL AND status <> 'archived';
CREATE TABLE "sync_task" ( "id" blob NOT NULL PRIMARY KEY,
    "repository_id" integer NOT NULL,
    "organisation_id" integer NOT NULL,
    "kind" text NOT NULL CHECK ("kind" IN ('initialize', 'migrate', 'sync', 'maintain', 'delete')),
    "source" text,
    "force_clone" boolean NOT NULL,
    "accept_shrink" boolean NOT NULL,
    "status" text NOT NULL CHECK ("status" IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    "held" boolean NOT NULL,
    "attempt" integer NOT NULL,
    "epoch" integer NOT NULL,
    "progress_phase" text NOT NULL,
    "progress_objects" integer NOT NULL,
    "progress_bytes" integer NOT NULL,
    "progress_commits" integer NOT NULL,
    "before_status" text CHECK ("before_status" IN ('pending', 'initializing', 'mirroring', 'active', 'failed', 'archived')),
    "before_error_kind" text,
    "before_error_message" text,
    "commits_synced" integer NOT NULL,
    "error_kind" text,
    "error_message" text,
    "next_attempt_at" integer,
    "cancel_requested_at" integer,
    "superseded_by" blob,
    "created_at" integer NOT NULL,
    "enqueued_at" integer,
    "started_at" integer,
    "completed_at" integer );
CREATE UNIQUE INDEX "sync_task_pending" ON "sync_task" ("repository_id") WHERE status = 'pending';
CREATE UNIQUE INDEX "sync_task_running" ON "sync_task" ("repository_id") WHERE status = 'running';
CREATE INDEX "sync_task_outbox" ON "sync_task" ("id") WHERE enqueued_at IS NULL AND NOT held AND status <> 'running' AND status <> 'completed' AND status <> 'failed' AND status <> 'cancelled';
CREATE INDEX "sync_task_by_repository" ON "sync_task" ("repository_id",
    "id");
CREATE INDEX "sync_task_by_status" ON "sync_task" ("status",
    "id");
CREATE INDEX "sync_task_by_kind" ON "sync_task" ("kind",
    "id");
CREATE INDEX "sync_task_ended" ON "sync_task" ("completed_at") WHERE completed_at IS NOT NULL;
CREATE TABLE "recorded_ref" ( "repository_id" integer NOT NULL,
    "name_prefix" blob NOT NULL,
    "name_digest" blob NOT NULL,
    "name" blob NOT NULL,
    "object_id" blob NOT NULL,
    "commit_id" blob, PRIMARY KEY ("repository_id",
    "name_prefix",
    "name_digest"), FOREIGN KEY ("repository_id") REFERENCES "repository" ("id") );
CREATE TABLE "git_commit" ( "repository_id" integer NOT NULL,
    "object_id" blob NOT NULL,
    "parents" blob NOT NULL,
    "author_name" text NOT NULL,
    "author_email" text NOT NULL,
    "author_seconds" integer NOT NULL,
    "author_offset" integer NOT NULL,
    "committer_name" text NOT NULL,
    "committer_email" text NOT NULL,
    "committer_seconds" integer NOT NULL,
    "committer_offset" integer NOT NULL,
    "message" text NOT NULL,
    "message_cut" boolean NOT NULL,
    "recorded_by_fence" integer NOT NULL,
    "orphaned_at" integer, PRIMARY KEY ("repository_id",
    "object_id") );
CREATE INDEX "git_commit_by_time" ON "git_commit" ("repository_id",
    "committer_seconds",
    "object_id",
    "orphaned_at");
CREATE INDEX "git_commit_by_author" ON "git_commit" ("repository_id",
    "author_email",
    "committer_seconds",
    "object_id",
    "orphaned_at");
CREATE INDEX "git_commit_by_fence" ON "git_commit" ("repository_id",
    "recorded_by_fence") WHERE orphaned_at IS NULL;
CREATE TABLE "ref_update" ( "id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "repository_id" integer NOT NULL,
    "task_id" blob NOT NULL,
    "recorded_at" integer NOT NULL,
    "kind" text NOT NULL CHECK ("kind" IN ('created', 'fast_forward', 'forced', 'deleted', 'cloned')),
    "name" blob,
    "old_id" blob,
    "new_id" blob,
    "refs" integer, FOREIGN KEY ("repository_id") REFERENCES "repository" ("id") );
CREATE INDEX "ref_update_by_repository" ON "ref_update" ("repository_id",
    "id");
CREATE INDEX "ref_update_by_time" ON "ref_update" ("recorded_at");
CREATE TABLE "job" ( "id" blob NOT NULL PRIMARY KEY,
    "storage" text NOT NULL,
    "host" text NOT NULL,
    "priority" integer NOT NULL,
    "run_at" integer NOT NULL,
    "attempt" integer NOT NULL,
    "epoch" integer NOT NULL,
    "leased_until" integer,
    "deadline_at" integer,
    "counted" boolean NOT NULL,
    "abandoned_at" integer,
    "cancel_requested" boolean NOT NULL );
CREATE INDEX "job_waiting" ON "job" ("storage",
    "host",
    "priority",
    "run_at",
    "id",
    "leased_until") WHERE leased_until IS NULL;
CREATE INDEX "job_scheduled" ON "job" ("run_at") WHERE leased_until IS NULL;
CREATE INDEX "job_leased" ON "job" ("leased_until") WHERE leased_until IS NOT NULL;
CREATE TABLE "source_host" ( "name" text NOT NULL PRIMARY KEY,
    "running" integer NOT NULL,
    "blocked_until" integer );
CREATE TABLE "storage" ( "name" text NOT NULL PRIMARY KEY,
    "host" text NOT NULL,
    "is_shared" boolean NOT NULL,
    "free_bytes" integer NOT NULL,
    "seen_at" integer NOT NULL );
-- 2: keep busy tables in order
-- 3: narrow an index
DROP INDEX "git_commit_by_fence";
CREATE INDEX "git_commit_unrecorded" ON "git_commit" ("repository_id",
    "recorded_by_fence") WHERE CASE WHEN orphaned_at IS NULL THEN 1 ELSE 0 END = 1;
-- 4: tell disks apart
ALTER TABLE "storage" ADD COLUMN "disk" text;
ALTER TABLE "storage" ADD COLUMN "served_until" integer NOT NULL DEFAULT 0;
UPDATE "storage" SET "served_until" = "seen_at" + 60000000;
-- 5: verify repositories
ALTER TABLE "sync_task" ADD COLUMN "verify" boolean NOT NULL DEFAULT FALSE;
-- 6: add push targets
CREATE TABLE "push_target" ( "repository_id" integer NOT NULL,
    "url" text NOT NULL,
    "added_at" integer NOT NULL,
    "has_digest" blob,
    "pushed_at" integer,
    "updated" integer NOT NULL,
    "deleted" integer NOT NULL,
    "objects" integer NOT NULL,
    "bytes" integer NOT NULL,
    "error_kind" text,
    "error_message" text,
    "failures" integer NOT NULL,
    "retry_at" integer, PRIMARY KEY ("repository_id",
    "url"), FOREIGN KEY ("repository_id") REFERENCES "repository" ("id") );
ALTER TABLE "repository" ADD COLUMN "push_targets" integer NOT NULL DEFAULT 0;
-- 7: order jobs by urgency
CREATE INDEX "job_urgent" ON "job" ("priority",
    "run_at",
    "id",
    "leased_until") WHERE leased_until IS NULL;
-- 8: note refused credentials
ALTER TABLE "repository" RENAME COLUMN "credentials_refused_at" TO "refused_credentials";
-- 9: store credentials
CREATE TABLE "credential" ( "organisation_id" integer NOT NULL,
    "name" text NOT NULL,
    "scope" text NOT NULL,
    "kind" text NOT NULL CHECK ("kind" IN ('user_password', 'bearer', 'ssh_key')),
    "created_at" integer NOT NULL,
    "updated_at" integer NOT NULL,
    "key_id" text NOT NULL,
    "sealed" blob NOT NULL, PRIMARY KEY ("organisation_id",
    "name"), FOREIGN KEY ("organisation_id") REFERENCES "organisation" ("id") );
CREATE INDEX "credential_key" ON "credential" ("key_id",
    "organisation_id",
    "name");
-- 10: learn what hosts take
ALTER TABLE "source_host" ADD COLUMN "job_limit" integer;
ALTER TABLE "source_host" ADD COLUMN "learned_limit" integer;
ALTER TABLE "source_host" ADD COLUMN "successes" integer NOT NULL DEFAULT 0;
ALTER TABLE "source_host" ADD COLUMN "refusals" integer NOT NULL DEFAULT 0;
ALTER TABLE "source_host" ADD COLUMN "failures" integer NOT NULL DEFAULT 0;
