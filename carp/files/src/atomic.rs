//! Files written whole or not at all.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// What the name of a half-written file has after the file's own; the writer's number follows.
const PARTIAL: &str = ".carp-partial-";

/// Links followed at most, as in Linux.
const MOST_LINKS: usize = 40;

/// Where the bytes for a path go.
enum Target {
    /// To a file, there or not yet, which is replaced as a whole.
    File(PathBuf),
    /// Into a device, a pipe or an open file.
    Stream,
}

/// Writes `bytes` atomically: the file is either the old one or the complete new one. A link stays,
/// and the file it points to is written; a device or pipe takes the bytes.
///
/// # Errors
/// I/O errors.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    stream_atomically(path, |out| out.write_all(bytes))
}

/// As [`write_atomically`], for bytes that are never all in memory: `write` sends them in parts.
///
/// # Errors
/// I/O errors, those of `write` among them.
pub fn stream_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let written = target(path).and_then(|target| match target {
        Target::File(file) => replace(&file, write),
        Target::Stream => append(path, write),
    });
    written.map_err(|source| Error::io(path, source))
}

/// The regular file, there or not yet, that a write to `path` replaces, at the end of all links;
/// `None` if the bytes go into a device or a pipe.
///
/// # Errors
/// A folder in its place, or what the system says.
pub fn replaced_file(path: &Path) -> Result<Option<PathBuf>> {
    match target(path) {
        Ok(Target::File(file)) => Ok(Some(file)),
        Ok(Target::Stream) => Ok(None),
        Err(source) => Err(Error::io(path, source)),
    }
}

/// Gives a file another name in its folder, and waits until the disk knows.
///
/// # Errors
/// I/O errors.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    rename_now(from, to).map_err(|source| Error::io(from, source))
}

fn rename_now(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    // Without it a power cut may bring the old name back. Some file systems know no such thing.
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Fails if [`write_atomically`] would: for a command to call before its work.
///
/// # Errors
/// A missing folder, a folder in the file's place, missing permission.
pub fn check_output(path: &Path) -> Result<()> {
    let checked = target(path).and_then(|target| match target {
        Target::File(file) => {
            let partial = partial(&file);
            File::create(&partial)?;
            std::fs::remove_file(partial)
        }
        Target::Stream => Ok(()),
    });
    match checked {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            Err(Error::Usage(format!("{}: no such folder to write it to", path.display())))
        }
        checked => checked.map_err(|source| Error::io(path, source)),
    }
}

/// Fails if a folder of outputs cannot be made or written to; leaves nothing behind.
///
/// # Errors
/// Those of [`check_output`] for a file in it, or in the nearest folder above that is there; names
/// the folder.
pub fn check_output_folder(folder: &Path) -> Result<()> {
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new(""));
    check_output(&there.join("output")).map_err(|error| match error {
        Error::Io { source, .. } => Error::io(folder, source),
        _ => Error::Usage(format!("{}: no folder can be made there", folder.display())),
    })
}

fn target(path: &Path) -> io::Result<Target> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        metadata => Some(metadata?),
    };
    let file = follow(path);
    match metadata {
        Some(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Some(there) if !there.is_file() || is_stdout(&there) || is_open_file(&file) => {
            Ok(Target::Stream)
        }
        _ => Ok(Target::File(file)),
    }
}

/// The end of a chain of links, even if nothing is there.
fn follow(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match path.read_link() {
            Ok(next) if !is_open_file(&path) => path = path.with_file_name("").join(next),
            _ => break,
        }
    }
    path
}

/// True for `/dev/fd/3` and the like: to replace the file there would leave the open one behind.
fn is_open_file(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder.is_some_and(|folder| folder.starts_with("/proc"))
}

fn is_stdout(metadata: &Metadata) -> bool {
    let stdout = io::stdout().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    stdout.is_ok_and(|own| (own.dev(), own.ino()) == (metadata.dev(), metadata.ino()))
}

/// A name for the new bytes of a file, which no other writer of the file uses.
fn partial(file: &Path) -> PathBuf {
    static WRITES: AtomicUsize = AtomicUsize::new(0);
    let (process, write) = (std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!("{PARTIAL}{process}-{write}"));
    file.with_file_name(name)
}

