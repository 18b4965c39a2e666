//! The host of a run: what its commands read, and what they leave behind.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use support::gate::Gate;

use super::plan::JobPlan;

/// A directory of one run: a journal that commands append to, and for each job its output and its gate.
#[derive(Debug)]
pub(super) struct Host {
    dir: PathBuf,
    gates: Vec<Gate>,
    pub(super) journal: Journal,
}

/// What the commands of a run have left behind.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    path: PathBuf,
    jobs: usize,
}

/// What a job has left in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marker {
    /// The process above the command, each time that it began: its worker.
    pub(super) started_by: Vec<Pid>,
    /// Its exit code, each time that it ended.
    pub(super) ended_with: Vec<i64>,
}

impl Host {
    pub(super) fn new(dir: &Path, jobs: &[JobPlan]) -> Self {
        fs::create_dir(dir).unwrap();
        let journal = Journal { path: dir.join("journal"), jobs: jobs.len() };
        fs::write(&journal.path, "").unwrap();
        let gates = jobs.iter().enumerate().map(|(number, job)| {
            for (part, output) in job.output.iter().enumerate() {
                fs::write(dir.join(format!("{number}.{part}")), output).unwrap();
            }
            Gate::new(&dir.join(format!("{number}.gate")))
        });
        Self { gates: gates.collect(), dir: dir.to_owned(), journal }
    }

    /// The command line of a job.
    pub(super) fn command(&self, number: usize, job: &JobPlan, is_gated: bool) -> String {
        let dir = self.dir.display();
        let gate = if is_gated { self.gates[number].wait() + ";" } else { String::new() };
        let code = job.exit_code;
        format!(
            "echo {number} start $PPID >>{dir}/journal; cat {dir}/{number}.0; {gate} cat {dir}/{number}.1; \
             echo {number} end {code} >>{dir}/journal; exit {code}"
        )
    }

    /// Jobs that wait in the middle go on.
    pub(super) fn open_gates(&mut self) {
        self.gates.iter_mut().for_each(Gate::open);
    }

    /// Nothing runs any more: removes what was only needed for that.
    pub(super) fn clear(&self) {
        for number in 0..self.gates.len() {
            for file in ["0", "1", "gate"] {
                fs::remove_file(self.dir.join(format!("{number}.{file}"))).unwrap();
            }
        }
    }
}

impl Journal {
    pub(super) fn markers(&self) -> Vec<Marker> {
        let mut markers = vec![Marker::default(); self.jobs];
        for line in fs::read_to_string(&self.path).unwrap().lines() {
            let words: Vec<_> = line.split(' ').collect();
            let marker = &mut markers[words[0].parse::<usize>().unwrap()];
            match words[1] {
                "start" => marker.started_by.push(Pid::from_raw(words[2].parse().unwrap())),
                _ => marker.ended_with.push(words[2].parse().unwrap()),
            }
        }
        markers
    }

    /// Every job was executed at most once.
    pub(super) fn check(&self) {
        for (number, marker) in self.markers().iter().enumerate() {
            let (starts, ends) = (marker.started_by.len(), marker.ended_with.len());
            assert!(starts <= 1 && ends <= starts, "job {number} began {starts} times, ended {ends} times: {marker:?}");
        }
    }
}
