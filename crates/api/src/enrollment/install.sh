#!/bin/sh
# Installs the Roadstead agent @VERSION@ on this machine and connects it to @HUB_URL@
#
#   RS_TOKEN=rsi_... RS_HUB_KEY=... sh install.sh    install and register; safe to run again
#   sh install.sh --uninstall [--force]              remove the agent; --force ends running jobs instead of waiting
#
# RS_TOKEN_FILE may name a file that holds the token instead. Needs root, and curl (or wget where the certificate is public).
# Everything happens in main, called on the last line, so that a download that breaks off runs nothing.
set -eu
umask 077
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

# Filled in by the hub that serves this script; none of these can hold a quote.
HUB_URL='@HUB_URL@'
HUB_FINGERPRINT='@HUB_FINGERPRINT@' # SHA-256 of the hub's public key, hex
TLS_PIN='@TLS_PIN@'                 # SHA-256 of the certificate's key, base64; empty: the certificate is public
VERSION='@VERSION@'
SHA256_X86_64='@SHA256_X86_64@' # empty: this hub has no agent for that architecture
SHA256_AARCH64='@SHA256_AARCH64@'

BIN=/usr/local/bin/roadstead-agent
SHARE=/usr/local/share/roadstead
STATE=/var/lib/roadstead-agent
POLICY=/etc/roadstead/policy.toml
UNITS=/etc/systemd/system
USER_NAME=roadstead
UNIT_NAMES='roadstead-agent.service roadstead-work.socket roadstead-work@.service roadstead-revert.service roadstead-jobs.slice'

main() {
    action=install
    force=no
    for argument in "$@"; do
        case $argument in
        --uninstall) action=uninstall ;;
        --force) force=yes ;;
        *) die "unknown argument: $argument" "The arguments are --uninstall and --force." ;;
        esac
    done
    [ "$(uname -s)" = Linux ] || die "this is $(uname -s); the agent runs on Linux."
    [ "$(id -u)" = 0 ] || die "this needs root." "Open a root shell (sudo -i), then paste the same line again."
    work=$(mktemp -d)
    staged=
    trap 'rm -rf "$work" ${staged:+"$staged"}' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ "$action" = uninstall ]; then uninstall; else install_agent; fi
}

install_agent() {
    detect_machine
    read_token
    registration=$(registration_state)
    if [ "$registration" = elsewhere ]; then
        die "this machine is connected to another hub." \
            "To move it here, remove that agent first: sh $SHARE/install.sh --uninstall" "Then paste the line again."
    fi
    if [ "$registration" = none ] && [ ! -s "$work/token" ]; then
        die "there is no install token in RS_TOKEN." "In the dashboard choose Servers, Add server, and paste the whole line."
    fi

    if [ "$systemd" = yes ]; then host="$target, systemd"; else host="$target, no systemd"; fi
    say "Roadstead agent $VERSION for $HUB_URL ($host)"
    install_binary
    ensure_user
    save_script
    if [ -s "$work/token" ]; then register; fi
    if [ "$systemd" = yes ]; then
        install_units
        start_units
        wait_until_online
    else
        explain_without_systemd
    fi
}

# --- what machine is this -------------------------------------------------------------------------------------------

detect_machine() {
    machine=$(uname -m)
    case $machine in
    x86_64 | amd64) target=x86_64-linux sha256=$SHA256_X86_64 ;;
    aarch64 | arm64) target=aarch64-linux sha256=$SHA256_AARCH64 ;;
    *) die "there is no agent for $machine; it runs on x86_64 and aarch64." ;;
    esac
    [ -n "$sha256" ] || die "this hub has no agent for $target." \
        "Whoever runs the hub can add it: put the release's files into its agents directory."
    systemd=no
    if [ -d /run/systemd/system ]; then systemd=yes; fi

    if command -v curl >/dev/null; then
        downloader=curl
    elif [ -n "$TLS_PIN" ]; then
        die "this hub has a certificate of its own, which only curl can check." "Install curl, then paste the line again."
    elif command -v wget >/dev/null; then
        downloader=wget
    else
        die "neither curl nor wget is installed." "Install curl, then paste the line again."
    fi
    command -v sha256sum >/dev/null || command -v openssl >/dev/null ||
        die "neither sha256sum nor openssl is installed, so the download cannot be checked." "Install one of them."
}

