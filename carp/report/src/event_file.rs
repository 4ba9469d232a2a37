//! Event files, which TensorBoard plots: a series of records, each a protocol buffer with its length
//! and checksums.
//!
//! ```text
//! record = length u64, masked CRC-32C of it u32, data, masked CRC-32C of the data u32
//! masked(c) = rotate_right(c, 15) + 0xa282ead8
//! ```
//!
//! All little-endian (TensorFlow, `tsl/lib/io/record_writer.h`, `crc32c.h`; `event.proto`,
//! `summary.proto`).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carp::error::{Error, Result};
use carp::metrics::Metrics;
use prost::Message;

/// `tensorflow.Event`, of which only these fields are written.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Steps done.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// The first event of a file has `brain.Event:2`.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// Numbers of a step.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
    /// Drops what other files have from this step on.
    #[prost(message, optional, tag = "7")]
    pub session_log: Option<SessionLog>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// By name.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`, a scalar.
#[derive(Clone, PartialEq, Message)]
pub struct SummaryValue {
    /// Its name, which groups charts by what is before a slash.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// A number.
    #[prost(float, tag = "2")]
    pub simple_value: f32,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// 1: a run starts, or goes on from a checkpoint.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

const START: i32 = 1;

/// An event file of a run that goes on.
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts a new file in `folder` for the steps after `first_step`; TensorBoard forgets those that
    /// an earlier file of the folder has from there on.
    ///
    /// # Errors
    /// I/O errors.
    pub fn create(folder: &Path, first_step: usize) -> Result<EventFile> {
        // Files are read in the order of their names.
        let name = format!("events.out.tfevents.{:020}.carp", since_1970().as_nanos());
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|source| Error::io(&path, source))?;
        let mut events = EventFile { path, file };
        events.write(
            0,
            Event { file_version: Some("brain.Event:2".to_owned()), ..Event::default() },
        )?;
        let session_log = Some(SessionLog { status: START });
        events.write(first_step + 1, Event { session_log, ..Event::default() })?;
        Ok(events)
    }

    /// Appends the numbers of a step, by the names that they have in `metrics.jsonl`.
    ///
    /// # Errors
    /// I/O errors.
    pub fn step(&mut self, metrics: &Metrics) -> Result<()> {
        let fields = serde_json::to_value(metrics).expect("plain numbers");
        let fields = fields.as_object().expect("a struct").iter();
        let scalars = fields.filter(|(name, _)| *name != "step").filter_map(|(name, value)| {
            Some(SummaryValue { tag: name.clone(), simple_value: value.as_f64()? as f32 })
        });
        self.scalars(metrics.step, scalars.collect())
    }

    /// Appends a measurement of k-NN accuracy, a fraction.
    ///
    /// # Errors
    /// I/O errors.
    pub fn knn(&mut self, step: usize, accuracy: f64) -> Result<()> {
        let (tag, simple_value) = ("knn".to_owned(), accuracy as f32);
        self.scalars(step, vec![SummaryValue { tag, simple_value }])
    }

    fn scalars(&mut self, step: usize, value: Vec<SummaryValue>) -> Result<()> {
        self.write(step, Event { summary: Some(Summary { value }), ..Event::default() })
    }

    fn write(&mut self, step: usize, event: Event) -> Result<()> {
        let wall_time = since_1970().as_secs_f64();
        let event = Event { wall_time, step: step as i64, ..event };
        // One write per record: a killed run leaves whole ones.
        let written = self.file.write_all(&record(&event.encode_to_vec()));
        written.map_err(|source| Error::io(&self.path, source))
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let [of_length, of_data] = [&length[..], data].map(|bytes| masked_crc(bytes).to_le_bytes());
    [&length[..], &of_length, data, &of_data].concat()
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
