-- What the migrations add up to. To read, not to run: `npm run schema` writes this file, and a test compares it.

create table brevet.certificates (
  fingerprint text not null,
  principal_id text not null,
  grant_id text,
  created_at timestamp with time zone not null,
  not_after timestamp with time zone not null,
  revoked_at timestamp with time zone,
  constraint certificates_pkey PRIMARY KEY (fingerprint),
  constraint certificates_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES brevet.grants(id),
  constraint certificates_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id)
);
CREATE INDEX certificates_age ON brevet.certificates USING btree (not_after);
CREATE INDEX certificates_unrevoked ON brevet.certificates USING btree (principal_id, not_after) WHERE (revoked_at IS NULL);

create table brevet.connection_tokens (
  handle text not null,
  grant_id text not null,
  principal_id text not null,
  verifier jsonb not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  consumed_at timestamp with time zone,
  constraint connection_tokens_pkey PRIMARY KEY (handle),
  constraint connection_tokens_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES brevet.grants(id),
  constraint connection_tokens_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id)
);
CREATE INDEX connection_tokens_age ON brevet.connection_tokens USING btree (expires_at);
CREATE INDEX connection_tokens_unspent ON brevet.connection_tokens USING btree (principal_id, expires_at) WHERE (consumed_at IS NULL);

create table brevet.entitlements (
  id text not null,
  name text not null,
  title text not null,
  folder_id text,
  revision integer not null,
  terms jsonb not null,
  retired_at timestamp with time zone,
  constraint entitlements_pkey PRIMARY KEY (id),
  constraint entitlements_name_key UNIQUE (name),
  constraint entitlements_folder_id_fkey FOREIGN KEY (folder_id) REFERENCES brevet.folders(id),
  constraint entitlements_id_check CHECK ((id ~ '^ent_'::text)),
  constraint entitlements_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'::text)),
  constraint entitlements_revision_check CHECK ((revision >= 1))
);

create table brevet.erased_names (
  name_hash text not null,
  principal_id text not null,
  constraint erased_names_pkey PRIMARY KEY (name_hash),
  constraint erased_names_principal_id_key UNIQUE (principal_id),
  constraint erased_names_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint erased_names_name_hash_check CHECK ((name_hash ~ '^[0-9a-f]{64}$'::text))
);

create table brevet.folders (
  id text not null,
  name text not null,
  title text not null default ''::text,
  administrators_id text,
  constraint folders_pkey PRIMARY KEY (id),
  constraint folders_name_key UNIQUE (name),
  constraint folders_administrators_id_fkey FOREIGN KEY (administrators_id) REFERENCES brevet.groups(id),
  constraint folders_id_check CHECK ((id ~ '^fld_'::text)),
  constraint folders_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'::text))
);