/// Removes the half-written files that killed processes left in a folder.
pub(crate) fn remove_partials(folder: &Path) {
    let is_left = |name: &str| {
        let writer = name.rsplit_once(PARTIAL).and_then(|(_, writer)| writer.split('-').next());
        // Its process may be writing still.
        writer.is_some_and(|process| !Path::new("/proc").join(process).exists())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_left(&entry.file_name().to_string_lossy())) {
        // What stays takes room and does no harm.
        drop(std::fs::remove_file(entry.path()));
    }
}

fn replace(file: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let partial = partial(file);
    let replaced = || {
        let mut new = File::create(&partial)?;
        if let Ok(old) = file.metadata() {
            new.set_permissions(old.permissions())?;
        }
        write(&mut new)?;
        new.sync_all()?;
        rename_now(&partial, file)
    };
    // The partial file is useless; failing to remove it as well adds nothing.
    replaced().inspect_err(|_| drop(std::fs::remove_file(&partial)))
}

fn append(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if is_stdout(&path.metadata()?) {
        // Through the same handle: what is printed comes before and after, not on top.
        let mut stdout = io::stdout().lock();
        write(&mut stdout)?;
        return stdout.flush();
    }
    write(&mut OpenOptions::new().append(true).open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let names = || -> Vec<_> {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect()
        };
        let path = folder.path().join("file");
        write_atomically(&path, b"old").unwrap();
        assert_eq!(names(), ["file"]);
        write_atomically(&path, b"new").unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names().len()), (b"new".to_vec(), 1));
        let broken_off = stream_atomically(&path, |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(broken_off.unwrap_err().to_string().contains("file: "));
        assert_eq!((std::fs::read(&path).unwrap(), names().len()), (b"new".to_vec(), 1));
        // A file cannot replace a folder.
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        std::fs::write(taken.join("inside"), "kept").unwrap();
        assert!(write_atomically(&taken, b"new").unwrap_err().to_string().contains("taken"));
        assert_eq!((names().len(), taken.join("inside").exists()), (2, true));
    }

    #[test]
    fn writers_and_checks_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let texts: Vec<Vec<u8>> = (b'a'..=b'd').map(|letter| vec![letter; 100_000]).collect();
        std::thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| {
                    for _ in 0..20 {
                        check_output(&path).unwrap();
                        check_output_folder(folder.path()).unwrap();
                        write_atomically(&path, text).unwrap();
                        assert!(texts.contains(&std::fs::read(&path).unwrap()));
                    }
                });
            }
        });
        // One that a living process writes, and one that a killed one left: numbers of processes are
        // below 2^22.
        std::fs::write(partial(&path), "half").unwrap();
        std::fs::write(folder.path().join(format!("file{PARTIAL}4194305-0")), "half").unwrap();
        remove_partials(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn links_stay_and_their_file_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, link, second) =
            (folder.path().join("disk"), folder.path().join("link"), folder.path().join("second"));
        std::fs::create_dir(&disk).unwrap();
        std::os::unix::fs::symlink("disk/file", &link).unwrap();
        std::os::unix::fs::symlink(&link, &second).unwrap();
        // The first write makes the file that the links point to, the second replaces it.
        for bytes in [b"one", b"two"] {
            check_output(&second).unwrap();
            write_atomically(&second, bytes).unwrap();
            assert!(link.is_symlink() && second.is_symlink());
            assert_eq!(std::fs::read(disk.join("file")).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 1);
    }

    #[test]
    fn permissions_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn pipes_and_open_files_take_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        check_output(&pipe).unwrap();
        write_atomically(&pipe, b"bytes").unwrap();
        assert_eq!(reader.join().unwrap(), b"bytes");

        use std::os::fd::AsRawFd;
        let path = folder.path().join("open");
        let mut open = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        open.write_all(b"first ").unwrap();
        let name = format!("/dev/fd/{}", open.as_raw_fd());
        check_output(name.as_ref()).unwrap();
        write_atomically(name.as_ref(), b"second").unwrap();
        open.write_all(b" third").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first second third");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_told_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        check_output(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let error = |path: &Path| check_output(path).unwrap_err().to_string();
        assert!(error(&folder.path().join("none/file")).ends_with("no such folder to write it to"));
        assert!(error(folder.path()).contains("directory"));
        std::fs::write(&path, "kept").unwrap();
        check_output(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        assert!(error(&path.join("below")).contains("file"));
        check_output_folder(&folder.path().join("a/b")).unwrap();
        check_output_folder(Path::new("a/b")).unwrap();
        let line = check_output_folder(&path.join("a/b")).unwrap_err().to_string();
        assert!(line.contains("file/a/b: ") && line.lines().count() == 1, "{line}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
