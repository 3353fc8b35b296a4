//! Folders whose names are durable once they are made: files in one that a loss of power takes away are gone with it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a folder and all that it stands in, where they are not there, each with this mode.
///
/// # Errors
/// Where one cannot be made.
pub fn make(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make(above, mode)?;
    }
    // Another process may have made it meanwhile, which is as good.
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    match File::open(above.unwrap_or(Path::new("."))) {
        Ok(above) => above.sync_all(),
        // Whoever may write there and not read cannot do more for it.
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_made_with_all_above_it_and_a_file_in_its_place_stays() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("above").join("folder");
        (0..2).for_each(|_| make(&folder, 0o700).expect("made"));
        for one in [&folder, &place.path().join("above")] {
            assert_eq!(one.metadata().expect("it is there").permissions().mode() & 0o777, 0o700);
        }
        let file = place.path().join("file");
        std::fs::write(&file, "text").expect("written");
        assert!(make(&file, 0o700).is_err() && make(&file.join("folder"), 0o700).is_err());
        assert!(file.is_file());
    }
}
