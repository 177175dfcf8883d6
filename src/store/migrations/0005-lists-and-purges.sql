-- Every list, count and purge finds what it wants by an index, however long the history has grown: no query reads what is over
-- to find what is live.

-- The primary key does this as well.
drop index brevet.requests_newest;
create index requests_by_state on brevet.requests (state, id);
create index requests_by_principal_state on brevet.requests (principal_id, state, id);

-- In the order of the list, and with the state, which is what counts ask for.
drop index brevet.grants_live;
create index grants_live on brevet.grants (id) include (state) where state <> 'ended';
create index grants_live_by_principal on brevet.grants (principal_id, id) where state <> 'ended';
create index grants_live_by_entitlement on brevet.grants (entitlement_id, id) where state <> 'ended';
create index grants_overdue on brevet.grants (id) where overdue_at is not null and state <> 'ended';

create index grant_parts_by_target on brevet.grant_parts (target_id, grant_id);
-- A part is settled exactly when its grant has ended.
create index grant_parts_unended on brevet.grant_parts (target_id, grant_id) where not settled;

create index sessions_live on brevet.sessions (id) where state <> 'ended';
create index sessions_live_by_principal on brevet.sessions (principal_id, id) where state <> 'ended';

create index log_entries_type on brevet.log_entries (type, index, arrival);

-- What runs out is purged a day later; until then what is unspent is counted and revoked by its principal.
create index certificates_age on brevet.certificates (not_after);
create index certificates_unrevoked on brevet.certificates (principal_id, not_after) where revoked_at is null;
create index connection_tokens_age on brevet.connection_tokens (expires_at);
create index connection_tokens_unspent on brevet.connection_tokens (principal_id, expires_at) where consumed_at is null;
create index sign_in_links_age on brevet.sign_in_links (expires_at);
