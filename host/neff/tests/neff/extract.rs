//! Unpacking into a folder.

use std::fs;

use gpsimd_neff::{Neff, NeffError};

use crate::fixtures::{device, device_files};

#[test]
fn every_file_is_written_below_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new/neff");
    Neff::parse(&device()).unwrap().extract_to(&target).unwrap();
    for (path, content) in device_files() {
        assert_eq!(fs::read(target.join(path)).unwrap(), content, "{path}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("neff.json");
    fs::write(&file, "mine").unwrap();
    let error = Neff::parse(&device()).unwrap().extract_to(folder.path()).unwrap_err();
    assert!(matches!(error, NeffError::NotEmpty { .. }));
    assert_eq!(
        error.to_string(),
        format!("{} is not empty: name a folder that is, or that does not exist yet", folder.path().display())
    );
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Neff::parse(&device()).unwrap().extract_to(file.join("x")).unwrap_err();
    let start = format!("cannot write {}/x: ", file.display());
    assert!(matches!(error, NeffError::Write { .. }) && error.to_string().starts_with(&start), "{error}");
}
