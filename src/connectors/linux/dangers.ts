/**
 * What outlives or widens a grant although its rule is exact: groups that are root by another way, and programs that run any
 * other program or write any file. None of the lists can be complete; reviewers see every group and command in full.
 */

/** Group: what its members can do. */
const GROUPS: Readonly<Record<string, string>> = {
  root: 'writes what belongs to root\'s group', sudo: 'may run everything as root', wheel: 'may run everything as root', admin: 'may run everything as root',
  docker: 'starts containers that hold the host\'s files', podman: 'starts containers', lxd: 'starts containers that hold the host\'s files',
  lxc: 'starts containers', incus: 'starts containers', 'incus-admin': 'starts containers that hold the host\'s files', microk8s: 'runs anything in the cluster',
  libvirt: 'starts machines that hold the host\'s disks', kvm: 'reaches virtual machines', disk: 'reads and writes raw disks', shadow: 'reads everybody\'s password hashes',
  kmem: 'reads the kernel\'s memory', tty: 'writes to others\' terminals', staff: 'writes programs into /usr/local, which root runs', crontab: 'writes others\' jobs', adm: 'reads every log',
  'systemd-journal': 'reads every log', sys: 'owns what belongs to the system', bin: 'owns programs', daemon: 'owns at\'s jobs', mail: 'reads others\' mail', backup: 'reads what backups read', operator: 'reads raw disks', wireshark: 'reads the network', 'ssl-cert': 'reads private keys',
};
/** What `list_standing` looks for on a host. */
export const POWERFUL_GROUPS: readonly string[] = Object.keys(GROUPS).filter((group) => !['systemd-journal', 'tty', 'mail', 'bin', 'daemon', 'sys'].includes(group));

const words = (text: string) => text.split(' ');
/** Programs by what they give away, by the name of their file without its version. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'is a shell': words('sh bash dash rbash zsh ksh mksh fish csh tcsh ash busybox'),
  'is an editor, which writes any file and starts a shell': words('vi vim view vimdiff rvim nvim nano pico emacs ed ex red sed joe mcedit ne micro sudoedit visudo vipw vigr crontab edit'),
  'shows pages with a program that starts a shell': words('less more most pg man'),
  'runs programs of whoever writes its input': words('python perl ruby node nodejs deno bun lua luajit php awk gawk mawk nawk tclsh wish expect guile irb julia R Rscript java jshell scala groovy ghci gcc cc make cmake ninja gdb lldb strace ltrace psql mysql mariadb sqlite mongosh redis-cli'),
  'starts any other program': words('env nice nohup ionice timeout time watch xargs find parallel setsid stdbuf taskset chrt flock script screen tmux nsenter unshare chroot su sudo doas runuser setpriv capsh start-stop-daemon systemd-run at batch run-parts ssh sftp scp rsync socat nc ncat telnet git svn hg docker podman kubectl ctr nerdctl crictl lxc lxd incus virsh ansible puppet salt-call'),
  'writes any file, or gives it to somebody': words('cp mv dd install tee ln tar cpio zip unzip 7z rar rsync chmod chown chgrp chattr setfacl setcap mount umount losetup debugfs mkfs truncate shred patch split csplit sponge curl wget aria openssl base64 xxd ar'),
  'makes accounts, or changes what they may': words('useradd usermod userdel adduser deluser addgroup delgroup groupadd groupmod groupdel gpasswd passwd chpasswd newusers chsh chfn chage pwck update-alternatives dpkg-divert'),
  'installs programs, and runs what they bring': words('apt apt-get aptitude dpkg rpm yum dnf zypper apk pacman snap flatpak pip pipx npm npx yarn pnpm gem cargo go cpan composer easy_install'),
  'loads code into the kernel or into others\' programs': words('insmod modprobe kexec ldconfig bpftool bpftrace perf iptables nft tcpdump nmap sysctl'),
};
const BY_PROGRAM = new Map(Object.entries(PROGRAMS).flatMap(([why, names]) => names.map((name) => [name, why] as const)));
/** Verbs of systemctl that neither show pages nor change what a unit is. */
const SYSTEMCTL = ['start', 'stop', 'restart', 'try-restart', 'reload', 'reload-or-restart', 'try-reload-or-restart', 'kill', 'is-active', 'is-enabled', 'is-failed', 'reset-failed', 'daemon-reload'];
const PLACES = /^\/(?:usr\/(?:local\/)?)?s?bin\/|^\/(?:opt|usr\/lib|usr\/libexec|usr\/share)\//;

/** What a member can do beyond the group's own purpose; `null` for a group that is not known to be dangerous. */
export function dangerOfGroup(group: string): string | null {
  return Object.hasOwn(GROUPS, group) ? (GROUPS[group] ?? null) : null;
}

/** What an exact command gives away; `null` for one that is not known to be dangerous. */
export function dangerOfCommand(command: string): string | null {
  if (command === 'ALL') return 'is every command';
  const [path = '', ...args] = command.split(' ');
  const file = path.slice(path.lastIndexOf('/') + 1);
  if (!PLACES.test(path)) return 'stands where programs usually don\'t, and may be changed by others';
  if (file === 'systemctl') {
    const plain = args.includes('--no-pager') || SYSTEMCTL.includes(args.find((arg) => !arg.startsWith('-')) ?? '');
    return plain ? null : 'with this verb shows pages with a program that starts a shell, or changes units';
  }
  if (file === 'journalctl') return args.includes('--no-pager') ? null : 'shows pages with a program that starts a shell: add --no-pager';
  if (file === 'service') return null;
  // python3.11, perl5.36, vim.tiny, php8.2.
  return BY_PROGRAM.get(file) ?? BY_PROGRAM.get(file.replace(/[\d.-]+$/, '')) ?? BY_PROGRAM.get((file.split('.')[0] ?? '').replace(/\d+$/, '')) ?? null;
}
