//! End-to-end tests: the real hub and the real agent as processes, doing the real thing.

mod agent_cli;
mod api_fuzz;
mod audit;
mod batches;
mod cancel;
mod client;
mod clock_skew;
mod commit_confirm;
mod disk_full;
mod enrollment;
mod faults;
mod handover;
mod hub_unit;
mod installer;
mod job_logs;
mod limits;
mod mail;
mod main_path;
mod oidc;
mod secrets;
mod survive_agent_kill;
mod survive_hub_kill;
mod survive_link_loss;
mod trust;
mod webhooks;
