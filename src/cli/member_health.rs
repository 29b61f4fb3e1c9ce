//! How members are doing, as the gateway that runs on this machine tells it at its health address.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context as _;
use comfy_table::{Table, presets};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Ten thousand members stay below this.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the gateway at its health address.
pub(super) async fn ask(address: SocketAddr) -> anyhow::Result<Value> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        // HTTP/1.0: the answer ends with the connection.
        stream.write_all(b"GET /members HTTP/1.0\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(PATIENCE, asking)
        .await
        .with_context(|| format!("the gateway at {address} does not answer"))?
        .with_context(|| format!("no gateway runs at {address}"))?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    anyhow::ensure!(head.contains(" 200 "), "what answers at {address} is no gateway");
    serde_json::from_str(body).with_context(|| format!("what answers at {address} is no gateway"))
}

/// Prints one line a member.
pub(super) fn print(out: &mut impl Write, told: &Value) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "CODE",
        "STATUS",
        "REQUESTS",
        "FAILED",
        "BUDGET",
        "P50 MS",
        "P95 MS",
        "P99 MS",
        "CIRCUIT",
        "CERT DAYS",
        "LAST PROBE",
    ]);
    for one in told["members"].as_array().into_iter().flatten() {
        let word = |name: &str| match &one[name] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let budget = one["error_budget_left"].as_f64().unwrap_or_default() * 100.0;
        let circuit = if one["circuit_open"] == true { "open" } else { "closed" };
        table.add_row([
            word("code"),
            word("status"),
            word("requests"),
            word("failures"),
            format!("{budget:.0} %"),
            word("p50_ms"),
            word("p95_ms"),
            word("p99_ms"),
            circuit.to_owned(),
            word("certificate_days_left"),
            word("fault"),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    if let Some(days) = told["own_certificate_days_left"].as_i64() {
        writeln!(out, "the gateway's own certificate is good for {days} days")?;
    }
    Ok(())
}
