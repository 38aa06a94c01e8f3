//! [`Workspace`]: the folder of one build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::HostBuildError;
use super::headers::write_headers;

/// The folder of one build, beside its output so that the finished library can be renamed into place. Gone when dropped.
pub(super) struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    /// A folder for building `output`, with the headers in `include`.
    pub(super) fn new(output: &Path) -> Result<Self, HostBuildError> {
        // Builds of the same library may run at the same time, in this process and in others.
        static BUILDS: AtomicU32 = AtomicU32::new(0);
        let number = BUILDS.fetch_add(1, Ordering::Relaxed);
        let output = std::path::absolute(output).map_err(|source| file("find", output, source))?;
        remove_abandoned(&output);
        let folder = output.with_extension(format!("{}-{number}.build", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|source| file("create", &folder, source))?;
        let workspace = Self { folder };
        write_headers(&workspace.include())?;
        Ok(workspace)
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the headers are.
    pub(super) fn include(&self) -> PathBuf {
        self.path("include")
    }

    /// The files outside of the workspace that the compiler read for its objects.
    pub(super) fn dependencies(&self) -> Result<BTreeSet<PathBuf>, HostBuildError> {
        let mut all = BTreeSet::new();
        let read = |source| file("read", &self.folder, source);
        for entry in std::fs::read_dir(&self.folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.extension().is_some_and(|extension| extension == "d") {
                let list = std::fs::read_to_string(&path).map_err(|source| file("read", &path, source))?;
                // The compiler writes the folder that it ran in where the target of a rule is.
                if let Some((folder, list)) = list.split_once(": ") {
                    all.extend(prerequisites(list).into_iter().map(|path| Path::new(folder).join(path)));
                }
            }
        }
        all.retain(|path| !path.starts_with(&self.folder));
        Ok(all)
    }
}

/// The prerequisites of a rule of make, as compilers write them: files with spaces between them, lines that go on after a
/// backslash.
fn prerequisites(list: &str) -> Vec<String> {
    let mut files = vec![String::new()];
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (character, next) {
            ('\\', Some('\n' | '\r')) => files.push(String::new()),
            ('\\', Some(escaped @ (' ' | '#'))) | ('$', Some(escaped @ '$')) => {
                files.last_mut().expect("there is one").push(escaped);
                characters.next();
            }
            (space, _) if space.is_whitespace() => files.push(String::new()),
            (other, _) => files.last_mut().expect("there is one").push(other),
        }
    }
    files.retain(|file| !file.is_empty());
    files
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What is left costs nothing but space.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders of builds of `output` that were killed: those of processes that are no more.
fn remove_abandoned(output: &Path) {
    let (Some(folder), Some(stem)) = (output.parent(), output.file_stem().and_then(|stem| stem.to_str())) else {
        return;
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| {
            let number = name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(".build")?.split_once('-')?.0;
            number.parse::<u32>().ok()
        });
        // Where there is no /proc, all seem alive and stay.
        let is_alive =
            |process: u32| !Path::new("/proc/self").exists() || Path::new("/proc").join(process.to_string()).exists();
        if process.is_some_and(|process| !is_alive(process)) {
            // What is left costs nothing but space.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file and the folders it is in.
pub(super) fn write(path: &Path, text: &str) -> Result<(), HostBuildError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| file("create", folder, source))?;
    }
    std::fs::write(path, text).map_err(|source| file("write", path, source))
}

/// An error of the file system.
pub(super) fn file(action: &'static str, path: &Path, source: std::io::Error) -> HostBuildError {
    HostBuildError::File { action, path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_rule_may_have_spaces_in_their_names() {
        let list = "relu.cpp \\\n  /usr/my\\ headers/a.h /b$$c.h \\\r\n d\\#.h\n";
        assert_eq!(prerequisites(list), ["relu.cpp", "/usr/my headers/a.h", "/b$c.h", "d#.h"]);
        assert!(prerequisites("").is_empty());
    }

    #[test]
    fn what_a_killed_build_left_goes_with_the_next() {
        let folder = std::env::temp_dir().join(format!("gpsimd-abandoned-{}", std::process::id()));
        let output = folder.join("libx.so");
        // No process has the number 0.
        let abandoned = folder.join("libx.0-0.build");
        let [other, alive] = ["liby.0-0.build".into(), format!("libx.{}-9.build", std::process::id())];
        for name in [&other, &alive] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::fs::create_dir_all(abandoned.join("include")).unwrap();
        let workspace = Workspace::new(&output).unwrap();
        assert!(!abandoned.exists());
        assert!(folder.join(&other).exists() && folder.join(&alive).exists() && workspace.include().exists());
        drop(workspace);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