create table brevet.grant_parts (
  id text not null,
  grant_id text not null,
  ordinal integer not null,
  target_id text not null,
  kind text not null,
  scope jsonb not null,
  object_name text not null,
  account text,
  state text not null,
  deadline timestamp with time zone,
  prior jsonb,
  secret bytea,
  evidence jsonb,
  work text,
  due_at timestamp with time zone,
  fence bigint not null default 0,
  claimed_until timestamp with time zone,
  attempts integer not null default 0,
  last_error text,
  settled boolean not null default false,
  secret_under text generated always as (encode(SUBSTRING(secret FROM 2 FOR 8), 'hex'::text)) stored,
  constraint grant_parts_pkey PRIMARY KEY (id),
  constraint grant_parts_grant_id_ordinal_key UNIQUE (grant_id, ordinal),
  constraint grant_parts_object_name_key UNIQUE (object_name),
  constraint grant_parts_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES brevet.grants(id),
  constraint grant_parts_secret_under_fkey FOREIGN KEY (secret_under) REFERENCES brevet.root_keys(id),
  constraint grant_parts_target_id_fkey FOREIGN KEY (target_id) REFERENCES brevet.targets(id),
  constraint grant_parts_check CHECK (((work IS NULL) = (due_at IS NULL))),
  constraint grant_parts_check1 CHECK (((claimed_until IS NULL) OR (work IS NOT NULL))),
  constraint grant_parts_check2 CHECK (((state <> 'absent'::text) OR ((work IS NULL) AND (secret IS NULL)))),
  constraint grant_parts_check3 CHECK (((NOT settled) OR (state = 'absent'::text))),
  constraint grant_parts_id_check CHECK ((id ~ '^prt_'::text)),
  constraint grant_parts_kind_check CHECK ((kind = ANY (ARRAY['ephemeral_account'::text, 'temporary_elevation'::text, 'brokered_session'::text]))),
  constraint grant_parts_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'present'::text, 'removing'::text, 'absent'::text]))),
  constraint grant_parts_work_check CHECK ((work = ANY (ARRAY['provision'::text, 'withdraw'::text])))
);
CREATE INDEX grant_parts_by_target ON brevet.grant_parts USING btree (target_id, grant_id);
CREATE INDEX grant_parts_lanes ON brevet.grant_parts USING btree (work, target_id, due_at) WHERE (work IS NOT NULL);
CREATE INDEX grant_parts_live ON brevet.grant_parts USING btree (target_id) WHERE (state <> 'absent'::text);
CREATE INDEX grant_parts_running ON brevet.grant_parts USING btree (work, target_id, claimed_until) WHERE (claimed_until IS NOT NULL);
CREATE INDEX grant_parts_under ON brevet.grant_parts USING btree (secret_under) WHERE (secret_under IS NOT NULL);
CREATE INDEX grant_parts_unended ON brevet.grant_parts USING btree (target_id, grant_id) WHERE (NOT settled);
CREATE INDEX grant_parts_unsettled ON brevet.grant_parts USING btree (grant_id) WHERE ((state = 'absent'::text) AND (NOT settled));
CREATE TRIGGER parts_move_forward BEFORE UPDATE ON brevet.grant_parts FOR EACH ROW EXECUTE FUNCTION brevet.parts_move_forward();

create table brevet.grants (
  id text not null,
  request_id text not null,
  principal_id text not null,
  on_behalf_of_id text,
  entitlement_id text not null,
  entitlement jsonb not null,
  state text not null,
  duration_seconds integer not null,
  created_at timestamp with time zone not null,
  start_at timestamp with time zone not null,
  activate_by timestamp with time zone not null,
  activated_at timestamp with time zone,
  deadline timestamp with time zone,
  revoke_due_at timestamp with time zone,
  end_reason text,
  ended_at timestamp with time zone,
  overdue_at timestamp with time zone,
  constraint grants_pkey PRIMARY KEY (id),
  constraint grants_request_id_key UNIQUE (request_id),
  constraint grants_entitlement_id_fkey FOREIGN KEY (entitlement_id) REFERENCES brevet.entitlements(id),
  constraint grants_on_behalf_of_id_fkey FOREIGN KEY (on_behalf_of_id) REFERENCES brevet.principals(id),
  constraint grants_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint grants_request_id_fkey FOREIGN KEY (request_id) REFERENCES brevet.requests(id),
  constraint grants_check CHECK (((state <> 'active'::text) OR ((activated_at IS NOT NULL) AND (deadline IS NOT NULL)))),
  constraint grants_check1 CHECK (((deadline IS NULL) OR (activated_at IS NULL) OR (deadline > activated_at))),
  constraint grants_check2 CHECK (((state = ANY (ARRAY['revoking'::text, 'ended'::text])) = (end_reason IS NOT NULL))),
  constraint grants_check3 CHECK (((state = ANY (ARRAY['revoking'::text, 'ended'::text])) = (revoke_due_at IS NOT NULL))),
  constraint grants_check4 CHECK (((state = 'ended'::text) = (ended_at IS NOT NULL))),
  constraint grants_check5 CHECK (((overdue_at IS NULL) OR (state = ANY (ARRAY['revoking'::text, 'ended'::text])))),
  constraint grants_duration_seconds_check CHECK (((duration_seconds >= 1) AND (duration_seconds <= 31622400))),
  constraint grants_end_reason_check CHECK ((end_reason = ANY (ARRAY['expired'::text, 'completed'::text, 'revoked'::text, 'activation_failed'::text, 'identity_disabled'::text, 'target_retired'::text, 'entitlement_retired'::text, 'policy_changed'::text]))),
  constraint grants_id_check CHECK ((id ~ '^grt_'::text)),
  constraint grants_state_check CHECK ((state = ANY (ARRAY['scheduled'::text, 'activating'::text, 'active'::text, 'revoking'::text, 'ended'::text])))
);
CREATE INDEX grants_activating ON brevet.grants USING btree (activate_by) WHERE (state = 'activating'::text);
CREATE INDEX grants_by_principal ON brevet.grants USING btree (principal_id, id DESC);
CREATE INDEX grants_deadlines ON brevet.grants USING btree (deadline) WHERE (state = 'active'::text);
CREATE INDEX grants_late ON brevet.grants USING btree (revoke_due_at) WHERE ((state = 'revoking'::text) AND (overdue_at IS NULL));
CREATE INDEX grants_live ON brevet.grants USING btree (id) INCLUDE (state) WHERE (state <> 'ended'::text);
CREATE INDEX grants_live_by_entitlement ON brevet.grants USING btree (entitlement_id, id) WHERE (state <> 'ended'::text);
CREATE INDEX grants_live_by_principal ON brevet.grants USING btree (principal_id, id) WHERE (state <> 'ended'::text);
CREATE INDEX grants_live_on_behalf ON brevet.grants USING btree (on_behalf_of_id, id) WHERE ((on_behalf_of_id IS NOT NULL) AND (state <> 'ended'::text));
CREATE INDEX grants_on_behalf ON brevet.grants USING btree (on_behalf_of_id, id) WHERE (on_behalf_of_id IS NOT NULL);
CREATE INDEX grants_overdue ON brevet.grants USING btree (id) WHERE ((overdue_at IS NOT NULL) AND (state <> 'ended'::text));
CREATE INDEX grants_starts ON brevet.grants USING btree (start_at) WHERE (state = 'scheduled'::text);
CREATE CONSTRAINT TRIGGER grants_are_approved AFTER INSERT ON brevet.grants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION brevet.grants_are_approved();
CREATE TRIGGER grants_move_forward BEFORE UPDATE ON brevet.grants FOR EACH ROW EXECUTE FUNCTION brevet.grants_move_forward();

