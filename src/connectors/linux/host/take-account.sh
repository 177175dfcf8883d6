# Takes an account away, from whatever half state it is in. The order is the point: no new sign-in and nothing that
# starts again; then end what runs; then what is owned; the name last, which all the rest is found by.
take_account() {
  ENDED=0 gone=yes
  find_own
  uid=${OWN_uid:-$S_uid}
  # What runs with a number that is another account's now is not ours to end.
  if [ -z "$OWN" ] && [ -n "$TAKEN" ]; then uid=; fi
  drop_rule
  close_login
  if [ -n "$uid" ]; then
    end_sudo "$uid" ''
    for _ in 1 2; do
      drop_jobs
      end_user "$uid" || gone=no
    done
    # An operator has given it another number.
    if [ -n "$S_uid" ] && [ "$S_uid" != "$uid" ] && [ -z "$TAKEN" ]; then end_user "$S_uid" || gone=no; fi
  fi
  say fact ended "$ENDED"
  say fact found "$([ -n "$OWN" ] && echo yes || echo no)"
  if [ "$gone" = yes ]; then
    [ -z "$uid" ] || hand_over
    drop_home
    drop_login
    if [ -n "$uid" ]; then
      # A sign-in that had begun may have come through meanwhile.
      end_user "$uid" || gone=no
      drop_jobs
    fi
  else problem 'processes of the account do not end'; fi
  [ -z "$STRANGER" ] || say residue unmarked_account "$NAME"
  [ -z "$TAKEN" ] || say residue number_taken "$S_uid"
  read_absence
}

close_login() {
  if [ -n "$KEYS" ]; then
    [ -n "$STRANGER" ] || rm -f -- "$KEYS/$NAME" "$KEYS/.$NAME.new"
  elif [ -n "$OWN" ]; then keys_changed; fi
  [ -z "$OWN" ] || attempt usermod -L -e 1 -s /usr/sbin/nologin -- "$OWN"
}

# Somebody who added a key could have come in beside the broker.
keys_changed() {
  file=$OWN_home/.ssh/authorized_keys
  [ -n "$S_key" ] && [ "$OWN_home" = "$HOMES/$NAME" ] && [ -e "$OWN_home/.ssh" ] || return 0
  if [ -L "$OWN_home/.ssh" ] || [ -L "$file" ] || [ "$(head -c 20000 -- "$file" 2>/dev/null)" != "$S_key" ] || [ -e "${file}2" ]; then say residue keys_changed "$NAME"; fi
}

# By owner, so that they are found under every name; a folder that another program made is looked into all the same.
drop_jobs() {
  for spool in /var/spool/cron/crontabs /var/spool/cron /var/spool/cron/atjobs /var/spool/cron/atspool /var/spool/at; do
    [ -d "$spool" ] || continue
    find "$spool" -maxdepth 1 -type f -uid "$uid" -printf '%f\0' -delete | tr '\n\t\0' '??\n' | head -n 20 | while IFS= read -r job; do say residue job "$spool/$(plain "$job")"; done
  done
  for name in "$NAME" "$OWN"; do
    [ -n "$name" ] && [ -z "$STRANGER" ] || continue
    rm -f -- "/var/spool/cron/crontabs/$name" "/var/lib/systemd/linger/$name"
  done
  [ ! -d /run/systemd/system ] || [ -z "$OWN" ] || timeout 5 loginctl terminate-user "$OWN" >/dev/null 2>&1 </dev/null 9>&- 3<&-
}

# Nobody lives with this user id any more. What it leaves where all may write becomes root's: shut, and with nothing
# set that would run as somebody. Each is changed from within its folder, through no link (C07).
hand_over() {
  for place in /tmp /var/tmp /dev/shm /run/lock; do
    [ -d "$place" ] && [ ! -L "$place" ] || continue
    timeout 10 find "$place" -xdev -uid "$uid" -printf '%p\0' 2>/dev/null | tr '\n\t\0' '??\n' | head -n 50 | while IFS= read -r file; do say residue file "$(plain "$file")"; done
    timeout 10 find "$place" -xdev -uid "$uid" ! -type l -execdir chmod u-s,g-s,go-rwx -- {} + 2>/dev/null
    timeout 10 find "$place" -xdev -uid "$uid" -execdir chown -h 0:0 -- {} + 2>/dev/null
  done
  for queue in shm:m sem:s msg:q; do
    awk -v uid="$uid" 'NR == 1 { for (at = 1; at <= NF; at++) if ($at == "uid") column = at; next } $column == uid { print $2 }' "/proc/sysvipc/${queue%:*}" 2>/dev/null | while read -r id; do
      say residue shared_memory "${queue%:*} $id"
      ipcrm "-${queue#*:}" "$id" >/dev/null 2>&1
    done
  done
}

# The home's path is ours from beginning to end: an account whose home an operator moved keeps it.
drop_home() {
  home=$HOMES/$NAME
  [ -z "$STRANGER" ] || return 0
  rm -rf -- "$HOMES/.$NAME.new"
  [ -d "$home" ] && [ ! -L "$home" ] || return 0
  [ -n "$OWN" ] || [ -n "$S_uid" ] || return 0
  chattr -i "$home/.ssh" "$home/.ssh/authorized_keys" 2>/dev/null
  while read -r _ mounted _; do
    mounted=$(printf '%b' "$(printf '%s' "$mounted" | sed 's/\\\([0-7]\{3\}\)/\\0\1/g')")
    case $mounted in "$home"/*) umount -l -- "$mounted" 2>/dev/null ;; esac
  done </proc/self/mounts
  attempt rm -rf --one-file-system -- "$home"
}

drop_login() {
  if [ -n "$OWN" ]; then
    rm -f -- "/var/mail/$OWN" "/var/spool/mail/$OWN"
    attempt userdel -f -- "$OWN"
  fi
  # userdel takes the group of the same name with it, if it finds nothing against it.
  if [ -z "$STRANGER" ] && [ -n "$uid" ] && [ "$(getent group "$NAME" | cut -d : -f 3)" = "$uid" ]; then attempt groupdel -- "$NAME"; fi
}

left() {
  say left "$1" "$2"
  [ "$2" = 0 ] || gone=no
}

read_absence() {
  read_before=$S_uid
  processes_of "${uid:-4294967294}"
  left processes "$(set -- $PIDS; echo $#)"
  find_own
  left accounts "$([ -n "$OWN" ] && echo 1 || echo 0)"
  left strangers "$([ -n "$STRANGER$TAKEN" ] && echo 1 || echo 0)"
  left rules "$(find /etc/sudoers.d -maxdepth 1 -name "$OBJECT*" 2>/dev/null | wc -l)"
  if [ -n "$read_before$S_grant" ] && [ -z "$STRANGER" ]; then left homes "$([ -e "$HOMES/$NAME" ] && echo 1 || echo 0)"; fi
  left jobs "$([ -n "$uid" ] && find /var/spool/cron /var/spool/at -maxdepth 2 -type f -uid "$uid" 2>/dev/null | wc -l || echo 0)"
  left groups "$([ -n "$uid" ] && [ "$(getent group "$NAME" | cut -d : -f 3)" = "$uid" ] && echo 1 || echo 0)"
  now
  if [ "$gone" = yes ]; then drop_state; fi
  say gone "$gone"
}
