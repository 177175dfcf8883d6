# An account that exists is raised: members of the group it becomes by name, in /etc/group; the rule is a file of ours.

# Refuses an account that nobody may raise. ACCOUNT is its name.
check_account() {
  read_account "$ACCOUNT" || refuse refused "there is no account $ACCOUNT on the target"
  [ "$A_uid" != 0 ] || refuse dangerous "$ACCOUNT is root by its number"
  [ "$A_name" = "$ACCOUNT" ] || refuse refused "there is no account $ACCOUNT on the target"
  case $A_gecos in 'brevet of='*) refuse dangerous "$ACCOUNT is one of Brevet's own accounts" ;; esac
}

# Whether another part of this or another Brevet has lent the group to the account: then it is not the account's own,
# and not ours alone to take.
lent_by_other() {
  for file in "$STATE"/*/brevet_*; do
    case $file in "$STATE/$INSTALLATION/$OBJECT" | *.new) continue ;; esac
    [ -f "$file" ] && grep -qx "name=$1" "$file" && grep -qE "^groups=(.* )?$2( .*)?\$" "$file" && return 0
  done
  return 1
}

prepare_elevation() {
  lock
  check_account
  check_groups
  check_commands
  held=
  for group in $GROUPS_WANTED; do
    if [ "$(getent group "$group" | cut -d : -f 3)" = "$A_gid" ]; then held="$held $group"
    elif is_member "$ACCOUNT" "$group" && ! lent_by_other "$ACCOUNT" "$group"; then held="$held $group"; fi
  done
  say fact uid "$A_uid"
  say fact held "${held# }"
  now
}

raise() {
  lock
  read_state "$STATE/$INSTALLATION/$OBJECT"
  refuse_lower_fence
  check_account
  [ "$A_uid" = "$ACCOUNT_UID" ] || refuse refused 'the account is another one than when it was prepared'
  uid=$A_uid NAME=$ACCOUNT lent=
  check_groups
  check_commands
  check_rule
  ask
  for group in $GROUPS_WANTED; do
    # What it held before is its own, and stays.
    case " $HELD " in *" $group "*) continue ;; esac
    lent="$lent $group"
  done
  lent=${lent# }
  # What an earlier attempt lent, and this one does not, goes before it is forgotten.
  for group in $S_groups; do
    case " $lent " in *" $group "*) continue ;; esac
    lower_group "$ACCOUNT" "$group"
  done
  write_state
  for group in $lent; do
    is_member "$ACCOUNT" "$group" || attempt gpasswd -a "$ACCOUNT" "$group" || refuse refused "the account did not become a member of $group"
  done
  place_rule "$ACCOUNT"
  members=
  for group in $GROUPS_WANTED; do
    if is_member "$ACCOUNT" "$group" || [ "$(getent group "$group" | cut -d : -f 3)" = "$A_gid" ]; then members="$members $group"; fi
  done
  say fact uid "$uid"
  say fact groups "${members# }"
  say fact lent "$lent"
  rule_fact
  now
}

lower_group() {
  lent_by_other "$1" "$2" || ! is_member "$1" "$2" || attempt gpasswd -d "$1" "$2"
}

# By the account's number: its name may be another by now. A name that was put into the group's line comes out of it,
# whoever bears it.
lower() {
  ENDED=0 gone=yes
  uid=${S_uid:-$ACCOUNT_UID}
  lent=$S_groups
  if [ -z "$S_kind" ]; then
    for group in $GROUPS_WANTED; do case " $HELD " in *" $group "*) ;; *) lent="$lent $group" ;; esac; done
  fi
  drop_rule
  name_now=$(name_of_uid "$uid")
  for group in $lent; do
    for name in "${S_name:-$ACCOUNT}" "$name_now"; do [ -z "$name" ] || lower_group "$name" "$group"; done
  done
  end_sudo "$uid" "${S_commands:-$COMMANDS}"
  for group in $lent; do
    gid=$(getent group "$group" | cut -d : -f 3)
    [ -n "$gid" ] || continue
    for name in "${S_name:-$ACCOUNT}" "$name_now"; do
      [ -z "$name" ] || ! is_member "$name" "$group" || lent_by_other "$name" "$group" || left memberships 1
    done
    # Where another grant still lends it, its sessions hold it by right.
    [ -z "$name_now" ] || ! is_member "$name_now" "$group" || continue
    end_holding "$uid" "$gid"
    strip_group "$gid"
    processes_holding "$uid" "$gid"
    left processes "$(set -- $PIDS; echo $#)"
  done
  end_sudo "$uid" "${S_commands:-$COMMANDS}"
  left rules "$(find /etc/sudoers.d -maxdepth 1 -name "$OBJECT*" 2>/dev/null | wc -l)"
  say fact ended "$ENDED"
  say fact found "$([ -n "$S_kind" ] && echo yes || echo no)"
  now
  if [ "$gone" = yes ]; then drop_state; fi
  say gone "$gone"
}

# A program with the group and the set-group-ID bit gives the group to whoever runs it, after the membership's end.
strip_group() {
  home=$(getent passwd "$uid" | cut -d : -f 6)
  for place in /tmp /var/tmp /dev/shm "$home"; do
    [ -n "$place" ] && [ "$place" != / ] && [ -d "$place" ] || continue
    timeout 10 find "$place" -xdev -type f -uid "$uid" -gid "$1" -perm -2000 -printf '%p\0' -execdir chmod g-s -- {} \; 2>/dev/null | tr '\n\t\0' '??\n' | head -n 50 | while IFS= read -r file; do say residue set_group_id "$(plain "$file")"; done
  done
}
