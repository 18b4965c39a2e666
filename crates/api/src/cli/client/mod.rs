//! `roadstead login`, `logout` and `api`: the API from scripts and by hand, without curl.
//!
//! Thin on purpose: it knows how to reach a hub and who one is there, and nothing of what the API offers.

mod api;
mod hub;
mod login;
mod pin;
mod prompt;
mod saved;
mod terminal;

pub(super) use api::{Api, api};
pub(super) use login::{Login, Logout, login, logout};
