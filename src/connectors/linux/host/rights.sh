# Groups and sudo rules.

check_groups() {
  for group in $GROUPS_WANTED; do
    getent group "$group" >/dev/null || refuse refused "there is no group $group on the target"
  done
}

# A command that somebody else than root could write would be a rule for anything.
check_commands() {
  while IFS= read -r command; do
    case $command in '' | ALL) continue ;; esac
    path=${command%% *}
    [ -f "$path" ] && [ -x "$path" ] || refuse refused "$path is no program on the target"
    real=$(readlink -f -- "$path")
    for at in "$path" "$real"; do
      while :; do
        [ "$(stat -Lc %u -- "$at")" = 0 ] && [ -z "$(find -L "$at" -maxdepth 0 -perm /022 ! -perm -1000)" ] || refuse refused "$at can be changed by others than root"
        [ "$at" != / ] || break
        at=$(dirname -- "$at")
      done
    done
  done <<EOT
$COMMANDS
EOT
}

# Checked under a name with a dot, which sudo passes over, and only then put in place by `place_rule`.
check_rule() {
  SUDO_NEW=
  [ -n "$SUDOERS" ] || return 0
  command -v visudo >/dev/null && [ -d /etc/sudoers.d ] || refuse refused 'sudo is not installed on the target'
  SUDO_NEW=/etc/sudoers.d/$OBJECT.new
  rm -f -- "$SUDO_NEW"
  printf '%s' "$SUDOERS" >"$SUDO_NEW" && chmod 440 "$SUDO_NEW"
  said=$(visudo -c -f "$SUDO_NEW" 2>&1 </dev/null) && return 0
  rm -f -- "$SUDO_NEW"
  refuse refused "visudo refuses the rule: $said"
}

place_rule() {
  rule=/etc/sudoers.d/$OBJECT
  if [ -z "$SUDO_NEW" ]; then
    rm -f -- "$rule"
    return 0
  fi
  visudo -c >/dev/null 2>&1 </dev/null
  before=$?
  mv -f -- "$SUDO_NEW" "$rule"
  if [ "$before" -eq 0 ] && ! said=$(visudo -c 2>&1 </dev/null); then
    rm -f -- "$rule"
    refuse refused "with the rule visudo refuses the whole: $said"
  fi
  sudo -n -l -U "$1" 2>/dev/null </dev/null | grep -qF "NOTAFTER=$NOTAFTER" || problem "sudo does not show the rule: /etc/sudoers has to include /etc/sudoers.d"
}

drop_rule() { rm -f -- "/etc/sudoers.d/$OBJECT" "/etc/sudoers.d/$OBJECT.new"; }

rule_fact() {
  [ ! -f "/etc/sudoers.d/$OBJECT" ] || say fact rule "$(sha256sum <"/etc/sudoers.d/$OBJECT" | cut -d ' ' -f 1)"
}
