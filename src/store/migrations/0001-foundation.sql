-- Brevet's truth. Constraints here make bad states impossible, whatever the code above does.
-- Secrets stand sealed (AES-256-GCM, see src/secrets) or as verifiers; never in clear.

create table brevet.principals (
  id            text primary key check (id ~ '^(per|wkl)_[0-9a-z]{26}$'),
  kind          text not null check (kind in ('person', 'workload')),
  name          text not null unique check (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
  display_name  text not null check (length(display_name) between 1 and 200),
  owner_id      text references brevet.principals,
  administrator boolean not null default false,
  password_hash text,
  -- Who had issued the sign-in behind the password: see keys.issued_by.
  password_issued_by text references brevet.principals,
  disabled_at   timestamptz,
  created_at    timestamptz not null,
  check ((kind = 'workload') = (owner_id is not null)),
  check (kind = 'person' or not administrator),
  check (left(id, 3) = case kind when 'person' then 'per' else 'wkl' end)
);
create index principals_owner on brevet.principals (owner_id) where owner_id is not null;

-- A person's key for the personal parts of log entries, itself sealed; erasing the person destroys it.
create table brevet.subject_keys (
  principal_id text primary key references brevet.principals,
  sealed       bytea,
  destroyed_at timestamptz,
  check ((sealed is null) = (destroyed_at is not null))
);

create table brevet.groups (
  id    text primary key check (id ~ '^grp_'),
  name  text not null unique check (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
  title text not null default ''
);

create table brevet.group_members (
  group_id     text not null references brevet.groups,
  principal_id text not null references brevet.principals,
  since        timestamptz not null,
  primary key (group_id, principal_id)
);
create index group_members_principal on brevet.group_members (principal_id);

create table brevet.folders (
  id                text primary key check (id ~ '^fld_'),
  name              text not null unique check (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
  title             text not null default '',
  administrators_id text references brevet.groups
);

create table brevet.targets (
  id          text primary key check (id ~ '^tgt_'),
  name        text not null unique check (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
  type        text not null,
  folder_id   text references brevet.folders,
  config      jsonb not null,
  credential  bytea,
  created_at  timestamptz not null,
  retired_at  timestamptz,
  -- Health, as the reconciler last saw it. `unreachable_since` closes the target's lanes until a probe succeeds.
  checked_at        timestamptz,
  unreachable_since timestamptz,
  problem           text,
  skew_ms           integer,
  version           text,
  swept_at          timestamptz
);

create table brevet.entitlements (
  id         text primary key check (id ~ '^ent_'),
  name       text not null unique check (name ~ '^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$'),
  title      text not null,
  folder_id  text references brevet.folders,
  revision   integer not null check (revision >= 1),
  terms      jsonb not null,
  retired_at timestamptz
);

create table brevet.policy_versions (
  version      integer primary key check (version >= 1),
  sources      jsonb not null,
  published_at timestamptz not null,
  published_by text references brevet.principals
);

create table brevet.requests (
  id               text primary key check (id ~ '^req_'),
  state            text not null check (state in ('pending', 'approved', 'denied', 'cancelled', 'expired')),
  principal_id     text not null references brevet.principals,
  on_behalf_of_id  text references brevet.principals,
  entitlement_id   text not null references brevet.entitlements,
  -- The entitlement as it stood: what the reviewers saw and what the grant will be.
  entitlement      jsonb not null,
  extends_grant_id text,
  reason           text not null check (length(reason) between 1 and 2000),
  ticket           text check (length(ticket) between 1 and 200),
  duration_seconds integer not null check (duration_seconds between 1 and 31622400),
  start_at         timestamptz,
  created_at       timestamptz not null,
  expires_at       timestamptz not null check (expires_at > created_at),
  policy_version   integer not null references brevet.policy_versions,
  verdict          jsonb not null,
  hash             text not null check (hash ~ '^[0-9a-f]{64}$'),
  decided_at       timestamptz,
  decision_reason  text,
  check ((state = 'pending') = (decided_at is null))
);
create index requests_pending on brevet.requests (expires_at) where state = 'pending';
create index requests_by_principal on brevet.requests (principal_id, id desc);
create index requests_newest on brevet.requests (id desc);

-- Triggers refuse with SQLSTATE 23000 and the name of what they hold, which the store maps to a refusal's code.

-- What was asked never changes; only its state moves, and only away from pending.
create function brevet.requests_are_immutable() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'request % stays', old.id using errcode = '23000', constraint = 'requests_are_immutable';
  end if;
  if old.state <> 'pending' then
    raise exception 'request % is already %', old.id, old.state using errcode = '23000', constraint = 'requests_are_decided_once';
  end if;
  if row(new.id, new.principal_id, new.on_behalf_of_id, new.entitlement_id, new.entitlement, new.extends_grant_id, new.reason,
         new.ticket, new.duration_seconds, new.start_at, new.created_at, new.expires_at, new.policy_version, new.verdict, new.hash)
     is distinct from
     row(old.id, old.principal_id, old.on_behalf_of_id, old.entitlement_id, old.entitlement, old.extends_grant_id, old.reason,
         old.ticket, old.duration_seconds, old.start_at, old.created_at, old.expires_at, old.policy_version, old.verdict, old.hash) then
    raise exception 'request % is immutable', old.id using errcode = '23000', constraint = 'requests_are_immutable';
  end if;
  return new;
end $$;
create trigger requests_are_immutable before update or delete on brevet.requests
  for each row execute function brevet.requests_are_immutable();

create table brevet.reviews (
  id           text primary key check (id ~ '^rev_'),
  request_id   text not null references brevet.requests,
  request_hash text not null,
  stage        integer not null check (stage >= 0),
  reviewer_id  text not null references brevet.principals,
  decision     text not null check (decision in ('approve', 'deny')),
  reason       text check (length(reason) between 1 and 2000),
  -- How the terms were narrowed: {"durationSeconds": ..., "scopes": {...}}; null when approved as asked.
  narrowed     jsonb,
  -- The proof of how the reviewer was authenticated.
  authentication jsonb not null,
  created_at   timestamptz not null,
  unique (request_id, reviewer_id)
);

-- Invariant 2, held by the store as well: nobody decides on what they asked for.
create function brevet.reviews_are_by_others() returns trigger language plpgsql as $$
declare asked record;
begin
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
end $$;
create trigger reviews_are_by_others before insert or update or delete on brevet.reviews
  for each row execute function brevet.reviews_are_by_others();

create table brevet.grants (
  id               text primary key check (id ~ '^grt_'),
  request_id       text not null unique references brevet.requests,
  principal_id     text not null references brevet.principals,
  on_behalf_of_id  text references brevet.principals,
  entitlement_id   text not null references brevet.entitlements,
  entitlement      jsonb not null,
  state            text not null check (state in ('scheduled', 'activating', 'active', 'revoking', 'ended')),
  duration_seconds integer not null check (duration_seconds between 1 and 31622400),
  created_at       timestamptz not null,
  start_at         timestamptz not null,
  -- When an activation that has not succeeded is given up.
  activate_by      timestamptz not null,
  activated_at     timestamptz,
  deadline         timestamptz,
  -- When the removal fell due, and why.
  revoke_due_at    timestamptz,
  end_reason       text check (end_reason in ('expired', 'completed', 'revoked', 'activation_failed', 'identity_disabled',
                                              'target_retired', 'entitlement_retired', 'policy_changed')),
  ended_at         timestamptz,
  overdue_at       timestamptz,
  check (state <> 'active' or (activated_at is not null and deadline is not null)),
  check (deadline is null or activated_at is null or deadline > activated_at),
  check ((state in ('revoking', 'ended')) = (end_reason is not null)),
  check ((state in ('revoking', 'ended')) = (revoke_due_at is not null)),
  check ((state = 'ended') = (ended_at is not null)),
  check (overdue_at is null or state in ('revoking', 'ended'))
);
create index grants_deadlines on brevet.grants (deadline) where state = 'active';
create index grants_starts on brevet.grants (start_at) where state = 'scheduled';
create index grants_activating on brevet.grants (activate_by) where state = 'activating';
-- Only those not yet marked, so that a target that is down for days costs nothing here.
create index grants_late on brevet.grants (revoke_due_at) where state = 'revoking' and overdue_at is null;
create index grants_live on brevet.grants (state) where state <> 'ended';
create index grants_by_principal on brevet.grants (principal_id, id desc);
create index grants_by_behalf on brevet.grants (on_behalf_of_id) where on_behalf_of_id is not null;

alter table brevet.requests add foreign key (extends_grant_id) references brevet.grants;

-- Invariant 2, held by the store as well: a grant without an approved request does not commit.
create function brevet.grants_are_approved() returns trigger language plpgsql as $$
begin
  if (select state from brevet.requests where id = new.request_id) <> 'approved' then
    raise exception 'request % is not approved', new.request_id using errcode = '23000', constraint = 'grants_are_approved';
  end if;
  return null;
end $$;
create constraint trigger grants_are_approved after insert on brevet.grants deferrable initially deferred
  for each row execute function brevet.grants_are_approved();

create table brevet.grant_parts (
  id          text primary key check (id ~ '^prt_'),
  grant_id    text not null references brevet.grants,
  ordinal     integer not null,
  target_id   text not null references brevet.targets,
  kind        text not null check (kind in ('ephemeral_account', 'temporary_elevation', 'brokered_session')),
  scope       jsonb not null,
  object_name text not null unique,
  account     text,
  state       text not null check (state in ('planned', 'present', 'removing', 'absent')),
  -- The deadline that the target itself was or will be told.
  deadline    timestamptz,
  prior       jsonb,
  secret      bytea,
  evidence    jsonb,
  -- Work: who has claimed it until when, and the fence that tells a stale worker from the current one.
  work        text check (work in ('provision', 'withdraw')),
  due_at      timestamptz,
  fence       bigint not null default 0,
  claimed_until timestamptz,
  attempts    integer not null default 0,
  last_error  text,
  -- Absent, and its grant knows: what is absent and not settled is where an end may be due.
  settled     boolean not null default false,
  unique (grant_id, ordinal),
  check ((work is null) = (due_at is null)),
  check (claimed_until is null or work is not null),
  check (state <> 'absent' or (work is null and secret is null)),
  check (not settled or state = 'absent')
);
-- A lane is one kind of work on one target: claims go from lane to lane, oldest first in each.
create index grant_parts_lanes on brevet.grant_parts (work, target_id, due_at) where work is not null;
create index grant_parts_running on brevet.grant_parts (work, target_id, claimed_until) where claimed_until is not null;
create index grant_parts_live on brevet.grant_parts (target_id) where state <> 'absent';
create index grant_parts_unsettled on brevet.grant_parts (grant_id) where state = 'absent' and not settled;

create table brevet.sessions (
  id             text primary key check (id ~ '^ses_'),
  grant_id       text not null references brevet.grants,
  part_id        text not null references brevet.grant_parts,
  principal_id   text not null references brevet.principals,
  protocol       text not null,
  broker_id      text not null,
  state          text not null check (state in ('pending', 'active', 'ended')),
  opened_at      timestamptz not null,
  lease_until    timestamptz not null,
  client_address text not null,
  application    text,
  facts          jsonb not null default '{}',
  -- Set when the gate wants it ended: the reason that the broker is told.
  cut_reason     text,
  ended_at       timestamptz,
  end_reason     text,
  statements     bigint not null default 0,
  bytes_in       bigint not null default 0,
  bytes_out      bigint not null default 0,
  recording_root text,
  check ((state = 'ended') = (ended_at is not null)),
  check ((state = 'ended') = (end_reason is not null))
);
create index sessions_live_by_grant on brevet.sessions (grant_id) where state <> 'ended';
create index sessions_live_by_lease on brevet.sessions (lease_until) where state <> 'ended';
create index sessions_by_grant on brevet.sessions (grant_id, id);
create index sessions_by_principal on brevet.sessions (principal_id, id);

-- Revocation is absorbing (invariant 5): states move only as GRANT_TRANSITIONS in src/domain/lifecycle.ts lets them.
-- "Ended" means verified (invariant 6): every part is absent, or was never touched, and no session lives.
create function brevet.grants_move_forward() returns trigger language plpgsql as $$
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
end $$;
create trigger grants_move_forward before update on brevet.grants
  for each row execute function brevet.grants_move_forward();

create table brevet.recording_chunks (
  session_id text not null references brevet.sessions,
  seq        integer not null check (seq >= 0),
  sealed     bytea not null,
  events     integer not null,
  -- SHA-256 of the previous chunk's hash and these bytes: the last one, in the log, stands for all.
  hash       text not null,
  at         timestamptz not null,
  primary key (session_id, seq)
);

create table brevet.connection_tokens (
  handle       text primary key,
  grant_id     text not null references brevet.grants,
  principal_id text not null references brevet.principals,
  verifier     jsonb not null,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  consumed_at  timestamptz
);

create table brevet.certificates (
  fingerprint  text primary key,
  principal_id text not null references brevet.principals,
  grant_id     text references brevet.grants,
  created_at   timestamptz not null,
  not_after    timestamptz not null,
  revoked_at   timestamptz
);

create table brevet.keys (
  id           text primary key check (id ~ '^key_'),
  principal_id text not null references brevet.principals,
  label        text not null,
  public_key   text not null unique,
  created_at   timestamptz not null,
  signed_in_at timestamptz not null,
  sign_in_method text not null,
  -- The administrator whose sign-in link, in the end, made this key: whoever arranged a sign-in may have used it.
  issued_by    text references brevet.principals,
  last_used_at timestamptz,
  revoked_at   timestamptz
);
create index keys_by_principal on brevet.keys (principal_id);

create table brevet.signature_nonces (
  key_id  text not null references brevet.keys,
  nonce   text not null,
  used_at timestamptz not null,
  primary key (key_id, nonce)
);
create index signature_nonces_age on brevet.signature_nonces (used_at);

create table brevet.sign_in_links (
  verifier     bytea primary key,
  principal_id text not null references brevet.principals,
  -- Null for links that the server itself gave to whoever started it.
  issued_by    text references brevet.principals,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  consumed_at  timestamptz
);

create table brevet.idempotency_keys (
  principal_id text not null references brevet.principals,
  key          text not null,
  body_hash    text not null,
  status       integer,
  response     text,
  created_at   timestamptz not null,
  primary key (principal_id, key)
);
create index idempotency_keys_age on brevet.idempotency_keys (created_at);

-- Brevet's own keys: the log's signing key, the certificate authority; sealed under the root key.
create table brevet.own_keys (
  name       text primary key,
  sealed     bytea not null,
  public     text not null,
  created_at timestamptz not null
);

-- The transparency log. An entry is written with the change it tells of; the sequencer gives it its number afterwards.
create table brevet.log_entries (
  id           text primary key check (id ~ '^evt_'),
  arrival      bigint generated always as identity,
  at           timestamptz not null,
  type         text not null,
  body         text not null,
  grant_id     text,
  request_id   text,
  session_id   text,
  principal_id text,
  index        bigint unique check (index >= 0),
  leaf         bytea,
  check ((index is null) = (leaf is null))
);
create index log_entries_unsequenced on brevet.log_entries (arrival) where index is null;
create index log_entries_grant on brevet.log_entries (grant_id, index, arrival) where grant_id is not null;
create index log_entries_request on brevet.log_entries (request_id, index, arrival) where request_id is not null;
create index log_entries_principal on brevet.log_entries (principal_id, index, arrival) where principal_id is not null;

create function brevet.log_entries_are_final() returns trigger language plpgsql as $$
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
end $$;
create trigger log_entries_are_final before update or delete on brevet.log_entries
  for each row execute function brevet.log_entries_are_final();
create trigger log_entries_stay before truncate on brevet.log_entries
  for each statement execute function brevet.log_entries_are_final();

-- How far the log is numbered. Whoever appends holds this row, so there is one sequencer at a time.
create table brevet.log_state (
  one        boolean primary key default true check (one),
  size       bigint not null,
  checkpoint text,
  signed_at  timestamptz
);
insert into brevet.log_state (size) values (0);

-- Tiles as in c2sp.org/tlog-tiles: up to 256 hashes of 32 bytes each. Their right edge is what appending needs.
create table brevet.log_tiles (
  level  integer not null check (level >= 0),
  number bigint not null check (number >= 0),
  hashes bytea not null check (length(hashes) between 32 and 8192 and length(hashes) % 32 = 0),
  primary key (level, number)
);
create unique index log_tiles_edge on brevet.log_tiles (level) where length(hashes) < 8192;

create function brevet.log_tiles_only_grow() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' or (new.level, new.number) <> (old.level, old.number)
     or substring(new.hashes for length(old.hashes)) <> old.hashes then
    raise exception 'a tile of the log only grows' using errcode = '23000', constraint = 'log_tiles_only_grow';
  end if;
  return new;
end $$;
create trigger log_tiles_only_grow before update or delete on brevet.log_tiles
  for each row execute function brevet.log_tiles_only_grow();
create trigger log_tiles_stay before truncate on brevet.log_tiles
  for each statement execute function brevet.log_tiles_only_grow();