# The token goes from the environment into a file that only root can read; it is never an argument of any process.
read_token() {
    if [ -n "${RS_TOKEN:-}" ]; then
        printf '%s\n' "$RS_TOKEN" >"$work/token"
    elif [ -n "${RS_TOKEN_FILE:-}" ]; then
        cat "$RS_TOKEN_FILE" >"$work/token" || die "cannot read the token file $RS_TOKEN_FILE."
    fi
    unset RS_TOKEN RS_TOKEN_FILE
    [ -s "$work/token" ] || return 0

    case $(cat "$work/token") in
    rsi_*[!0-9A-Za-z]* | rsi_) broken=yes ;;
    rsi_*) broken=no ;;
    *) broken=yes ;;
    esac
    [ "$broken" = no ] || die "the install token is damaged." "Copy the whole line from the dashboard and paste it again."
    if [ "${RS_HUB_KEY:-}" != "$HUB_FINGERPRINT" ]; then
        die "this script does not come from the hub that made your line." \
            "  in the line    ${RS_HUB_KEY:-(RS_HUB_KEY is missing)}" "  in the script  $HUB_FINGERPRINT" \
            "Nothing was installed. Copy the line from the dashboard again; if it stays like this, do not trust this connection."
    fi
}

# none, here (registered with the hub that served this script) or elsewhere
registration_state() {
    if [ ! -e "$STATE/trust/hub.json" ]; then
        echo none
    elif grep -q "$HUB_FINGERPRINT" "$STATE/trust/hub.json"; then
        echo here
    else
        echo elsewhere
    fi
}

# --- install --------------------------------------------------------------------------------------------------------

install_binary() {
    if [ -f "$BIN" ] && [ "$(sha256_of "$BIN")" = "$sha256" ]; then
        step "agent is up to date"
        return 0
    fi
    make_dir "${BIN%/*}"
    staged=$(mktemp "${BIN%/*}/.roadstead-agent.XXXXXX") || die "cannot write to ${BIN%/*}."
    fetch "$HUB_URL/v1/agent/binary/$target" "$staged"
    got=$(sha256_of "$staged")
    if [ "$got" != "$sha256" ]; then
        die "the downloaded agent is not the one that this script expects." "  expected  $sha256" "  received  $got" \
            "Nothing was installed. Paste the line again; the hub may have been updated in between."
    fi
    chmod 0755 "$staged"
    "$staged" version >/dev/null 2>&1 || die "the agent does not start on this machine." "Is ${BIN%/*} mounted noexec?"
    mv -f "$staged" "$BIN"
    staged=
    step "agent downloaded, checksum right: $BIN"
}

ensure_user() {
    uid=$(field_of /etc/passwd "$USER_NAME" 3)
    if [ -n "$uid" ]; then
        [ "$uid" -lt 1000 ] || die "there is a person's account named $USER_NAME (uid $uid)." \
            "The agent needs this name for a system account. Rename that account first."
        return 0
    fi
    nologin=/bin/false
    for shell in /usr/sbin/nologin /sbin/nologin; do
        if [ -x "$shell" ]; then nologin=$shell && break; fi
    done
    if command -v useradd >/dev/null; then
        [ -n "$(field_of /etc/group "$USER_NAME" 3)" ] || groupadd --system "$USER_NAME"
        useradd --system --gid "$USER_NAME" --home-dir "$STATE" --no-create-home --shell "$nologin" "$USER_NAME"
    elif command -v adduser >/dev/null && command -v addgroup >/dev/null; then
        [ -n "$(field_of /etc/group "$USER_NAME" 3)" ] || addgroup -S "$USER_NAME"
        adduser -S -D -H -h "$STATE" -s "$nologin" -G "$USER_NAME" "$USER_NAME"
    else
        die "there is neither useradd nor adduser to make the system user $USER_NAME."
    fi
    step "system user made: $USER_NAME"
}

# A second run of the same line is no mistake: the agent knows the token that its registration was made with.
register() {
    if ! "$BIN" register --hub "$HUB_URL" --token-file "$work/token" --hub-fingerprint "$HUB_FINGERPRINT" \
        ${TLS_PIN:+--tls-pin "$TLS_PIN"} --state-dir "$STATE" </dev/null >"$work/register" 2>&1; then
        sed 's/^/  /' "$work/register" >&2
        die "the hub did not register this machine (its reason is above)." \
            "A token works once and for an hour: make a new line in the dashboard (Servers, Add server) and paste it." \
            "To remove what was installed so far: sh $SHARE/install.sh --uninstall"
    fi
    sed 's/^/  /' "$work/register"
}

