//! The wire crate stays small: both sides build it, and nothing in it may do more than describe messages.

#[test]
fn nothing_but_serde_serde_json_and_uuid() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()))
        .collect();
    assert_eq!(names, ["serde", "serde_json", "uuid"]);
}
