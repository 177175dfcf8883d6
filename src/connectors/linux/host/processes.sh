# Processes, found in /proc and ended until none is left.

# Sets PIDS: every process that has this user id in one of its four places, but for zombies, which hold nothing. (A
# leader of threads that has left them looks like a zombie: it has more than one thread.)
processes_of() {
  PIDS=
  for status in $(grep -lsE "^Uid:([[:blank:]][0-9]+)*[[:blank:]]$1([[:blank:]]|\$)" /proc/[0-9]*/status 2>/dev/null); do
    if grep -qsE '^State:[[:blank:]]+[ZX]' "$status" && grep -qsE '^Threads:[[:blank:]]+[01]$' "$status"; then continue; fi
    [ -e "$status" ] || continue
    status=${status%/status}
    PIDS="$PIDS ${status#/proc/}"
  done
}

# Ends all that runs with a user id. `kill -1` by that user reaches all of them in one step of the kernel's, which a
# fork can't slip through; what is left after three rounds of it is ended one by one.
end_user() {
  round=0
  while processes_of "$1"; [ -n "$PIDS" ]; do
    ENDED=$((ENDED + $(set -- $PIDS; echo $#)))
    [ "$round" -lt 30 ] || return 1
    (
      ulimit -u unlimited 2>/dev/null
      setpriv --reuid="$1" --regid=65534 --clear-groups /bin/sh -c 'kill -KILL -1' 9>&- 3<&- 2>/dev/null
    )
    [ "$round" -lt 3 ] || kill -KILL $PIDS 2>/dev/null
    [ "$round" -eq 0 ] || sleep 0.1
    round=$((round + 1))
  done
}

# Ends what sudo runs for a user id: of these commands, one a line, or of any when there are none. Known by what sudo
# writes into the environment; what took that out of its own goes unseen.
end_sudo() {
  for environ in $(grep -lzsxE "SUDO_UID=$1" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${environ#/proc/} pid=${pid%/environ}
    [ "$pid" != $$ ] || continue
    if [ -z "$2" ]; then
      ENDED=$((ENDED + 1))
      kill -KILL "$pid" 2>/dev/null
      continue
    fi
    while IFS= read -r command; do
      [ -n "$command" ] || continue
      [ "$command" = ALL ] || grep -qzsxF "SUDO_COMMAND=$command" "$environ" || continue
      ENDED=$((ENDED + 1))
      kill -KILL "$pid" 2>/dev/null
      break
    done <<EOT
$2
EOT
  done
}

# Sets PIDS: processes of a user id that hold a group, as their own or beside it.
processes_holding() {
  processes_of "$1"
  all=$PIDS PIDS=
  for pid in $all; do
    if grep -qsE "^(Gid|Groups):.*[[:blank:]]$2([[:blank:]]|\$)" "/proc/$pid/status"; then PIDS="$PIDS $pid"; fi
  done
}

# Ends the processes of an account that hold a group: membership outlives its removal in them. They are stopped first,
# so that they can't fork while the rest is looked for. What flees all the same takes the whole account down with it.
end_holding() {
  round=0
  while processes_holding "$1" "$2"; [ -n "$PIDS" ]; do
    ENDED=$((ENDED + $(set -- $PIDS; echo $#)))
    if [ "$round" -ge 8 ]; then
      problem 'processes that hold the group multiply: all processes of the account were ended'
      end_user "$1"
      return
    fi
    kill -STOP $PIDS 2>/dev/null
    stopped=$PIDS
    processes_holding "$1" "$2"
    kill -STOP $PIDS 2>/dev/null
    kill -KILL $stopped $PIDS 2>/dev/null
    [ "$round" -eq 0 ] || sleep 0.1
    round=$((round + 1))
  done
}