# For --uninstall without the hub.
save_script() {
    make_dir "$SHARE"
    staged=$(mktemp "$SHARE/.install.XXXXXX")
    fetch "$HUB_URL/install.sh" "$staged"
    chmod 0644 "$staged"
    mv -f "$staged" "$SHARE/install.sh"
    staged=
}

install_units() {
    changed=
    for unit in $UNIT_NAMES; do
        print_unit "$unit" >"$work/unit"
        if [ ! -f "$UNITS/$unit" ] || [ "$(sha256_of "$work/unit")" != "$(sha256_of "$UNITS/$unit")" ]; then
            staged=$(mktemp "$UNITS/.$unit.XXXXXX")
            cat "$work/unit" >"$staged"
            chmod 0644 "$staged"
            mv -f "$staged" "$UNITS/$unit"
            staged=
            changed="$changed $unit"
        fi
    done
    if [ -n "$changed" ]; then
        systemctl daemon-reload
        step "units written to $UNITS:$changed"
    fi
}

start_units() {
    systemctl --quiet enable roadstead-work.socket roadstead-agent.service roadstead-revert.service
    systemctl start roadstead-work.socket
    if ! systemctl restart roadstead-agent.service 2>/dev/null; then
        show_last_words
        die "the agent is installed, but does not start (its last words are above)." \
            "Look at: journalctl -u roadstead-agent, then paste the same line again."
    fi
    step "started roadstead-work.socket and roadstead-agent.service"
}

wait_until_online() {
    deadline=$(($(date +%s) + 30))
    until "$BIN" status --state-dir "$STATE" >"$work/status" 2>&1; do
        if [ "$(date +%s)" -ge "$deadline" ]; then
            show_last_words
            sed 's/^/  /' "$work/status" >&2
            die "the agent is installed and runs, but has not reached the hub within 30 seconds." \
                "It goes on trying by itself. Check that this machine can reach $HUB_URL, then look at:" \
                "  roadstead-agent status" "  journalctl -u roadstead-agent"
        fi
        sleep 0.2 2>/dev/null || sleep 1
    done
    sed 's/^/  /' "$work/status"
    say "Online. This machine is now in the dashboard: $HUB_URL"
    say "To remove the agent: sh $SHARE/install.sh --uninstall"
}

show_last_words() {
    say "The agent's last words:" >&2
    journalctl --unit roadstead-agent.service --lines 15 --no-pager --output cat 2>/dev/null | sed 's/^/  /' >&2 || :
}

explain_without_systemd() {
    say "Registered, but there is no systemd here to start the agent. Have your init system run this, as root:"
    say "  $BIN run --state-dir $STATE"
    say "What differs without systemd: the agent runs as root, without a sandbox, and starts its jobs itself; they still"
    say "outlive a restart of the agent, but only your init system starts the agent again after a crash or a reboot."
    say "To remove the agent: sh $SHARE/install.sh --uninstall"
}

# --- uninstall ------------------------------------------------------------------------------------------------------

uninstall() {
    if [ ! -e "$BIN" ] && [ ! -e "$STATE" ] && [ ! -e "$UNITS/roadstead-agent.service" ] && [ ! -e "$SHARE" ]; then
        say "There is no Roadstead agent on this machine."
        return 0
    fi
    say "Removing the Roadstead agent"
    wait_for_jobs
    revert_changes
    if [ -d /run/systemd/system ]; then
        systemctl --quiet disable --now roadstead-agent.service roadstead-work.socket roadstead-revert.service 2>/dev/null || :
        systemctl stop 'roadstead-work@*.service' roadstead-jobs.slice roadstead.slice 2>/dev/null || :
        for unit in $UNIT_NAMES; do rm -f "$UNITS/$unit"; done
        systemctl daemon-reload
        systemctl reset-failed 'roadstead-*' 2>/dev/null || :
        step "units stopped and removed"
    fi
    end_agent_processes
    rm -rf "$STATE" "$SHARE" /run/roadstead
    rm -f "$BIN"
    step "agent, state and spool removed"
    if [ "$(field_of /etc/passwd "$USER_NAME" 6)" = "$STATE" ]; then
        if command -v userdel >/dev/null; then userdel "$USER_NAME"; else deluser "$USER_NAME"; fi
        if [ -n "$(field_of /etc/group "$USER_NAME" 3)" ]; then
            if command -v groupdel >/dev/null; then groupdel "$USER_NAME"; else delgroup "$USER_NAME"; fi
        fi
        step "system user removed: $USER_NAME"
    fi
    if [ -e "$POLICY" ]; then
        say "Left, because it is yours: $POLICY"
    else
        rmdir "${POLICY%/*}" 2>/dev/null || :
    fi
    say "The server is still listed on the hub, as offline, until you delete it there."
}

