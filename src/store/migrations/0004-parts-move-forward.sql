-- States of parts move only as PART_TRANSITIONS in src/domain/lifecycle.ts lets them; what was taken away stays away.
create function brevet.parts_move_forward() returns trigger language plpgsql as $$
begin
  if new.state <> old.state and (old.state, new.state) not in (('planned', 'present'), ('planned', 'removing'), ('planned', 'absent'),
       ('present', 'removing'), ('removing', 'absent')) then
    raise exception 'part % cannot go from % to %', old.id, old.state, new.state
      using errcode = '23000', constraint = 'parts_move_forward';
  end if;
  return new;
end $$;
create trigger parts_move_forward before update on brevet.grant_parts
  for each row execute function brevet.parts_move_forward();
