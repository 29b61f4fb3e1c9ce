use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use super::StorageError;

/// Proof that no other process writes this database. The system lets go of it when we die.
pub(super) struct DatabaseLock {
    _file: File,
}

impl DatabaseLock {
    /// Locks `<database>.lock`; the file stays behind, only the lock counts.
    pub(super) fn take(database: &Path) -> Result<Self, StorageError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(
                |error| match error.kind() {
                    std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem => StorageError::ReadOnly,
                    std::io::ErrorKind::StorageFull => StorageError::DiskFull,
                    kind => StorageError::Io(kind.to_string()),
                },
            )?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StorageError::InUse(database.display().to_string()))
            }
            Err(TryLockError::Error(error)) => Err(StorageError::Io(error.kind().to_string())),
        }
    }
}