create table brevet.group_members (
  group_id text not null,
  principal_id text not null,
  since timestamp with time zone not null,
  constraint group_members_pkey PRIMARY KEY (group_id, principal_id),
  constraint group_members_group_id_fkey FOREIGN KEY (group_id) REFERENCES brevet.groups(id),
  constraint group_members_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id)
);
CREATE INDEX group_members_principal ON brevet.group_members USING btree (principal_id);

create table brevet.groups (
  id text not null,
  name text not null,
  title text not null default ''::text,
  constraint groups_pkey PRIMARY KEY (id),
  constraint groups_name_key UNIQUE (name),
  constraint groups_id_check CHECK ((id ~ '^grp_'::text)),
  constraint groups_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'::text))
);

create table brevet.idempotency_keys (
  principal_id text not null,
  key text not null,
  body_hash text not null,
  status integer,
  response bytea,
  created_at timestamp with time zone not null,
  response_under text generated always as (encode(SUBSTRING(response FROM 2 FOR 8), 'hex'::text)) stored,
  constraint idempotency_keys_pkey PRIMARY KEY (principal_id, key),
  constraint idempotency_keys_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint idempotency_keys_response_under_fkey FOREIGN KEY (response_under) REFERENCES brevet.root_keys(id)
);
CREATE INDEX idempotency_keys_age ON brevet.idempotency_keys USING btree (created_at);
CREATE INDEX idempotency_keys_under ON brevet.idempotency_keys USING btree (response_under);

create table brevet.key_holders (
  server text not null,
  host text not null,
  keys text[] not null,
  seals_under text not null,
  seen_at timestamp with time zone not null,
  constraint key_holders_pkey PRIMARY KEY (server)
);

create table brevet.keys (
  id text not null,
  principal_id text not null,
  label text not null,
  public_key text not null,
  created_at timestamp with time zone not null,
  signed_in_at timestamp with time zone not null,
  sign_in_method text not null,
  issued_by text,
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint keys_pkey PRIMARY KEY (id),
  constraint keys_public_key_key UNIQUE (public_key),
  constraint keys_issued_by_fkey FOREIGN KEY (issued_by) REFERENCES brevet.principals(id),
  constraint keys_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint keys_id_check CHECK ((id ~ '^key_'::text))
);
CREATE INDEX keys_by_principal ON brevet.keys USING btree (principal_id);

