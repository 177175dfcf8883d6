# Sessions that a broker made as a stored account. Nothing of the account is changed.

traces() {
  home=$A_home
  for file in authorized_keys authorized_keys2; do
    sum=
    # Read as the account, so that a link of its own leads to nothing that it could not read by itself.
    [ ! -f "$home/.ssh/$file" ] || sum=$(setpriv --reuid="$A_uid" --regid="$A_gid" --clear-groups head -c 1000000 -- "$home/.ssh/$file" 2>/dev/null </dev/null | sha256sum | cut -d ' ' -f 1)
    say trace "$file" "$sum"
  done
  say trace crontab "$(cat -- "/var/spool/cron/crontabs/$A_name" 2>/dev/null | sha256sum | cut -d ' ' -f 1)"
  say trace 'at jobs' "$(find /var/spool/cron/atjobs /var/spool/at -maxdepth 1 -type f -uid "$A_uid" 2>/dev/null | sort | sha256sum | cut -d ' ' -f 1)"
  say trace linger "$([ -e "/var/lib/systemd/linger/$A_name" ] && echo on || echo off)"
}

prepare_session() {
  check_account
  say fact uid "$A_uid"
  traces
  now
}

# Sets FOUND: processes that bear a session's mark or came over its connection. MARKS: lines of `port PORT` or
# `mark WORD`, as the broker noted them.
find_marked() {
  FOUND=
  while read -r kind value; do
    case $kind in
      port)
        here=$(grep -lzsE "^SSH_CONNECTION=[^ ]+ $value [^ ]+ [0-9]+\$" /proc/[0-9]*/environ 2>/dev/null)
        # sshd's own process has no such word in its environment, but the connection.
        port=$(printf '%04X' "$value")
        for inode in $(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=":$port" '$4 == "01" && substr($3, length($3) - 4) == port { print $10 }'); do
          here="$here $(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\[$inode\]" 2>/dev/null)"
        done
        ;;
      mark) here=$(grep -lzsxF "LC_BREVET=$value" /proc/[0-9]*/environ 2>/dev/null) ;;
      *) continue ;;
    esac
    for file in $here; do
      pid=${file#/proc/}
      FOUND="$FOUND ${pid%%/*}"
    done
  done <<EOT
$1
EOT
}

# Ends those with the account's number, and sshd's own for it. The account stands still meanwhile: nothing flees.
end_session() {
  ENDED=0 gone=yes
  freeze "$ACCOUNT_UID"
  find_marked "$SPARED"
  spared=" $FOUND "
  round=0
  while find_marked "$MARKS"; gather; [ -n "$TARGETS" ]; do
    [ "$round" -ne 0 ] || ENDED=$(set -- $TARGETS; echo $#)
    if [ "$round" -ge 20 ]; then
      gone=no
      break
    fi
    kill -KILL $TARGETS 2>/dev/null
    sleep 0.05
    round=$((round + 1))
  done
  thaw "$ACCOUNT_UID"
  say fact ended "$ENDED"
  if read_account "$ACCOUNT_UID"; then
    say fact accountFound yes
    traces
  fi
  now
  say gone "$gone"
}

# Sets TARGETS: those found, what descends from them, and what belongs to the same login by the kernel's own count
# (audit session), which no process can leave.
gather() {
  processes_of "$ACCOUNT_UID"
  theirs=" $PIDS " TARGETS= logins=' '
  for pid in $FOUND; do
    case $spared in *" $pid "*) continue ;; esac
    case "$theirs" in *" $pid "*) ;; *) [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd ] || [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd-session ] || continue ;; esac
    TARGETS="$TARGETS $pid"
    login=$(cat "/proc/$pid/sessionid" 2>/dev/null)
    case $theirs in *" $pid "*) case ${login:-4294967295} in 4294967295) ;; *) logins="$logins$login " ;; esac ;; esac
  done
  more=yes
  while [ -n "$more" ]; do
    more=
    for pid in $theirs; do
      case " $TARGETS " in *" $pid "*) continue ;; esac
      case $spared in *" $pid "*) continue ;; esac
      parent=$(sed -n 's/^PPid:[[:blank:]]*//p' "/proc/$pid/status" 2>/dev/null)
      login=$(cat "/proc/$pid/sessionid" 2>/dev/null)
      case " $TARGETS " in
        *" ${parent:-none} "*) TARGETS="$TARGETS $pid" more=yes ;;
        *) case $logins in *" ${login:-none} "*) TARGETS="$TARGETS $pid" more=yes ;; esac ;;
      esac
    done
  done
}
