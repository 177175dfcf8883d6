# The account of an `ephemeral_account`.

# Finds the part's account: by its mark under whatever name it has now, or by name and number as they were written down.
# Sets OWN, OWN_uid and OWN_home. STRANGER: the name is somebody else's; TAKEN: the number is. Root is nobody's.
find_own() {
  OWN= OWN_uid= OWN_home= STRANGER= TAKEN=
  while IFS=: read -r name _ number _ gecos home _; do
    if [ "$number" = 0 ]; then [ "$name" != "$NAME" ] || STRANGER=yes
    elif [ "$gecos" = "$MARK" ] || { [ "$number" = "$S_uid" ] && [ "$name" = "$NAME" ]; }; then
      if [ -z "$OWN" ] || [ "$name" = "$NAME" ]; then OWN=$name OWN_uid=$number OWN_home=$home; fi
    elif [ "$name" = "$NAME" ]; then STRANGER=yes
    elif [ "$number" = "$S_uid" ]; then TAKEN=yes; fi
  done <<EOT
$(getent passwd)
EOT
}

# Numbers are not used again soon: a file that was left behind would belong to the next account.
choose_uid() {
  uid=$(cat "$STATE/next-uid" 2>/dev/null)
  case $uid in '' | *[!0-9]*) uid=$UID_FROM ;; esac
  tries=$((UID_TO - UID_FROM + 1))
  while [ "$tries" -gt 0 ]; do
    if [ "$uid" -lt "$UID_FROM" ] || [ "$uid" -gt "$UID_TO" ]; then uid=$UID_FROM; fi
    if ! getent passwd "$uid" >/dev/null && ! getent group "$uid" >/dev/null; then
      processes_of "$uid"
      [ -n "$PIDS" ] || break
    fi
    uid=$((uid + 1)) tries=$((tries - 1))
  done
  [ "$tries" -gt 0 ] || refuse refused 'every user id of the range is taken'
  mkdir -p -- "$STATE"
  echo $((uid + 1)) >"$STATE/next-uid.new" && sync "$STATE/next-uid.new" && mv -f -- "$STATE/next-uid.new" "$STATE/next-uid"
}

make_account() {
  lock
  read_state "$STATE/$INSTALLATION/$OBJECT"
  refuse_lower_fence
  find_own
  [ -z "$STRANGER" ] || refuse stranger "an account named $NAME exists on the target and is not of this part"
  [ -z "$OWN" ] || [ "$OWN" = "$NAME" ] || refuse refused 'the account was renamed on the target'
  [ -n "$OWN" ] || [ ! -e "$HOMES/$NAME" ] || [ -n "$S_uid" ] || refuse stranger "$HOMES/$NAME exists and is not of this part"
  check_groups
  check_commands
  check_rule
  ask
  uid=${OWN_uid:-$S_uid} lent=
  if [ -z "$uid" ] || { [ -z "$OWN" ] && [ -n "$TAKEN" ]; }; then choose_uid; fi
  write_state
  make_login && make_home && place_rule "$NAME" && place_key || refuse refused 'the account could not be made'
  read_login
}

make_login() {
  shell=/bin/bash
  [ -x "$shell" ] || shell=/bin/sh
  # A crash in the middle of useradd leaves a line in one of its files only.
  if [ -n "$OWN" ] && ! getent shadow "$NAME" >/dev/null; then userdel -f -- "$NAME" >/dev/null 2>&1 9>&- 3<&-; OWN=; fi
  if [ "$(getent group "$NAME" | cut -d : -f 3)" != "$uid" ]; then
    ! getent group "$NAME" >/dev/null || refuse stranger "a group named $NAME exists on the target and is not of this part"
    attempt groupadd -g "$uid" -- "$NAME" || return 1
  fi
  if [ -z "$OWN" ]; then
    attempt useradd -l -M -u "$uid" -g "$uid" -d "$HOMES/$NAME" -s /usr/sbin/nologin -c "$MARK" -e "$EXPIRES" -p '*' -- "$NAME" || return 1
  fi
  groups=$(echo $GROUPS_WANTED | tr ' ' ,)
  attempt usermod -g "$uid" -G "$groups" -s "$shell" -c "$MARK" -e "$EXPIRES" -p '*' -- "$NAME"
}

make_home() {
  home=$HOMES/$NAME
  [ ! -d "$home" ] || [ -L "$home" ] || return 0
  new=$HOMES/.$NAME.new
  rm -rf -- "$new"
  if [ -d /etc/skel ]; then cp -RP /etc/skel "$new"; else mkdir "$new"; fi
  chown -hR "$uid:$uid" "$new" && chmod 700 "$new" && mv -T -- "$new" "$home"
}

# The key comes last: until then nobody can sign in. It belongs to root and stands where the account can't write. Its
# home is the account's to change, and a link in place of .ssh would lead us elsewhere: so we go in, look where we
# are, and write there (C07).
place_key() {
  if [ -n "$KEYS" ]; then
    mkdir -p -m 755 -- "$KEYS" && cd -P -- "$KEYS" || return 1
    name=$NAME
  else
    home=$HOMES/$NAME
    chattr -i "$home/.ssh" "$home/.ssh/authorized_keys" 2>/dev/null
    [ -e "$home/.ssh" ] || mkdir -m 755 -- "$home/.ssh"
    cd -P -- "$home/.ssh" && [ "$(pwd -P)" = "$(readlink -f -- "$HOMES")/$NAME/.ssh" ] && [ "$(stat -c %u .)" = 0 ] && chmod 755 . || refuse refused 'the account has replaced the folder of its keys'
    name=authorized_keys
  fi
  printf '%s\n' "$KEY_LINE" >".$name.new" && chmod 644 ".$name.new" && mv -fT -- ".$name.new" "$name" || return 1
  if [ -z "$KEYS" ]; then chattr +i authorized_keys . 2>/dev/null || :; fi
  cd /
}

key_file() { if [ -n "$KEYS" ]; then echo "$KEYS/$1"; else echo "$2/.ssh/authorized_keys"; fi; }

read_login() {
  read_account "$NAME" || refuse refused 'the target made the account, and does not show it'
  say fact account "$A_name"
  say fact uid "$A_uid"
  say fact gid "$A_gid"
  say fact home "$A_home"
  say fact mark "$A_gecos"
  say fact shell "$A_shell"
  say fact groups "$(id -G -- "$NAME" | tr ' ' '\n' | sort -n | grep -vx "$A_gid" | while read -r gid; do getent group "$gid" | cut -d : -f 1; done | sort | tr '\n' ' ')"
  IFS=: read -r _ password _ _ _ _ _ expires _ <<EOT
$(getent shadow "$NAME")
EOT
  say fact expires "$expires"
  [ "$password" = '*' ] || say fact password set
  # Through no link of the account's: its home is not read as root but where the file is root's.
  file=$(key_file "$NAME" "$A_home")
  [ ! -f "$file" ] || [ -L "$file" ] || say fact keys "$(sha256sum <"$file" | cut -d ' ' -f 1)"
  rule_fact
  now
}
