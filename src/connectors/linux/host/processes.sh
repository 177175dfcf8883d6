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

# Sends a signal to all processes of a user id, by one call of `kill` as that user: it reaches all of them in one step of the
# kernel's, which no fork slips through. A list of processes would always be too old for one that forks and ends. Fails when
# one of them ended ours first.
signal_all() {
  [ "$(
    ulimit -u unlimited 2>/dev/null
    setpriv --reuid="$2" --regid=65534 --clear-groups /bin/sh -c "kill -$1 -1; echo sent" 9>&- 3<&- 2>/dev/null
  )" = sent ]
}

# Ends all that runs with a user id; what is left after some rounds is ended one by one.
end_user() {
  processes_of "$1"
  ENDED=$((ENDED + $(set -- $PIDS; echo $#)))
  round=0
  while :; do
    sent=
    ! signal_all KILL "$1" || sent=yes
    processes_of "$1"
    [ -z "$sent" ] || [ -n "$PIDS" ] || return 0
    [ "$round" -lt 30 ] || return 1
    [ "$round" -lt 3 ] || [ -z "$PIDS" ] || kill -KILL $PIDS 2>/dev/null
    sleep 0.1
    round=$((round + 1))
  done
}

# Stops all processes of an account for a moment, so that none is missed while they are looked at; `thaw` lets those go on
# that were not stopped before. Those are written down: should we be ended in between, the next attempt must know.
freeze() {
  stopped=$STATE/$INSTALLATION/$OBJECT.stopped
  mkdir -p -- "$STATE/$INSTALLATION"
  if [ ! -f "$stopped" ]; then
    grep -lsE '^State:[[:blank:]]+[Tt]' /proc/[0-9]*/status 2>/dev/null | sed 's,^/proc/,,; s,/status$,,' >"$stopped.new"
    mv -f -- "$stopped.new" "$stopped"
  fi
  for _ in 1 2 3 4 5; do ! signal_all STOP "$1" || return 0; done
  problem 'the processes of the account do not stop'
}

thaw() {
  processes_of "$1"
  for pid in $PIDS; do grep -qx "$pid" "$stopped" || kill -CONT "$pid" 2>/dev/null; done
  rm -f -- "$stopped"
  rmdir "$STATE/$INSTALLATION" 2>/dev/null || :
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

# Ends the processes of an account that hold a group: membership outlives its removal in them.
end_holding() {
  freeze "$1"
  round=0
  while processes_holding "$1" "$2"; [ -n "$PIDS" ] && [ "$round" -lt 20 ]; do
    [ "$round" -ne 0 ] || ENDED=$((ENDED + $(set -- $PIDS; echo $#)))
    kill -KILL $PIDS 2>/dev/null
    sleep 0.05
    round=$((round + 1))
  done
  thaw "$1"
}