create table brevet.log_entries (
  id text not null,
  arrival bigint not null generated always as identity,
  at timestamp with time zone not null,
  type text not null,
  body text not null,
  grant_id text,
  request_id text,
  session_id text,
  principal_id text,
  index bigint,
  leaf bytea,
  constraint log_entries_pkey PRIMARY KEY (id),
  constraint log_entries_index_key UNIQUE (index),
  constraint log_entries_check CHECK (((index IS NULL) = (leaf IS NULL))),
  constraint log_entries_id_check CHECK ((id ~ '^evt_'::text)),
  constraint log_entries_index_check CHECK ((index >= 0))
);
CREATE INDEX log_entries_grant ON brevet.log_entries USING btree (grant_id, index, arrival) WHERE (grant_id IS NOT NULL);
CREATE INDEX log_entries_principal ON brevet.log_entries USING btree (principal_id, index, arrival) WHERE (principal_id IS NOT NULL);
CREATE INDEX log_entries_request ON brevet.log_entries USING btree (request_id, index, arrival) WHERE (request_id IS NOT NULL);
CREATE INDEX log_entries_type ON brevet.log_entries USING btree (type, index, arrival);
CREATE INDEX log_entries_unsequenced ON brevet.log_entries USING btree (arrival) WHERE (index IS NULL);
CREATE TRIGGER log_entries_are_final BEFORE DELETE OR UPDATE ON brevet.log_entries FOR EACH ROW EXECUTE FUNCTION brevet.log_entries_are_final();
CREATE TRIGGER log_entries_stay BEFORE TRUNCATE ON brevet.log_entries FOR EACH STATEMENT EXECUTE FUNCTION brevet.log_entries_are_final();

create table brevet.log_state (
  one boolean not null default true,
  size bigint not null,
  checkpoint text,
  signed_at timestamp with time zone,
  constraint log_state_pkey PRIMARY KEY (one),
  constraint log_state_one_check CHECK (one)
);

create table brevet.log_tiles (
  level integer not null,
  number bigint not null,
  hashes bytea not null,
  constraint log_tiles_pkey PRIMARY KEY (level, number),
  constraint log_tiles_hashes_check CHECK ((((length(hashes) >= 32) AND (length(hashes) <= 8192)) AND ((length(hashes) % 32) = 0))),
  constraint log_tiles_level_check CHECK ((level >= 0)),
  constraint log_tiles_number_check CHECK ((number >= 0))
);
CREATE UNIQUE INDEX log_tiles_edge ON brevet.log_tiles USING btree (level) WHERE (length(hashes) < 8192);
CREATE TRIGGER log_tiles_only_grow BEFORE DELETE OR UPDATE ON brevet.log_tiles FOR EACH ROW EXECUTE FUNCTION brevet.log_tiles_only_grow();
CREATE TRIGGER log_tiles_stay BEFORE TRUNCATE ON brevet.log_tiles FOR EACH STATEMENT EXECUTE FUNCTION brevet.log_tiles_only_grow();

