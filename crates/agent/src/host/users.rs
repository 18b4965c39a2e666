//! Users and groups of this machine, without the C library's look-ups: in a static program those load plug-ins and crash.
//!
//! /etc/passwd and /etc/group are read here; users of LDAP, sssd or systemd are asked of `getent`.

use std::path::Path;
use std::time::Duration;

use super::{commands, files};

const MAX_FILE: usize = 4 << 20;
const GETENT: &str = "/usr/bin/getent";
const GETENT_DEADLINE: Duration = Duration::from_secs(5);

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// The user called `name`.
#[must_use]
pub fn find(name: &str) -> Option<User> {
    let listed = passwd().lines().filter_map(parse_user).find(|user| user.name == name);
    listed.or_else(|| getent("passwd", name)?.lines().filter_map(parse_user).find(|user| user.name == name))
}

/// The first user of /etc/passwd with this id.
#[must_use]
pub fn with_uid(uid: u32) -> Option<User> {
    passwd().lines().filter_map(parse_user).find(|user| user.uid == uid)
}

/// The primary and all further groups of a user.
#[must_use]
pub fn groups_of(user: &User) -> Vec<u32> {
    let listed = groups_in(&text(Path::new("/etc/group")), user);
    let is_local = passwd().lines().filter_map(parse_user).any(|local| local.name == user.name);
    let others = if is_local { None } else { getent("initgroups", &user.name) };
    // "name  27 100 998": the groups that other sources know.
    let others = others.unwrap_or_default();
    let others = others.split_ascii_whitespace().skip(1).filter_map(|gid| gid.parse().ok());
    let mut groups: Vec<u32> = listed.into_iter().chain(others).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn passwd() -> String {
    text(Path::new("/etc/passwd"))
}

fn text(path: &Path) -> String {
    files::read(path, MAX_FILE).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn getent(database: &str, name: &str) -> Option<String> {
    if !Path::new(GETENT).exists() {
        return None;
    }
    commands::output(GETENT, &[database, "--", name], GETENT_DEADLINE).ok()
}

/// `name:password:uid:gid:comment:home:shell`
fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']))?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1)?;
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    Some(User { name: name.to_owned(), uid, gid, home: home.to_owned(), shell: shell.to_owned() })
}

/// `name:password:gid:member,member`
fn groups_in(text: &str, user: &User) -> Vec<u32> {
    let member = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        fields.next()?.split(',').any(|member| member.trim() == user.name).then_some(gid)
    };
    std::iter::once(user.gid).chain(text.lines().filter_map(member)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines() {
        let user = parse_user("www-data:x:33:34:www-data,,,:/var/www:/usr/sbin/nologin").unwrap();
        assert_eq!((user.uid, user.gid, user.home.as_str()), (33, 34, "/var/www"));
        assert_eq!(user.shell, "/usr/sbin/nologin");
        assert_eq!(parse_user("a:x:1:1::/home/a:").unwrap().shell, "/bin/sh");
        for bad in
            ["", "#comment", "+::::::", "a:x:1", "a:x:x:1::/:/bin/sh", "a:x:-1:1::/:/bin/sh", ":x:0:0::/:/bin/sh"]
        {
            assert_eq!(parse_user(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_groups_of_a_user() {
        let user = parse_user("ann:x:1000:1000::/home/ann:/bin/sh").unwrap();
        let text = "root:x:0:\nsudo:x:27:bob,ann\nann:x:1000:\nanna:x:1001:anna\nbroken\ndocker:x:998:ann\n";
        assert_eq!(groups_in(text, &user), [1000, 27, 998]);
    }

    #[test]
    fn root_is_everywhere_and_nobody_else_is_invented() {
        assert_eq!(find("root").map(|user| user.uid), Some(0));
        assert_eq!(with_uid(0).map(|user| user.name), Some("root".to_owned()));
        assert_eq!(find("no-such-user-here"), None);
        assert_eq!(find(""), None);
    }
}