# A running job has a control socket. The agent stays connected meanwhile, so that output and results still arrive.
wait_for_jobs() {
    jobs=$(running_jobs)
    [ -n "$jobs" ] || return 0
    say "Jobs that still run here:"
    for job in $jobs; do say "  $job"; done
    if [ "$force" = yes ]; then
        say "They are ended now (--force)."
        return 0
    fi
    say "Waiting for them to end. Nothing is removed until then; press Ctrl-C to keep the agent, or use --force to end them."
    while [ -n "$(running_jobs)" ]; do sleep 1; done
}

# What nobody confirmed must not stay because its guard is removed.
revert_changes() {
    [ -d "$STATE/pending" ] && [ -x "$BIN" ] || return 0
    "$BIN" change revert --state-dir "$STATE" </dev/null ||
        die "a change of this machine that nobody confirmed could not be put back (its reason is above)." \
            "Look at it: $BIN change list. Then run this again."
}

running_jobs() {
    for socket in /run/roadstead/jobs/*.sock; do
        if [ -S "$socket" ]; then
            job=${socket##*/}
            echo "${job%.sock}"
        fi
    done
}

# Agent and workers that systemd did not start.
end_agent_processes() {
    signal=TERM
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
        found=no
        for process in /proc/[0-9]*; do
            case $(readlink "$process/exe" 2>/dev/null || :) in
            "$BIN" | "$BIN (deleted)")
                found=yes
                kill -s "$signal" "${process#/proc/}" 2>/dev/null || :
                ;;
            esac
        done
        [ "$found" = yes ] || return 0
        if [ "$attempt" = 12 ]; then signal=KILL; fi
        sleep 1
    done
}

# --- small parts ----------------------------------------------------------------------------------------------------

# fetch URL FILE
fetch() {
    url=$1 file=$2
    if [ "$downloader" = curl ]; then
        set -- --fail --silent --show-error --retry 2 --connect-timeout 10 --max-time 300
        # The certificate of this hub is its own; what counts is that its key is the pinned one.
        if [ -n "$TLS_PIN" ]; then set -- "$@" --insecure --pinnedpubkey "sha256//$TLS_PIN"; fi
        curl "$@" --output "$file" "$url" </dev/null || die "could not download $url." "Can this machine reach the hub?"
    else
        timeout 300 wget -q -O "$file" "$url" </dev/null || die "could not download $url." "Can this machine reach the hub?"
    fi
}

sha256_of() {
    if command -v sha256sum >/dev/null; then
        sha256sum <"$1" | cut -d ' ' -f 1
    else
        openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
    fi
}

# field_of FILE NAME NUMBER: a field of /etc/passwd or /etc/group
field_of() { awk -F : -v name="$2" -v number="$3" '$1 == name { print $number }' "$1"; }

# Readable directories, whatever the umask of this script.
make_dir() { (umask 022 && mkdir -p "$1"); }

say() { printf '%s\n' "$*"; }

step() { printf '  %s\n' "$*"; }

# die PROBLEM [WHAT TO DO]...
die() {
    printf 'roadstead: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

# --- units ----------------------------------------------------------------------------------------------------------

# The hub puts each file of systemd/ in place of its marker.
print_unit() {
    case $1 in
    roadstead-agent.service)
        cat <<'ROADSTEAD_UNIT'
#@UNIT roadstead-agent.service@
ROADSTEAD_UNIT
        ;;
    roadstead-work.socket)
        cat <<'ROADSTEAD_UNIT'
#@UNIT roadstead-work.socket@
ROADSTEAD_UNIT
        ;;
    roadstead-work@.service)
        cat <<'ROADSTEAD_UNIT'
#@UNIT roadstead-work@.service@
ROADSTEAD_UNIT
        ;;
    roadstead-revert.service)
        cat <<'ROADSTEAD_UNIT'
#@UNIT roadstead-revert.service@
ROADSTEAD_UNIT
        ;;
    roadstead-jobs.slice)
        cat <<'ROADSTEAD_UNIT'
#@UNIT roadstead-jobs.slice@
ROADSTEAD_UNIT
        ;;
    esac
}

main "$@"