create table brevet.migrations (
  number integer not null,
  name text not null,
  sha256 text not null,
  applied_by text not null,
  applied_at timestamp with time zone not null default now(),
  constraint migrations_pkey PRIMARY KEY (number),
  constraint migrations_number_check CHECK ((number > 0)),
  constraint migrations_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

create table brevet.own_keys (
  name text not null,
  sealed bytea not null,
  public text not null,
  created_at timestamp with time zone not null,
  sealed_under text generated always as (encode(SUBSTRING(sealed FROM 2 FOR 8), 'hex'::text)) stored,
  constraint own_keys_pkey PRIMARY KEY (name),
  constraint own_keys_sealed_under_fkey FOREIGN KEY (sealed_under) REFERENCES brevet.root_keys(id)
);

create table brevet.policy_versions (
  version integer not null,
  sources jsonb not null,
  published_at timestamp with time zone not null,
  published_by text,
  constraint policy_versions_pkey PRIMARY KEY (version),
  constraint policy_versions_published_by_fkey FOREIGN KEY (published_by) REFERENCES brevet.principals(id),
  constraint policy_versions_version_check CHECK ((version >= 1))
);

create table brevet.principals (
  id text not null,
  kind text not null,
  name text not null,
  display_name text not null,
  owner_id text,
  administrator boolean not null default false,
  password_hash text,
  password_issued_by text,
  disabled_at timestamp with time zone,
  created_at timestamp with time zone not null,
  erased_at timestamp with time zone,
  constraint principals_pkey PRIMARY KEY (id),
  constraint principals_name_key UNIQUE (name),
  constraint principals_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES brevet.principals(id),
  constraint principals_password_issued_by_fkey FOREIGN KEY (password_issued_by) REFERENCES brevet.principals(id),
  constraint principals_check CHECK (((kind = 'workload'::text) = (owner_id IS NOT NULL))),
  constraint principals_check1 CHECK (((kind = 'person'::text) OR (NOT administrator))),
  constraint principals_check2 CHECK (("left"(id, 3) =
CASE kind
    WHEN 'person'::text THEN 'per'::text
    ELSE 'wkl'::text
END)),
  constraint principals_check3 CHECK (((erased_at IS NULL) OR ((disabled_at IS NOT NULL) AND (password_hash IS NULL) AND (NOT administrator)))),
  constraint principals_display_name_check CHECK (((length(display_name) >= 1) AND (length(display_name) <= 200))),
  constraint principals_id_check CHECK ((id ~ '^(per|wkl)_[0-9a-z]{26}$'::text)),
  constraint principals_kind_check CHECK ((kind = ANY (ARRAY['person'::text, 'workload'::text]))),
  constraint principals_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'::text))
);
CREATE INDEX principals_owner ON brevet.principals USING btree (owner_id) WHERE (owner_id IS NOT NULL);

create table brevet.recording_chunks (
  session_id text not null,
  seq integer not null,
  sealed bytea,
  events integer not null,
  hash text not null,
  at timestamp with time zone not null,
  sealed_under text generated always as (encode(SUBSTRING(sealed FROM 2 FOR 8), 'hex'::text)) stored,
  destroyed_at timestamp with time zone,
  constraint recording_chunks_pkey PRIMARY KEY (session_id, seq),
  constraint recording_chunks_sealed_under_fkey FOREIGN KEY (sealed_under) REFERENCES brevet.root_keys(id),
  constraint recording_chunks_session_id_fkey FOREIGN KEY (session_id) REFERENCES brevet.sessions(id),
  constraint recording_chunks_check CHECK (((sealed IS NULL) = (destroyed_at IS NOT NULL))),
  constraint recording_chunks_seq_check CHECK ((seq >= 0))
);
CREATE INDEX recording_chunks_under ON brevet.recording_chunks USING btree (sealed_under);

create table brevet.requests (
  id text not null,
  state text not null,
  principal_id text not null,
  on_behalf_of_id text,
  entitlement_id text not null,
  entitlement jsonb not null,
  extends_grant_id text,
  reason text not null,
  ticket text,
  duration_seconds integer not null,
  start_at timestamp with time zone,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  policy_version integer not null,
  verdict jsonb not null,
  hash text not null,
  decided_at timestamp with time zone,
  decision_reason text,
  erased_at timestamp with time zone,
  constraint requests_pkey PRIMARY KEY (id),
  constraint requests_entitlement_id_fkey FOREIGN KEY (entitlement_id) REFERENCES brevet.entitlements(id),
  constraint requests_extends_grant_id_fkey FOREIGN KEY (extends_grant_id) REFERENCES brevet.grants(id),
  constraint requests_on_behalf_of_id_fkey FOREIGN KEY (on_behalf_of_id) REFERENCES brevet.principals(id),
  constraint requests_policy_version_fkey FOREIGN KEY (policy_version) REFERENCES brevet.policy_versions(version),
  constraint requests_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint requests_check CHECK ((expires_at > created_at)),
  constraint requests_check1 CHECK (((state = 'pending'::text) = (decided_at IS NULL))),
  constraint requests_duration_seconds_check CHECK (((duration_seconds >= 1) AND (duration_seconds <= 31622400))),
  constraint requests_hash_check CHECK ((hash ~ '^[0-9a-f]{64}$'::text)),
  constraint requests_id_check CHECK ((id ~ '^req_'::text)),
  constraint requests_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 2000))),
  constraint requests_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'approved'::text, 'denied'::text, 'cancelled'::text, 'expired'::text]))),
  constraint requests_ticket_check CHECK (((length(ticket) >= 1) AND (length(ticket) <= 200)))
);
CREATE INDEX requests_by_principal ON brevet.requests USING btree (principal_id, id DESC);
CREATE INDEX requests_by_principal_state ON brevet.requests USING btree (principal_id, state, id);
CREATE INDEX requests_by_state ON brevet.requests USING btree (state, id);
CREATE INDEX requests_on_behalf ON brevet.requests USING btree (on_behalf_of_id, id) WHERE (on_behalf_of_id IS NOT NULL);
CREATE INDEX requests_pending ON brevet.requests USING btree (expires_at) WHERE (state = 'pending'::text);
CREATE TRIGGER requests_are_immutable BEFORE DELETE OR UPDATE ON brevet.requests FOR EACH ROW EXECUTE FUNCTION brevet.requests_are_immutable();

