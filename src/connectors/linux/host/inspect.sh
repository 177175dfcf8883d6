# Looks, and changes nothing.

list_owned() {
  for file in "$STATE/$INSTALLATION"/brevet_*; do
    case $file in *.*) continue ;; esac
    [ -f "$file" ] || continue
    read_state "$file"
    say owned "${file##*/}" "$S_until"
  done
  # What was written down may have been deleted: marks say it too.
  getent passwd | while IFS=: read -r name _ number _ gecos _; do
    case $gecos in "brevet of=$INSTALLATION "*) [ "$number" = 0 ] || say marked "$(plain "$name")" "$(plain "$gecos")" ;; esac
  done
  for file in /etc/sudoers.d/brevet_*; do
    [ -f "$file" ] && grep -qsE "^# brevet of=$INSTALLATION " "$file" || continue
    object=${file##*/}
    say owned "$(plain "${object%.new}")" ''
  done
}

list_standing() {
  getent passwd | while IFS=: read -r name _ number _; do [ "$number" != 0 ] || say standing "$(plain "$name")" 'root by its number'; done
  for group in $POWERFUL; do
    line=$(getent group "$group") || continue
    for name in $(printf '%s' "$line" | cut -d : -f 4 | tr , ' '); do say standing "$(plain "$name")" "member of $group"; done
    gid=$(printf '%s' "$line" | cut -d : -f 3)
    [ "$gid" = 0 ] || getent passwd | while IFS=: read -r name _ _ primary _; do [ "$primary" != "$gid" ] || say standing "$(plain "$name")" "member of $group"; done
  done
  for file in /etc/sudoers /etc/sudoers.d/*; do
    case ${file##*/} in *.* | *~) continue ;; esac
    [ -f "$file" ] || continue
    ! grep -qsE "^# brevet of=$INSTALLATION " "$file" || continue
    sed -e ':join' -e '/\\$/{N;s/\\\n/ /;b join' -e '}' "$file" | grep -E '^[[:blank:]]*[^#@[:blank:]].*=' | grep -vE '^[[:blank:]]*(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias)' | head -n 500 | while IFS= read -r line; do
      say sudoers "$(plain "$line")" "$file"
    done
  done
}

probe() {
  say fact milliseconds "$(date +%s%3N)"
  say fact system "$(plain "$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release 2>/dev/null | head -n 1)")"
}

lacks() { say lack "$(plain "$1")" "$(plain "$2")"; }

# What the part would use and is not there. KIND, ACCOUNT (empty for anybody's), GROUPS_WANTED, COMMANDS, SUDOERS, KEYS.
find_shortfalls() {
  for program in flock getent setpriv timeout find stat sync sha256sum; do
    command -v "$program" >/dev/null || lacks "the program $program is not on the target" 'Install the packages util-linux, coreutils, findutils and libc-bin.'
  done
  if [ "$KIND" = ephemeral_account ]; then
    for program in useradd usermod userdel groupadd groupdel; do
      path=$(command -v "$program") || {
        lacks "the program $program is not on the target" 'Install the package passwd (shadow).'
        continue
      }
      case $(readlink -f -- "$path") in */busybox) lacks "$program is busybox's, which is not supported" 'Install the package shadow.' ;; esac
    done
    [ -d "$HOMES" ] || lacks "there is no folder $HOMES for homes" "Make it, or name another as homes in the target's config."
    if command -v sshd >/dev/null; then
      files=$(sshd -T -C user=brevet,host=localhost,addr=127.0.0.1 2>/dev/null </dev/null | sed -n 's/^authorizedkeysfile //p')
      wanted=${KEYS:+$KEYS/%u}
      case " $files " in *" ${wanted:-.ssh/authorized_keys} "* | '  ') ;; *) lacks "sshd looks for keys in $files, not in ${wanted:-.ssh/authorized_keys}" 'See AuthorizedKeysFile in docs/how-to/linux-target.md.' ;; esac
    fi
  elif [ -n "$ACCOUNT" ]; then
    ( check_account )
    [ "$KIND" = brevet ] || command -v gpasswd >/dev/null || lacks 'the program gpasswd is not on the target' 'Install the package passwd (shadow).'
  fi
  ( check_groups )
  if [ -n "$SUDOERS" ]; then
    if command -v visudo >/dev/null && [ -d /etc/sudoers.d ]; then
      ( check_commands )
      grep -qsE '^[[:blank:]]*[@#]includedir[[:blank:]]+/etc/sudoers\.d' /etc/sudoers || lacks '/etc/sudoers does not include /etc/sudoers.d' 'Add the line @includedir /etc/sudoers.d to it, by visudo.'
      printf 'root ALL=(root) NOTAFTER=20380101000000Z /bin/true\n' | visudo -c -f - >/dev/null 2>&1 || lacks 'sudo on the target knows no NOTAFTER, or no visudo -f -' 'Install sudo 1.8.20 or later.'
    else lacks 'sudo is not installed on the target' 'Install the package sudo.'; fi
  fi
}
