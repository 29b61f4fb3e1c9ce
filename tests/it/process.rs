//! The `tessera` binary as an operator runs it.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::JoinHandle,
};

use serde_json::Value;

use crate::world::Stage;

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tessera"))
}

/// The command that starts the stage's gateway.
pub(crate) fn serve(stage: &Stage) -> Command {
    let mut command = binary();
    command.args(["serve", "--config", "tessera.toml"]).current_dir(stage.home());
    command
}

/// Runs a command in the stage's home and waits for its end.
pub(crate) fn tessera(stage: &Stage, args: &[&str]) -> Output {
    binary().args(args).current_dir(stage.home()).output().expect("it runs")
}

/// Puts the stage's members in force.
pub(crate) fn apply_members(stage: &Stage) -> Output {
    tessera(stage, &["member", "--config", "tessera.toml", "apply", "-f", "members.toml"])
}

/// `tessera serve`, killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: Option<JoinHandle<String>>,
    /// The FHIR base.
    pub(crate) base: String,
    /// Where HL7 v2 messages are taken, if they are.
    pub(crate) mllp: Option<SocketAddr>,
    /// Where health and metrics are.
    pub(crate) health: String,
}

impl Process {
    /// Starts the gateway, and returns when it listens.
    pub(crate) fn serve(stage: &Stage) -> Self {
        let mut child = serve(stage).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut log = String::new();
        let listening = lines.by_ref().map_while(Result::ok).find_map(|line| {
            log.push_str(&line);
            let event: Value = serde_json::from_str(&line).ok()?;
            (event["message"] == "listening").then_some(event)
        });
        let listening = listening.unwrap_or_else(|| panic!("it does not listen: {log}"));
        let address = |name: &str| listening[name].as_str().expect("an address").to_owned();
        // Somebody must read on, or the pipe fills and the gateway waits.
        let log = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self {
            base: format!("https://{}/fhir", address("fhir")),
            mllp: listening["mllp"].as_str().map(|text| text.parse().expect("an address")),
            health: format!("http://{}", address("health")),
            child,
            log: Some(log),
        }
    }

    /// As a power cut does it: SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ends");
    }

    /// As an operator does it: SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end; exit status, and what was logged since it listened.
    pub(crate) fn exit(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        let log = self.log.take().expect("taken once").join().expect("read");
        (status, log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