create table brevet.reviews (
  id text not null,
  request_id text not null,
  request_hash text not null,
  stage integer not null,
  reviewer_id text not null,
  decision text not null,
  reason text,
  narrowed jsonb,
  authentication jsonb not null,
  created_at timestamp with time zone not null,
  erased_at timestamp with time zone,
  constraint reviews_pkey PRIMARY KEY (id),
  constraint reviews_request_id_reviewer_id_key UNIQUE (request_id, reviewer_id),
  constraint reviews_request_id_fkey FOREIGN KEY (request_id) REFERENCES brevet.requests(id),
  constraint reviews_reviewer_id_fkey FOREIGN KEY (reviewer_id) REFERENCES brevet.principals(id),
  constraint reviews_decision_check CHECK ((decision = ANY (ARRAY['approve'::text, 'deny'::text]))),
  constraint reviews_id_check CHECK ((id ~ '^rev_'::text)),
  constraint reviews_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 2000))),
  constraint reviews_stage_check CHECK ((stage >= 0))
);
CREATE TRIGGER reviews_are_by_others BEFORE INSERT OR DELETE OR UPDATE ON brevet.reviews FOR EACH ROW EXECUTE FUNCTION brevet.reviews_are_by_others();

create table brevet.root_keys (
  id text not null,
  ordinal bigint not null generated always as identity,
  in_force_since timestamp with time zone not null,
  constraint root_keys_pkey PRIMARY KEY (id),
  constraint root_keys_ordinal_key UNIQUE (ordinal),
  constraint root_keys_id_check CHECK ((id ~ '^[0-9a-f]{16}$'::text))
);

create table brevet.sessions (
  id text not null,
  grant_id text not null,
  part_id text not null,
  principal_id text not null,
  protocol text not null,
  broker_id text not null,
  state text not null,
  opened_at timestamp with time zone not null,
  lease_until timestamp with time zone not null,
  client_address text not null,
  application text,
  facts jsonb not null default '{}'::jsonb,
  cut_reason text,
  ended_at timestamp with time zone,
  end_reason text,
  statements bigint not null default 0,
  bytes_in bigint not null default 0,
  bytes_out bigint not null default 0,
  recording_root text,
  constraint sessions_pkey PRIMARY KEY (id),
  constraint sessions_grant_id_fkey FOREIGN KEY (grant_id) REFERENCES brevet.grants(id),
  constraint sessions_part_id_fkey FOREIGN KEY (part_id) REFERENCES brevet.grant_parts(id),
  constraint sessions_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint sessions_check CHECK (((state = 'ended'::text) = (ended_at IS NOT NULL))),
  constraint sessions_check1 CHECK (((state = 'ended'::text) = (end_reason IS NOT NULL))),
  constraint sessions_id_check CHECK ((id ~ '^ses_'::text)),
  constraint sessions_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'active'::text, 'ended'::text])))
);
CREATE INDEX sessions_by_grant ON brevet.sessions USING btree (grant_id, id);
CREATE INDEX sessions_by_principal ON brevet.sessions USING btree (principal_id, id);
CREATE INDEX sessions_live ON brevet.sessions USING btree (id) WHERE (state <> 'ended'::text);
CREATE INDEX sessions_live_by_grant ON brevet.sessions USING btree (grant_id) WHERE (state <> 'ended'::text);
CREATE INDEX sessions_live_by_lease ON brevet.sessions USING btree (lease_until) WHERE (state <> 'ended'::text);
CREATE INDEX sessions_live_by_principal ON brevet.sessions USING btree (principal_id, id) WHERE (state <> 'ended'::text);

