-- A person's list holds what was asked for on their behalf.
create index requests_by_behalf on brevet.requests (on_behalf_of_id) where on_behalf_of_id is not null;
