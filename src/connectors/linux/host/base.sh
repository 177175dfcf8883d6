# What every script on the host stands on. What differs from run to run comes in as variables, set above by quoted
# literals. Answers are lines of fields between tabs; what others wrote goes through `plain` first.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
unset IFS ENV BASH_ENV CDPATH TZ TMPDIR
umask 077
# A folder of root's own: one that some account owned could be exchanged under our hands (C07).
STATE=/var/lib/brevet-grants

say() { printf '%s\t%s\t%s\n' "$1" "${2-}" "${3-}"; }
plain() { printf '%s' "$*" | tr -c '[:print:]' ' ' | cut -c 1-300; }
problem() { say problem "$(plain "$*")"; }
refuse() {
  say refused "$1" "$(plain "$2")"
  exit 3
}

# Runs a program; when it fails its words become a problem.
attempt() {
  said=$("$@" 2>&1 </dev/null 9>&- 3<&-) && return 0
  problem "$1: $said"
  return 1
}

# One worker at a time on this host. Only root can open the file, so nobody else can hold it; a worker that sleeps
# is ended by the time limit of its script.
lock() {
  mkdir -m 700 /run/brevet 2>/dev/null
  [ -d /run/brevet ] && [ ! -L /run/brevet ] && [ "$(stat -c %u /run/brevet)" = 0 ] || refuse refused '/run/brevet is not a folder of root'
  exec 9>/run/brevet/lock
  flock -w "$PATIENCE" 9 || refuse busy 'another worker is at work on this host'
}

# Asks whether the claim still holds, right before the first lasting change. No answer is a no.
ask() {
  say ask
  [ "$(timeout 10 head -n 1 <&3 9>&-)" = go ] && return 0
  [ -z "${SUDO_NEW-}" ] || rm -f -- "$SUDO_NEW"
  refuse unclaimed 'another worker has this part now; nothing was changed'
}

# What is written down of a part: the truth about what was given, in a file that only root can write.
read_state() {
  S_kind= S_grant= S_part= S_fence=0 S_name= S_uid= S_groups= S_until= S_key= S_commands=
  [ -f "$1" ] || return 1
  while IFS= read -r line; do
    value=${line#*=}
    case ${line%%=*} in
      kind) S_kind=$value ;;
      grant) S_grant=$value ;;
      part) S_part=$value ;;
      fence) S_fence=$value ;;
      name) S_name=$value ;;
      uid) S_uid=$value ;;
      groups) S_groups=$value ;;
      until) S_until=$value ;;
      key) S_key=$value ;;
      command) S_commands="$S_commands$value
" ;;
    esac
  done <"$1"
  case $S_fence in '' | *[!0-9]*) S_fence=0 ;; esac
  case $S_uid in 0 | *[!0-9]*) S_uid= ;; esac
  case $S_name in *[!a-z0-9._-]* | -*) S_name= ;; esac
}

# On the disk before the first change: after a crash it tells what has to be looked for.
write_state() {
  mkdir -p -- "$STATE/$INSTALLATION" || refuse refused "$STATE can't be made"
  new=$STATE/$INSTALLATION/$OBJECT.new
  {
    printf '%s\n' "kind=$KIND" "grant=$GRANT" "part=$PART" "fence=$FENCE" "name=$NAME" "uid=$uid" "groups=$lent" "until=$UNTIL" "key=$KEY_LINE"
    printf '%s' "$COMMANDS" | sed '/./s/^/command=/'
  } >"$new" && sync "$new" && mv -f -- "$new" "$STATE/$INSTALLATION/$OBJECT" || refuse refused "$STATE can't be written"
}

drop_state() {
  rm -f -- "$STATE/$INSTALLATION/$OBJECT" "$STATE/$INSTALLATION/$OBJECT.new" "$STATE/$INSTALLATION/$OBJECT.stopped"
  rmdir "$STATE/$INSTALLATION" 2>/dev/null || :
}

refuse_lower_fence() {
  [ "$S_fence" -le "$FENCE" ] || refuse conflict 'a later worker has made this already; nothing was changed'
}

# Sets A_name, A_uid, A_gid, A_gecos, A_home, A_shell for the account with this name or number.
read_account() {
  A_name= A_uid= A_gid= A_gecos= A_home= A_shell=
  IFS=: read -r A_name _ A_uid A_gid A_gecos A_home A_shell <<EOT
$(getent passwd "$1")
EOT
  [ -n "$A_uid" ]
}

name_of_uid() { getent passwd "$1" | cut -d : -f 1; }

# Whether the group's line names the account; the primary group is another matter.
is_member() {
  case ",$(getent group "$2" | cut -d : -f 4)," in *",$1,"*) return 0 ;; esac
  return 1
}

now() { say fact readAt "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)"; }