create table brevet.sign_in_links (
  verifier bytea not null,
  principal_id text not null,
  issued_by text,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  consumed_at timestamp with time zone,
  constraint sign_in_links_pkey PRIMARY KEY (verifier),
  constraint sign_in_links_issued_by_fkey FOREIGN KEY (issued_by) REFERENCES brevet.principals(id),
  constraint sign_in_links_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id)
);
CREATE INDEX sign_in_links_age ON brevet.sign_in_links USING btree (expires_at);

create table brevet.signature_nonces (
  key_id text not null,
  nonce text not null,
  used_at timestamp with time zone not null,
  constraint signature_nonces_pkey PRIMARY KEY (key_id, nonce),
  constraint signature_nonces_key_id_fkey FOREIGN KEY (key_id) REFERENCES brevet.keys(id)
);
CREATE INDEX signature_nonces_age ON brevet.signature_nonces USING btree (used_at);

create table brevet.subject_keys (
  principal_id text not null,
  sealed bytea,
  destroyed_at timestamp with time zone,
  sealed_under text generated always as (encode(SUBSTRING(sealed FROM 2 FOR 8), 'hex'::text)) stored,
  constraint subject_keys_pkey PRIMARY KEY (principal_id),
  constraint subject_keys_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES brevet.principals(id),
  constraint subject_keys_sealed_under_fkey FOREIGN KEY (sealed_under) REFERENCES brevet.root_keys(id),
  constraint subject_keys_check CHECK (((sealed IS NULL) = (destroyed_at IS NOT NULL)))
);
CREATE INDEX subject_keys_under ON brevet.subject_keys USING btree (sealed_under);

