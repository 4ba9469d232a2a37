//! Event files, read back record by record.

use carp::metrics::Metrics;
use prost::Message;
use report::event_file::{Event, EventFile};
use tempfile::TempDir;

/// CRC-32C bit by bit (RFC 3720, appendix B.4), masked as in the format.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    });
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn events(bytes: &[u8]) -> Vec<Event> {
    let (mut rest, mut all) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (length, after) = rest.split_at(8);
        let (sum, after) = after.split_at(4);
        assert_eq!(sum, masked_crc(length).to_le_bytes());
        let (data, after) = after.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        let (sum, after) = after.split_at(4);
        assert_eq!(sum, masked_crc(data).to_le_bytes());
        all.push(Event::decode(data).unwrap());
        rest = after;
    }
    all
}

#[test]
fn scalars_have_the_names_and_values_of_the_metrics() {
    // The check value of CRC-32C, e3069283, masked.
    assert_eq!(
        masked_crc(b"123456789"),
        0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8)
    );
    let temp = TempDir::new().unwrap();
    let mut file = EventFile::create(temp.path(), 40).unwrap();
    let line = "{\"step\":41,\"epoch\":0.5,\"loss\":4.5,\"consistency\":4.25,\"entropy\":0.25,\
                \"lr\":0.125,\"teacher_momentum\":0.99,\"images_per_second\":640.0,\"waiting\":0.0,\
                \"digest\":\"ab\"}";
    let metrics: Metrics = serde_json::from_str(line).unwrap();
    file.step(&metrics).unwrap();
    file.knn(41, 0.75).unwrap();
    let files: Vec<_> = std::fs::read_dir(temp.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].file_name().to_str().unwrap().starts_with("events.out.tfevents."));

    let events = events(&std::fs::read(files[0].path()).unwrap());
    assert_eq!(events.len(), 4);
    assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
    assert_eq!((events[1].step, events[1].session_log.as_ref().unwrap().status), (41, 1));
    let scalars = |event: &Event| -> Vec<(String, f32)> {
        let values = &event.summary.as_ref().unwrap().value;
        values.iter().map(|value| (value.tag.clone(), value.simple_value)).collect()
    };
    let named = |pairs: &[(&str, f32)]| -> Vec<(String, f32)> {
        pairs.iter().map(|&(tag, value)| (tag.to_owned(), value)).collect()
    };
    let want = named(&[
        ("consistency", 4.25),
        ("entropy", 0.25),
        ("epoch", 0.5),
        ("images_per_second", 640.0),
        ("loss", 4.5),
        ("lr", 0.125),
        ("teacher_momentum", 0.99),
        ("waiting", 0.0),
    ]);
    assert_eq!((events[2].step, scalars(&events[2])), (41, want));
    assert_eq!((events[3].step, scalars(&events[3])), (41, named(&[("knn", 0.75)])));
}
