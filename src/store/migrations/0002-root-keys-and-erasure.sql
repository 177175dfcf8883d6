-- Root keys that values are sealed under, by id; never the keys. The newest is in force: what is sealed from now on is
-- sealed under it. Every sealed column has a generated `..._under`, the root key's id in the value's header, and refers to
-- this table: a value under a key that is retired or not yet in force does not commit, a key with anything under it is not
-- removed, whatever else races with the two.
create table brevet.root_keys (
  id             text primary key check (id ~ '^[0-9a-f]{16}$'),
  ordinal        bigint generated always as identity unique,
  in_force_since timestamptz not null
);

-- Which root keys each running server has loaded. A new one comes into force when all have it.
create table brevet.key_holders (
  server      text primary key,
  host        text not null,
  keys        text[] not null,
  seals_under text not null,
  seen_at     timestamptz not null
);

alter table brevet.idempotency_keys alter column response type bytea using decode(response, 'base64');

alter table brevet.subject_keys add column sealed_under text generated always as (encode(substring(sealed from 2 for 8), 'hex')) stored;
alter table brevet.targets add column credential_under text generated always as (encode(substring(credential from 2 for 8), 'hex')) stored;
alter table brevet.grant_parts add column secret_under text generated always as (encode(substring(secret from 2 for 8), 'hex')) stored;
alter table brevet.recording_chunks add column sealed_under text generated always as (encode(substring(sealed from 2 for 8), 'hex')) stored;
alter table brevet.idempotency_keys add column response_under text generated always as (encode(substring(response from 2 for 8), 'hex')) stored;
alter table brevet.own_keys add column sealed_under text generated always as (encode(substring(sealed from 2 for 8), 'hex')) stored;

-- Own keys were sealed at the first start: their root key is the oldest.
insert into brevet.root_keys (id, in_force_since)
  select id, now() from (
    select sealed_under as id, 0 as rank from brevet.own_keys
    union all select sealed_under, 1 from brevet.subject_keys union all select credential_under, 1 from brevet.targets
    union all select secret_under, 1 from brevet.grant_parts union all select sealed_under, 1 from brevet.recording_chunks
    union all select response_under, 1 from brevet.idempotency_keys) found
   where id is not null group by id order by min(rank), id;

alter table brevet.subject_keys add foreign key (sealed_under) references brevet.root_keys;
alter table brevet.targets add foreign key (credential_under) references brevet.root_keys;
alter table brevet.grant_parts add foreign key (secret_under) references brevet.root_keys;
alter table brevet.recording_chunks add foreign key (sealed_under) references brevet.root_keys;
alter table brevet.idempotency_keys add foreign key (response_under) references brevet.root_keys;
alter table brevet.own_keys add foreign key (sealed_under) references brevet.root_keys;
create index subject_keys_under on brevet.subject_keys (sealed_under);
create index grant_parts_under on brevet.grant_parts (secret_under) where secret_under is not null;
create index recording_chunks_under on brevet.recording_chunks (sealed_under);
create index idempotency_keys_under on brevet.idempotency_keys (response_under);

-- Erasure. What is left of somebody is a pseudonym, ids, instants and numbers.
alter table brevet.principals add column erased_at timestamptz,
  add check (erased_at is null or (disabled_at is not null and password_hash is null and not administrator));
create table brevet.erased_names (
  -- HMAC-SHA-256 under an own key: the name stays taken, and a dump does not tell it.
  name_hash    text primary key check (name_hash ~ '^[0-9a-f]{64}$'),
  principal_id text not null unique references brevet.principals
);
alter table brevet.requests add column erased_at timestamptz;
alter table brevet.reviews add column erased_at timestamptz;
-- A destroyed chunk keeps its hash, which the recording's root in the log stands on.
alter table brevet.recording_chunks alter column sealed drop not null, add column destroyed_at timestamptz,
  add check ((sealed is null) = (destroyed_at is not null));

-- What was asked never changes; only its state moves, and only away from pending. Afterwards words can be taken out: what
-- a reviewer wrote, or, with the mark that the hash no longer matches, reason and ticket.
create or replace function brevet.requests_are_immutable() returns trigger language plpgsql as $$
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
end $$;

-- Invariant 2, held by the store as well: nobody decides on what they asked for. A review is final but for its words.
create or replace function brevet.reviews_are_by_others() returns trigger language plpgsql as $$
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
end $$;