create table brevet.targets (
  id text not null,
  name text not null,
  type text not null,
  folder_id text,
  config jsonb not null,
  credential bytea,
  created_at timestamp with time zone not null,
  retired_at timestamp with time zone,
  checked_at timestamp with time zone,
  unreachable_since timestamp with time zone,
  problem text,
  skew_ms integer,
  version text,
  swept_at timestamp with time zone,
  credential_under text generated always as (encode(SUBSTRING(credential FROM 2 FOR 8), 'hex'::text)) stored,
  constraint targets_pkey PRIMARY KEY (id),
  constraint targets_name_key UNIQUE (name),
  constraint targets_credential_under_fkey FOREIGN KEY (credential_under) REFERENCES brevet.root_keys(id),
  constraint targets_folder_id_fkey FOREIGN KEY (folder_id) REFERENCES brevet.folders(id),
  constraint targets_id_check CHECK ((id ~ '^tgt_'::text)),
  constraint targets_name_check CHECK ((name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'::text))
);

alter table brevet.grant_parts alter column state set statistics 0;

alter table brevet.grant_parts alter column work set statistics 0;

alter table brevet.grant_parts alter column due_at set statistics 0;

alter table brevet.grant_parts alter column fence set statistics 0;

alter table brevet.grant_parts alter column claimed_until set statistics 0;

alter table brevet.grant_parts alter column settled set statistics 0;

alter table brevet.grants alter column state set statistics 0;

alter table brevet.grants alter column revoke_due_at set statistics 0;

alter table brevet.grants alter column overdue_at set statistics 0;

alter table brevet.requests alter column state set statistics 0;

alter table brevet.sessions alter column state set statistics 0;

alter table brevet.sessions alter column lease_until set statistics 0;

alter table brevet.sessions alter column cut_reason set statistics 0;

CREATE OR REPLACE FUNCTION brevet.grants_are_approved()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if (select state from brevet.requests where id = new.request_id) <> 'approved' then
    raise exception 'request % is not approved', new.request_id using errcode = '23000', constraint = 'grants_are_approved';
  end if;
  return null;
end $function$;

CREATE OR REPLACE FUNCTION brevet.grants_move_forward()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if new.state <> old.state and (old.state, new.state) not in (('scheduled', 'activating'), ('scheduled', 'revoking'),
       ('activating', 'active'), ('activating', 'revoking'), ('active', 'revoking'), ('revoking', 'ended')) then
    raise exception 'grant % cannot go from % to %', old.id, old.state, new.state
      using errcode = '23000', constraint = 'grants_move_forward';
  end if;
  if old.state in ('revoking', 'ended') and new.deadline is distinct from old.deadline then
    raise exception 'the deadline of grant % is past moving', old.id using errcode = '23000', constraint = 'grants_move_forward';
  end if;
  if new.state = 'ended' and old.state <> 'ended'
     and (exists (select from brevet.grant_parts where grant_id = new.id and state <> 'absent' and (state <> 'planned' or fence > 0))
          or exists (select from brevet.sessions where grant_id = new.id and state <> 'ended')) then
    raise exception 'grant % still holds something', old.id using errcode = '23000', constraint = 'grants_end_verified';
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION brevet.log_entries_are_final()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op in ('DELETE', 'TRUNCATE') then
    raise exception 'log entries stay' using errcode = '23000', constraint = 'log_entries_are_final';
  end if;
  if old.index is not null
     or row(new.id, new.at, new.type, new.body, new.grant_id, new.request_id, new.session_id, new.principal_id) is distinct from
        row(old.id, old.at, old.type, old.body, old.grant_id, old.request_id, old.session_id, old.principal_id) then
    raise exception 'log entries are final' using errcode = '23000', constraint = 'log_entries_are_final';
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION brevet.log_tiles_only_grow()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op <> 'UPDATE' or (new.level, new.number) <> (old.level, old.number)
     or substring(new.hashes for length(old.hashes)) <> old.hashes then
    raise exception 'a tile of the log only grows' using errcode = '23000', constraint = 'log_tiles_only_grow';
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION brevet.parts_move_forward()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if new.state <> old.state and (old.state, new.state) not in (('planned', 'present'), ('planned', 'removing'), ('planned', 'absent'),
       ('present', 'removing'), ('removing', 'absent')) then
    raise exception 'part % cannot go from % to %', old.id, old.state, new.state
      using errcode = '23000', constraint = 'parts_move_forward';
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION brevet.requests_are_immutable()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  moves constant text[] := '{state,decided_at,decision_reason}';
  words constant text[] := '{reason,ticket,decision_reason,erased_at}';
begin
  if tg_op = 'DELETE' then
    raise exception 'request % stays', old.id using errcode = '23000', constraint = 'requests_are_immutable';
  end if;
  if old.state <> 'pending' then
    if to_jsonb(new) - words = to_jsonb(old) - words and new.decision_reason is null
       and (row(new.reason, new.ticket, new.erased_at) is not distinct from row(old.reason, old.ticket, old.erased_at)
            or (old.erased_at is null and new.erased_at is not null and new.reason = '[erased]' and new.ticket is null)) then
      return new;
    end if;
    raise exception 'request % is already %', old.id, old.state using errcode = '23000', constraint = 'requests_are_decided_once';
  end if;
  if to_jsonb(new) - moves <> to_jsonb(old) - moves then
    raise exception 'request % is immutable', old.id using errcode = '23000', constraint = 'requests_are_immutable';
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION brevet.reviews_are_by_others()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
declare
  asked record;
  words constant text[] := '{reason,erased_at}';
begin
  if tg_op = 'UPDATE' and to_jsonb(new) - words = to_jsonb(old) - words and new.reason is null
     and old.erased_at is null and new.erased_at is not null then
    return new;
  end if;
  if tg_op <> 'INSERT' then
    raise exception 'review % is final', old.id using errcode = '23000', constraint = 'reviews_are_final';
  end if;
  select r.hash, r.principal_id, r.on_behalf_of_id, p.owner_id into asked
    from brevet.requests r join brevet.principals p on p.id = r.principal_id where r.id = new.request_id;
  if new.reviewer_id in (asked.principal_id, coalesce(asked.on_behalf_of_id, ''), coalesce(asked.owner_id, '')) then
    raise exception 'nobody decides on their own request' using errcode = '23000', constraint = 'reviews_are_by_others';
  end if;
  if new.request_hash <> asked.hash then
    raise exception 'the review names another hash than request %', new.request_id
      using errcode = '23000', constraint = 'reviews_name_the_hash';
  end if;
  return new;
end $function$;
